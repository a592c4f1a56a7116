# SPDX-License-Identifier: Apache-2.0
"""What simulated samples look like, and which of them are kept for the test."""

from __future__ import annotations

from dataclasses import dataclass

from flow_manip_core.errors import ConfigurationError

SPLITS = ('train', 'test')
AXES = (
    'seed',
    'phrasing',
    'colours',
    'objects',
    'camera',
    'light',
    'background',
    'all',
)
"""What a test sample has that no training sample had; every test sample has new seeds."""

FIRST_TRAIN_SEED = 10_000
"""Trials of smaller seeds are for tests only, here and in `flow_manip evaluate`."""


@dataclass(frozen=True)
class SimulatedConfig:
    """Parameters of the simulated source.

    Attributes:
        width: of the pictures [px].
        height: of the pictures [px].
        steps: of every flow, equally spaced in time over its motion.
        points: at most this many of the visible surface, one per pixel.
        min_pixels: of what moves; what shows less is not taken.
        min_visible: least share of the points and steps that can be seen.
        views: samples per scene: each has its own instruction, colours, camera, light, textures.
        tasks: share of the scenes that are trials of the task suite; the others are free.
        other_deeds: share of the samples in a task's scene in which something else is done.
        own_words: share of a task's samples that are said in the task's own words.
        robot_shown: share of the samples with the arm in the picture.
        depth_noise: share of the samples whose depth has a sensor's errors.
        rig_camera: share of the training samples seen from within centimetres of the rig's camera.
        own_looks: share of the training samples with the cell's own table and lights.
    """

    width: int = 256
    height: int = 192
    steps: int = 16
    points: int = 256
    min_pixels: int = 60
    min_visible: float = 0.3
    views: int = 8
    tasks: float = 0.7
    other_deeds: float = 0.25
    own_words: float = 0.35
    robot_shown: float = 0.6
    depth_noise: float = 0.5
    rig_camera: float = 0.3
    own_looks: float = 0.25

    def __post_init__(self) -> None:
        """Refuse sizes and shares that make no sense.

        Raises:
            ConfigurationError: the first of them.
        """
        for name, low, high in (
            ('width', 32, 2048),
            ('height', 24, 2048),
            ('steps', 2, 256),
            ('points', 4, 16384),
            ('min_pixels', 4, 10**6),
            ('views', 1, 64),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigurationError(
                    f'{name} is {getattr(self, name)}, not within {low}..{high}'
                )
        for name in (
            *('min_visible', 'tasks', 'other_deeds', 'own_words', 'robot_shown'),
            *('depth_noise', 'rig_camera', 'own_looks'),
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f'{name} is {getattr(self, name)}, not within 0..1')


@dataclass(frozen=True)
class Held:
    """Which of the held-out pools one sample draws from."""

    phrasing: bool = False
    colours: bool = False
    objects: bool = False
    camera: bool = False
    light: bool = False
    background: bool = False

    @classmethod
    def of(cls, axis: str) -> Held:
        """Return what an axis holds out; '' and 'seed' nothing of these."""
        names = tuple(cls.__dataclass_fields__)
        return cls(**{name: axis in (name, 'all') for name in names})
