# SPDX-License-Identifier: Apache-2.0
"""Backends by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Generic, TypeVar

from flow_manip_core.errors import BackendError

T = TypeVar('T')

# What to type when a backend's package is missing, by the name that failed to import.
INSTALL_COMMANDS = {
    'pyrealsense2': 'pip install pyrealsense2',
    'roboplan': 'pip install roboplan',
    'mujoco': 'pip install mujoco',
    'robosuite': 'pip install --no-deps robosuite',
    'viser': 'pip install viser',
    'cv2': 'pip install "opencv-python-headless<5"',
    'mcap': 'pip install mcap mcap-ros2-support',
    'msgpack': 'pip install msgpack',
    'torch': 'pip install torch==2.13.0',
    'transformers': 'pip install transformers',
    'diffusers': 'pip install diffusers accelerate ftfy',
    'cotracker': 'pip install a checkout of facebookresearch/co-tracker',
    'moveit': 'sudo apt install ros-jazzy-moveit-py ros-jazzy-moveit',
    'moveit_msgs': 'sudo apt install ros-jazzy-moveit-msgs',
    'octomap_msgs': 'sudo apt install ros-jazzy-octomap-msgs',
}


def missing_package(kind: str, name: str, error: ImportError) -> BackendError:
    """Return the error of a missing package, with the command that installs it."""
    missing = (error.name or '').partition('.')[0]
    command = INSTALL_COMMANDS.get(missing)
    hint = f'; install it with: {command}' if command else ''
    return BackendError(f"{kind} backend '{name}': {error}{hint}")


class Registry(Generic[T]):
    """A table from short name to ``module:Class``; nothing is imported until it is chosen.

    A name with a colon is a path itself, so ``my_pkg.depth:MyDepth`` works with no registration.
    """

    def __init__(self, kind: str, paths: Mapping[str, str]) -> None:
        """Name the kind of backend (for messages) and list the known ones."""
        self.kind = kind
        self.paths = dict(paths)

    def load(self, name: str) -> type[T]:
        """Return the class registered as `name`, or at the path `name` if it has a colon.

        Raises:
            BackendError: unknown name (with the nearest one), or its import failed (with the
                command that installs
                what is missing).
        """
        path = name if ':' in name else self.paths.get(name)
        if path is None:
            close = get_close_matches(name, self.paths, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else f'; known: {sorted(self.paths)}'
            raise BackendError(f"unknown {self.kind} backend '{name}'{hint}")
        module, _, attribute = path.partition(':')
        try:
            return getattr(import_module(module), attribute)
        except ImportError as error:
            raise missing_package(self.kind, name, error) from error
        except AttributeError as error:
            raise BackendError(f"{self.kind} backend '{name}': {error}") from error
