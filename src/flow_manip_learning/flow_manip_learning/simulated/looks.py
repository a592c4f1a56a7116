# SPDX-License-Identifier: Apache-2.0
"""Cameras, lights and surfaces of one sample, drawn from what training or only a test sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.robot import CameraConfig
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_mujoco.scene import LIGHTS

Array = NDArray[np.float64]

_TARGET = (0.52, 0.0, 0.03)  # [m] middle of the table, where cameras look
_AZIMUTH, _HELD_AZIMUTH = 35.0, (42.0, 60.0)  # [degrees] to either side
_ELEVATION, _HELD_ELEVATION = (33.0, 57.0), (61.0, 72.0)  # [degrees] over the table
_DISTANCE, _HELD_DISTANCE = (0.88, 1.25), (1.30, 1.45)  # [m] from the target
_FOV = 40.0, 50.0  # [degrees]
_PATTERN = 256  # [px] of a side
PLAIN = ('flat', 'clouds', 'planks', 'speckles', 'weave')
HELD_OUT_PATTERNS = ('stripes', 'dots', 'squares')


@dataclass(frozen=True)
class View:
    """Where a sample is seen from.

    Attributes:
        camera: intrinsics.
        T_world_camera: (4, 4).
        kind: 'rig', 'train' or 'held_out'.
    """

    camera: CameraModel
    T_world_camera: Array
    kind: str


@dataclass(frozen=True)
class Light:
    """How a sample is lit.

    Attributes:
        directions: (3,) that rays travel along, by light.
        diffuse: (3,) colour, by light, 0..1.
        ambient: (3,) from everywhere.
        head: (3,) from the camera.
    """

    directions: dict[str, Array]
    diffuse: dict[str, Array]
    ambient: Array
    head: Array


@dataclass(frozen=True)
class Surface:
    """What a table or a floor is covered with.

    Attributes:
        pattern: (256, 256, 3) uint8; None leaves the cell's own.
        tint: (3,) factor on it.
        kind: name of the pattern.
    """

    pattern: NDArray[np.uint8] | None
    tint: Array
    kind: str


def draw_view(
    rig: CameraConfig,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    rig_share: float,
    held_out: bool = False,
) -> View:
    """Draw a camera about the rig's.

    Args:
        rig: the rig's camera.
        size: width and height of the picture [px].
        rng: same state, same view.
        rig_share: share of the views within centimetres of the rig's.
        held_out: from farther to the side, steeper or farther away than training ever is.
    """
    width, height = size
    if not held_out and rng.random() < rig_share:
        pose = rig.pose.matrix
        pose[:3, 3] += rng.normal(0.0, 0.012, 3)
        pose[:3, :3] = pose[:3, :3] @ rotation_about(
            _direction(rng), float(np.radians(rng.normal(0.0, 1.0)))
        )
        fov = np.radians(rig.fovy_degrees)
        return View(CameraModel.from_fov(width, height, float(fov)), pose, 'rig')
    azimuth, elevation, distance = _place(rng, held_out)
    target = np.array(_TARGET) + rng.uniform(-0.04, 0.04, 3) * [1, 1, 0.5]
    pose = looking_at(target, azimuth, elevation, distance, np.radians(rng.uniform(-4.0, 4.0)))
    focal = height / (2.0 * np.tan(np.radians(rng.uniform(*_FOV)) / 2.0))
    middle = (np.array([width, height]) - 1) / 2.0 + rng.uniform(-0.02, 0.02, 2) * width
    camera = CameraModel(width, height, focal, focal, float(middle[0]), float(middle[1]))
    return View(camera, pose, 'held_out' if held_out else 'train')


def looking_at(
    target: Array, azimuth: float, elevation: float, distance: float, roll: float = 0.0
) -> Array:
    """Return the (4, 4) pose of an optical frame that looks at a point.

    Args:
        target: (3,) in the world [m].
        azimuth: about z from the side opposite the robot [rad].
        elevation: of the camera over the table, seen from the target [rad].
        distance: from the target [m].
        roll: about the line of sight [rad].
    """
    level = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    out = np.cos(elevation) * level + np.sin(elevation) * np.array([0.0, 0.0, 1.0])
    forward = -out
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    turned = rotation @ rotation_about([0.0, 0.0, 1.0], roll)
    return make_transform(target + distance * out, turned)


def draw_light(
    rng: np.random.Generator, *, own_share: float, held_out: bool = False
) -> Light | None:
    """Draw the lights; None leaves the cell's own.

    Held out are low and strongly coloured lights.
    """
    if not held_out and rng.random() < own_share:
        return None
    directions, diffuse = {}, {}
    for name, strength in (('key_light', (0.25, 0.60)), ('fill_light', (0.05, 0.25))):
        tilt = np.radians(rng.uniform(62.0, 76.0) if held_out else rng.uniform(5.0, 55.0))
        around = rng.uniform(-np.pi, np.pi)
        side = np.sin(tilt) * np.array([np.cos(around), np.sin(around)])
        directions[name] = np.array([*side, -np.cos(tilt)])
        warmth = (
            rng.uniform(0.22, 0.38) * rng.choice([-1.0, 1.0])
            if held_out
            else (rng.uniform(-0.12, 0.12))
        )
        tint = np.array([1.0 + warmth, 1.0, 1.0 - warmth])
        diffuse[name] = np.clip(rng.uniform(*strength) * tint, 0.0, 1.0)
    ambient = rng.uniform(0.14, 0.22) if held_out else rng.uniform(0.24, 0.42)
    return Light(directions, diffuse, np.full(3, ambient), np.full(3, rng.uniform(0.1, 0.28)))


def draw_surface(rng: np.random.Generator, *, own_share: float, held_out: bool = False) -> Surface:
    """Draw what covers a table or a floor.

    Training sees the cell's own, plain and irregular ones in soft colours; held out are regular
    patterns in strong colours.
    """
    if not held_out and rng.random() < own_share:
        return Surface(None, rng.uniform(0.85, 1.0, 3), 'own')
    kinds = HELD_OUT_PATTERNS if held_out else PLAIN
    kind = kinds[int(rng.integers(len(kinds)))]
    saturation = rng.uniform(0.45, 0.7) if held_out else rng.uniform(0.0, 0.4)
    a = _rgb(rng.uniform(0, 1), saturation, rng.uniform(0.35, 0.9))
    b = a * rng.uniform(0.7, 1.0) + rng.uniform(-0.06, 0.06, 3)
    if held_out:
        b = _rgb(rng.uniform(0, 1), saturation, rng.uniform(0.35, 0.9))
    share = _pattern(kind, rng)[..., None]
    pattern = np.clip((1.0 - share) * a + share * b, 0.0, 1.0)
    return Surface((255.0 * pattern).astype(np.uint8), np.ones(3), kind)


def own_light() -> dict[str, Array]:
    """Return the direction of the cell's own lights."""
    return {name: np.array(light.direction) for name, light in LIGHTS.items()}


