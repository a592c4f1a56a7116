# SPDX-License-Identifier: Apache-2.0
"""Standing a lying, elongated object up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import NoObjectPathError, TaskNotSupportedError
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_world_model.grid import highest_under
from flow_manip_world_model.path import minimum_jerk, PathConfig
from flow_manip_world_model.scene import Scene
from flow_manip_world_model.shape import ObjectShape

END = 0.2  # of the length: what counts as one end
SAME_WIDTH = 0.1  # ends whose widths differ by less than this share are alike


@dataclass(frozen=True)
class TurnConfig:
    """When and how things are stood up."""

    min_elongation: float = field(default=1.3, metadata={'doc': 'Length / width of what lies'})
    max_tilt: float = field(default=0.7, metadata={'doc': 'Axis above horizontal of it [rad]'})
    lift: float = field(default=0.05, metadata={'doc': 'Above the support while turning [m]'})
    release_height: float = field(default=0.005, metadata={'doc': 'Free fall at release [m]'})
    margin: float = field(default=0.015, metadata={'doc': 'To other things [m]'})


@dataclass(frozen=True)
class LyingObject:
    """A lying, elongated object.

    Attributes:
        center: (3,) its middle [m].
        axis: (3,) unit vector from the end that goes down to the end that goes up.
        length: along the axis [m].
        width: across it [m].
    """

    center: NDArray[np.float64]
    axis: NDArray[np.float64]
    length: float
    width: float


def find_lying(shape: ObjectShape, config: TurnConfig) -> LyingObject:
    """Find the long axis of an object and which end goes down.

    The axis is the first principal component of the completed points. The wider end goes down,
    since bottles and cups stand on it; of ends alike the lower one does.

    Raises:
        TaskNotSupportedError: the object stands already, or is not elongated.
    """
    middle = shape.points.mean(axis=0)
    _, _, axes = np.linalg.svd(shape.points - middle, full_matrices=False)
    local = (shape.points - middle) @ axes.T
    lower, upper = np.percentile(local, [1, 99], axis=0)
    length, width = upper[0] - lower[0], max(upper[1] - lower[1], shape.height)
    tilt = float(np.arcsin(min(abs(axes[0, 2]), 1.0)))
    upright = 2.0 * shape.radius
    if shape.height > config.min_elongation * upright or (
        tilt > config.max_tilt and length > config.min_elongation * upright
    ):
        raise TaskNotSupportedError(
            f"'{shape.label}' stands upright already: {1e3 * shape.height:.0f} mm high, "
            f'{1e3 * upright:.0f} mm wide'
        )
    if length < config.min_elongation * width:
        raise TaskNotSupportedError(
            f"'{shape.label}' is {1e3 * length:.0f} mm long and {1e3 * width:.0f} mm wide: it has "
            'no long axis to '
            f'turn upright, {config.min_elongation:g} times the width is needed'
        )
    if tilt > config.max_tilt:
        raise TaskNotSupportedError(
            f"'{shape.label}' leans by {np.degrees(tilt):.0f} degrees: neither lying nor upright"
        )
    center = middle + (lower + upper) / 2.0 @ axes
    # Only the upper half of a lying thing is seen well; its axis lies at half its height.
    center[2] = shape.bottom + shape.height / 2.0
    axis = axes[0] * _upward(local[:, 0], local[:, 1], axes[0], lower[0], upper[0])
    return LyingObject(center, axis, float(length), float(width))


def _upward(along: NDArray, across: NDArray, axis: NDArray, lower: float, upper: float) -> float:
    """Return +1 if the axis points to the end that goes up, else -1."""
    reach = END * (upper - lower)
    widths = [
        np.ptp(np.percentile(across[near], [2, 98])) if near.sum() >= 5 else 0.0
        for near in (along < lower + reach, along > upper - reach)
    ]
    if abs(widths[0] - widths[1]) > SAME_WIDTH * max(widths):
        return 1.0 if widths[0] > widths[1] else -1.0
    return 1.0 if axis[2] >= 0 else -1.0


def upright_path(
    scene: Scene,
    shape: ObjectShape,
    lying: LyingObject,
    yaw: float,
    lift: float,
    num_steps: int,
    config: TurnConfig,
    path: PathConfig,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn a lying object about its lower end until it stands.

    The object is lifted, turned about the horizontal axis across its long one (and by `yaw` about
    the vertical), and set down where its lower end was. At every step the lowest of its points is
    kept above what is below.

    Returns:
        (T, 4, 4) T_world_start and (T,) times [s].

    Raises:
        NoObjectPathError: something is in the way at any height that the workspace allows; names
            the point.
    """
    share = np.linspace(0.0, 1.0, num_steps)
    phase = minimum_jerk(share)
    flat = np.array([lying.axis[0], lying.axis[1], 0.0])
    flat /= np.linalg.norm(flat)
    across = np.cross(flat, [0.0, 0.0, 1.0])
    angle = np.arccos(np.clip(lying.axis[2], -1.0, 1.0))
    # Upright, the axis stands where the lower end was, half a width inwards.
    shift = -(lying.length - lying.width) / 2.0 * flat
    transforms = np.tile(np.eye(4), (num_steps, 1, 1))
    for i, s in enumerate(phase):
        turn = rotation_about([0, 0, 1], s * yaw) @ rotation_about(across, s * angle)
        away = make_transform(-lying.center)
        transforms[i] = make_transform(lying.center + s * shift, turn) @ away
    for height in (lift, 1.5 * lift, 2.5 * lift):
        lifted = _keep_above(shape, lying, transforms, share, height, config)
        hit = _contact(scene, shape, lifted, config)
        if hit is None:
            times = share * _duration(shape, lifted, angle + abs(yaw), path)
            return lifted, times
    raise NoObjectPathError(
        f"'{shape.label}' cannot be turned upright: it would touch something {1e3 * hit[2]:.0f} "
        'mm high at '
        f'({hit[0]:.2f}, {hit[1]:.2f}) m'
    )


