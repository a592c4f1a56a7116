# SPDX-License-Identifier: Apache-2.0
"""An off-screen OpenGL context: EGL, or OSMesa where EGL cannot start."""

from __future__ import annotations

from importlib import import_module
import logging
import os
import sys
from typing import Protocol

from flow_manip_core.errors import BackendError

_PACKAGES = 'apt-get install libegl1 libgl1-mesa-dri libopengl0 (EGL) or libosmesa6 (OSMesa)'
_logger = logging.getLogger(__name__)


class GLContext(Protocol):
    """What MuJoCo's context classes offer."""

    def make_current(self) -> None:
        """Bind the context to the calling thread."""

    def free(self) -> None:
        """Give it back."""


def create_context(width: int, height: int) -> GLContext:
    """Start an off-screen context of at least the given size, current on this thread.

    ``MUJOCO_GL`` (egl or osmesa) chooses one; without it EGL is tried first and its failure is
    logged before OSMesa is.

    Raises:
        BackendError: none works; the message has each cause and the packages that help.
    """
    chosen = os.environ.get('MUJOCO_GL', '').lower()
    platforms = [chosen] if chosen in ('egl', 'osmesa') else ['egl', 'osmesa']
    causes = []
    for platform in platforms:
        try:
            return _start(platform, width, height)
        except Exception as error:
            causes.append(f'{platform}: {type(error).__name__}: {error}')
            _logger.warning('off-screen rendering with %s', causes[-1])
            _forget(platform)
    raise BackendError(f'no off-screen rendering: {"; ".join(causes)}. Install {_PACKAGES}')


def _start(platform: str, width: int, height: int) -> GLContext:
    """Create one kind of context and make it current."""
    context = import_module(f'mujoco.{platform}').GLContext(width, height)
    context.make_current()
    return context


def _forget(platform: str) -> None:
    """Unload what a failed platform left: PyOpenGL binds itself to the first one imported."""
    for name in [n for n in sys.modules if n.split('.')[0] == 'OpenGL']:
        del sys.modules[name]
    for name in [n for n in sys.modules if n.startswith(f'mujoco.{platform}')]:
        del sys.modules[name]
    os.environ.pop('PYOPENGL_PLATFORM', None)