def _place(rng: np.random.Generator, held_out: bool) -> tuple[float, float, float]:
    """Draw azimuth, elevation [rad] and distance [m]; held out in one to three of them."""
    out = rng.random(3) < 0.4 if held_out else np.zeros(3, bool)
    if held_out and not out.any():
        out[int(rng.integers(3))] = True
    side = rng.choice([-1.0, 1.0])
    azimuth = side * rng.uniform(*_HELD_AZIMUTH) if out[0] else rng.uniform(-_AZIMUTH, _AZIMUTH)
    elevation = rng.uniform(*(_HELD_ELEVATION if out[1] else _ELEVATION))
    distance = rng.uniform(*(_HELD_DISTANCE if out[2] else _DISTANCE))
    return float(np.radians(azimuth)), float(np.radians(elevation)), float(distance)


def _pattern(kind: str, rng: np.random.Generator) -> Array:
    """Draw a (256, 256) share of the second colour, 0..1."""
    v, u = np.mgrid[0:_PATTERN, 0:_PATTERN] / _PATTERN
    angle = rng.uniform(0.0, np.pi)
    along, across = np.cos(angle) * u + np.sin(angle) * v, np.cos(angle) * v - np.sin(angle) * u
    count = float(rng.uniform(4.0, 12.0))
    if kind == 'flat':
        return np.zeros((_PATTERN, _PATTERN))
    if kind == 'clouds':
        return _clouds(rng, 6)
    if kind == 'planks':
        seams = np.abs((across * count) % 1.0 - 0.5) > 0.47
        return np.clip(0.6 * _clouds(rng, 4, stretch=8) + 0.7 * seams, 0.0, 1.0)
    if kind == 'speckles':
        return (rng.random((_PATTERN, _PATTERN)) < rng.uniform(0.05, 0.25)).astype(float)
    if kind == 'weave':
        fine = 40.0 * np.pi
        return 0.5 + 0.25 * (np.sin(fine * along) + np.sin(fine * across))
    if kind == 'stripes':
        return ((across * count) % 1.0 < 0.5).astype(float)
    if kind == 'dots':
        near = ((along * count) % 1.0 - 0.5) ** 2 + ((across * count) % 1.0 - 0.5) ** 2
        return (near < 0.08).astype(float)
    return (((along * count) % 1.0 < 0.5) ^ ((across * count) % 1.0 < 0.5)).astype(float)


def _clouds(rng: np.random.Generator, octaves: int, stretch: int = 1) -> Array:
    """Draw smooth noise: halves of its strength at doubled fineness (Perlin 1985, fractal sum)."""
    total = np.zeros((_PATTERN, _PATTERN))
    for octave in range(1, octaves + 1):
        shape = (2**octave + 1, max(2, 2**octave // stretch) + 1)
        coarse = rng.random(shape).astype(np.float32)
        total += (
            cv2.resize(coarse, (_PATTERN, _PATTERN), interpolation=cv2.INTER_CUBIC) / 2**octave
        )
    low, high = total.min(), total.max()
    return np.asarray((total - low) / max(high - low, 1e-9))


def _rgb(hue: float, saturation: float, value: float) -> Array:
    """Return the (3,) colour 0..1 of hue, saturation and value 0..1."""
    hsv = np.array([[[360.0 * hue, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