def _hull_points(shape: ObjectShape, lying: LyingObject) -> NDArray[np.float64]:
    """Return the object's points and the same mirrored: its unseen underside."""
    mirrored = shape.points.copy()
    mirrored[:, 2] = np.maximum(2.0 * lying.center[2] - mirrored[:, 2], shape.bottom)
    return np.concatenate([shape.points, mirrored])[::4]


def _keep_above(
    shape: ObjectShape,
    lying: LyingObject,
    transforms: NDArray,
    share: NDArray,
    lift: float,
    config: TurnConfig,
) -> NDArray[np.float64]:
    """Return the transforms with heights such that the lowest point follows lift and lowering."""
    points = _hull_points(shape, lying)
    lifted = transforms.copy()
    ground = shape.bottom
    # From 0 up to 1 and back to 0, at rest at both ends.
    bump = 16.0 * share**2 * (1.0 - share) ** 2
    for i, s in enumerate(share):
        lowest = (points @ transforms[i, :3, :3].T + transforms[i, :3, 3])[:, 2].min()
        wished = ground + lift * bump[i] + config.release_height * minimum_jerk(s)
        lifted[i, 2, 3] += wished - lowest
    # The first step is where the object is, whatever was assumed about its underside.
    lifted[:, 2, 3] -= lifted[0, 2, 3] * (1.0 - minimum_jerk(share))
    return lifted


def _contact(
    scene: Scene, shape: ObjectShape, transforms: NDArray, config: TurnConfig
) -> NDArray[np.float64] | None:
    """Return (x, y, height) of the first thing that the object would touch, or None."""
    grid = scene.grid
    size = 2 * round(config.margin / grid.cell) + 1
    kernel = np.ones((size, size), dtype=np.uint8)
    floor = highest_under(scene.filled, kernel)
    floor = np.where(floor > shape.bottom + 0.012, floor, -np.inf)
    for transform in transforms[1:]:
        moved = shape.points[::6] @ transform[:3, :3].T + transform[:3, 3]
        heights = grid.sample(floor, moved[:, :2], -np.inf)
        hits = np.flatnonzero(moved[:, 2] < heights)
        if len(hits):
            return np.array([*moved[hits[0], :2], heights[hits[0]]])
    return None


def _duration(shape: ObjectShape, transforms: NDArray, turn: float, path: PathConfig) -> float:
    """Return the seconds that keep every point within the limits on speed and acceleration."""
    points = shape.points[::20]
    moved = np.einsum('tij,nj->tni', transforms[:, :3, :3], points) + transforms[:, None, :3, 3]
    steps = len(transforms) - 1
    speed = np.linalg.norm(np.diff(moved, axis=0), axis=-1).max() * steps
    acceleration = np.linalg.norm(np.diff(moved, 2, axis=0), axis=-1).max() * steps**2
    turning = 1.875 * turn
    return float(
        max(
            speed / path.speed,
            np.sqrt(acceleration / path.acceleration),
            turning / path.angular_speed,
        )
    )
