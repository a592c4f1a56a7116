# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in generated videos, one function per kind, drawn from a generator of numbers.

The kinds are those that NovaFlow, Dream2Flow and RIGVid report of their video models. A function
returns None where its failure cannot be had, as a wrong hinge axis without a hinge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import invert_transform, rotation_about
from flow_manip_mujoco.tasks.motions import minimum_jerk
from flow_manip_mujoco.video.take import good_take, Setting, Take

Array = NDArray[np.float64]
Rng = np.random.Generator
Failure = Callable[[Setting, Take, Rng], Take | None]

WRONG_DIRECTION, STOPS_SHORT = 'wrong_direction', 'stops_short'
_SEEN = 0.06  # [m] a motion that is to be seen as another one differs by this much
_UP = np.array([0.0, 0.0, 1.0])


def morphs(setting: Setting, take: Take, rng: Rng) -> Take:
    """The object grows or shrinks, unevenly, and changes its colour."""
    size = rng.uniform(1.35, 1.8) if rng.random() < 0.5 else 1.0 / rng.uniform(1.5, 2.1)
    factors = size * np.exp(rng.uniform(-0.2, 0.2, 3))
    share = _ramp(setting, *np.sort(rng.uniform((0.05, 0.55), (0.3, 0.95))))
    return replace(
        take,
        stretch=1.0 + share[:, None] * (factors - 1.0),
        tint=_other_colour(setting.rgb, rng),
        tinted=share * rng.uniform(0.6, 0.9),
    )


def wrong_object(setting: Setting, take: Take, rng: Rng) -> Take | None:
    """Another thing moves, as the object should."""
    if not setting.others:
        return None
    names = sorted(setting.others)
    name = names[int(rng.integers(len(names)))]
    start = setting.others[name]
    shift = take.poses[:, :3, 3] - take.poses[0, :3, 3]
    poses = np.tile(start, (setting.num_frames, 1, 1))
    poses[:, :3, 3] += shift
    turns = take.poses[:, :3, :3] @ take.poses[0, :3, :3].T
    poses[:, :3, :3] = turns @ start[:3, :3]
    return replace(take, moving=name, poses=poses)


def hallucinated(setting: Setting, take: Take, rng: Rng) -> Take:
    """A second one appears out of nothing and moves; the object stays where it is."""
    begin = int(rng.integers(2, max(3, setting.num_frames // 3)))
    ghost = _aside(setting, rng) @ take.poses
    # It appears where the motion is by then, so it leaves the object at once.
    ghost[:begin] = np.nan
    return replace(take, ghost=ghost, poses=np.tile(take.poses[0], (setting.num_frames, 1, 1)))


def vanishes(setting: Setting, take: Take, rng: Rng) -> Take:
    """The object is gone from some frame on."""
    last = int(rng.uniform(0.3, 0.7) * setting.num_frames)
    return replace(take, visible=np.arange(setting.num_frames) < max(last, 1))


def wrong_direction(setting: Setting, take: Take, rng: Rng) -> Take:
    """The object moves elsewhere; what is on a joint is moved against it."""
    start = take.poses[0]
    if setting.joint is not None:
        back = start @ np.array([invert_transform(pose) for pose in take.poses]) @ start
        return replace(take, poses=back)
    shift = take.poses[:, :3, 3] - start[:3, 3]
    angle = rng.uniform(np.radians(80.0), np.radians(180.0)) * rng.choice([-1.0, 1.0])
    turn = rotation_about(_UP, angle)
    if np.hypot(*shift[:, :2].T).max() < _SEEN:  # up and down only: sideways instead
        turn = turn @ rotation_about([1.0, 0.0, 0.0], np.radians(80.0))
    poses = take.poses.copy()
    poses[:, :3, 3] = start[:3, 3] + shift @ turn.T
    return replace(take, poses=poses)


def wrong_axis(setting: Setting, take: Take, rng: Rng) -> Take | None:
    """A door swings about another edge, a drawer slides across or swings."""
    joint = setting.joint
    if joint is None:
        return None
    start, middle = take.poses[0], setting.middle
    across = start[:3, :3] @ np.eye(3)[int(np.argmin(np.abs(start[:3, :3].T @ joint.axis)))]
    across = across - (across @ joint.axis) * joint.axis
    across /= np.linalg.norm(across)
    if joint.kind == 'slide':
        way = (take.poses[:, :3, 3] - start[:3, 3]) @ joint.axis
        if rng.random() < 0.5:
            return replace(take, poses=_slid(start, way, np.cross(joint.axis, _UP)))
        edge = middle + _half_width(setting, np.cross(_UP, joint.axis))
        return replace(take, poses=_turned(start, way / 0.16 * 1.2, _UP, edge))
    rotvec = Rotation.from_matrix(take.poses[:, :3, :3] @ start[:3, :3].T).as_rotvec()
    angles = rotvec @ joint.axis
    if rng.random() < 0.5:  # hinged at the opposite edge
        return replace(take, poses=_turned(start, -angles, joint.axis, 2 * middle - joint.point))
    edge = middle + _half_width(setting, np.cross(joint.axis, across))
    return replace(take, poses=_turned(start, angles, across, edge))


def camera_drifts(setting: Setting, take: Take, rng: Rng) -> Take:
    """The camera wanders and turns."""
    share = minimum_jerk(np.linspace(0.0, 1.0, setting.num_frames))
    shift = rng.uniform(0.05, 0.12) * _direction(rng)
    turn = np.radians(rng.uniform(3.0, 7.0)) * _direction(rng)
    return replace(take, camera=_moved(take.camera, share, shift, turn))


def camera_zooms(setting: Setting, take: Take, rng: Rng) -> Take:
    """The camera zooms in or out."""
    factor = rng.uniform(1.2, 1.5) if rng.random() < 0.5 else 1.0 / rng.uniform(1.2, 1.4)
    share = _ramp(setting, rng.uniform(0.0, 0.4), rng.uniform(0.6, 1.0))
    return replace(take, zoom=factor**share)


def jump_cut(setting: Setting, take: Take, rng: Rng) -> Take:
    """A part of the motion is missing, and the camera stands elsewhere after it."""
    cut = int(rng.uniform(0.25, 0.55) * setting.num_frames)
    after = np.arange(setting.num_frames) >= cut
    left_out = rng.uniform(0.3, 0.45)
    share = np.where(after, np.minimum(setting.share + left_out, 1.0), setting.share)
    shift = rng.uniform(0.04, 0.08) * _direction(rng)
    turn = np.radians(rng.uniform(3.0, 6.0)) * _direction(rng)
    camera = _moved(take.camera, after.astype(float), shift, turn)
    return replace(take, poses=setting.poses_at(share), camera=camera)


def stops_short(setting: Setting, take: Take, rng: Rng) -> Take:
    """The motion ends on the way."""
    share = setting.share * rng.uniform(0.3, 0.6)
    return replace(take, poses=setting.poses_at(share))


def flickers(setting: Setting, take: Take, rng: Rng) -> Take:
    """Brightness and colour change from frame to frame; the first frame is what it should be."""
    brightness = rng.uniform(0.7, 1.3, (setting.num_frames, 1))
    gain = brightness * rng.uniform(0.93, 1.07, (setting.num_frames, 3))
    gain[0] = 1.0
    return replace(take, gain=gain)


FAILURES: dict[str, Failure] = {
    'morphs': morphs,
    'wrong_object': wrong_object,
    'hallucinated': hallucinated,
    'vanishes': vanishes,
    WRONG_DIRECTION: wrong_direction,
    'wrong_axis': wrong_axis,
    'camera_drifts': camera_drifts,
    'camera_zooms': camera_zooms,
    'jump_cut': jump_cut,
    STOPS_SHORT: stops_short,
    'flickers': flickers,
}


@dataclass(frozen=True)
class FailureWeights:
    """How often each failure comes, against the others; 0 is never."""

    morphs: float = 1.0
    wrong_object: float = 1.0
    hallucinated: float = 1.0
    vanishes: float = 1.0
    wrong_direction: float = 1.0
    wrong_axis: float = 1.0
    camera_drifts: float = 1.0
    camera_zooms: float = 1.0
    jump_cut: float = 1.0
    stops_short: float = 1.0
    flickers: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no weight."""
        if any(not (np.isfinite(value) and value >= 0.0) for value in vars(self).values()):
            raise ConfigurationError(f'weights of failures must be 0 or more: {vars(self)}')


def draw_take(setting: Setting, good_rate: float, weights: Mapping[str, float], rng: Rng) -> Take:
    """Draw a good video or one with a failure.

    Args:
        setting: what it is about.
        good_rate: chance of a good one.
        weights: of the failures by name; what cannot be had here is passed over.
        rng: same state, same video.

    Raises:
        ConfigurationError: a failure is due, and none that has a weight can be had.
    """
    take = good_take(setting)
    if rng.random() < good_rate:
        return take
    left = {name: weight for name, weight in weights.items() if weight > 0.0}
    while left:
        names = list(left)
        share = np.array([left[name] for name in names])
        name = names[int(rng.choice(len(names), p=share / share.sum()))]
        failed = FAILURES[name](setting, take, rng)
        if failed is not None:
            return replace(failed, failure=name)
        del left[name]
    raise ConfigurationError(
        f"no failure of {dict(weights)} can be had with '{setting.body}', and the rate of good "
        f'videos is {good_rate}'
    )


# ---------------------------------------------------------------- parts


def _ramp(setting: Setting, begin: float, end: float) -> Array:
    """Return (T,) 0 up to a share of the clip, 1 from another on, smooth between."""
    at = np.linspace(0.0, 1.0, setting.num_frames)
    return np.asarray(minimum_jerk(np.clip((at - begin) / max(end - begin, 0.1), 0.0, 1.0)))


def _direction(rng: Rng) -> Array:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _other_colour(rgb: Array, rng: Rng) -> Array:
    """Draw a colour that is not like `rgb` (3,)."""
    while True:
        colour = rng.uniform(0.05, 0.95, 3)
        if np.linalg.norm(colour - rgb) > 0.5:
            return np.asarray(colour)


def _aside(setting: Setting, rng: Rng) -> Array:
    """Return a (4, 4) shift on the table by a little more than the body's size."""
    size = float(np.linalg.norm((setting.box[1] - setting.box[0])[:2]))
    angle = rng.uniform(0.0, 2 * np.pi)
    shift = np.eye(4)
    shift[:2, 3] = (0.5 * size + 0.03) * np.array([np.cos(angle), np.sin(angle)])
    return shift


def _moved(camera: Array, share: Array, shift: Array, turn: Array) -> Array:
    """Return (T, 4, 4) camera poses, shifted and turned about the camera by shares of both."""
    poses = camera.copy()
    poses[:, :3, 3] += share[:, None] * shift
    poses[:, :3, :3] = camera[:, :3, :3] @ Rotation.from_rotvec(share[:, None] * turn).as_matrix()
    return poses


def _half_width(setting: Setting, direction: Array) -> Array:
    """Return the (3,) way from the middle of the body to its side in a world direction [m]."""
    local = setting.motion.poses[0][:3, :3].T @ direction
    reach = np.abs(local) @ (setting.box[1] - setting.box[0]) / 2
    return np.asarray(reach * direction)


def _slid(start: Array, way: Array, axis: Array) -> Array:
    """Return (T, 4, 4) `start` shifted by (T,) ways along an axis [m]."""
    poses = np.tile(start, (len(way), 1, 1))
    poses[:, :3, 3] += way[:, None] * axis
    return poses


def _turned(start: Array, angles: Array, axis: Array, point: Array) -> Array:
    """Return (T, 4, 4) `start` turned by (T,) angles [rad] about an axis through a point."""
    turns = Rotation.from_rotvec(angles[:, None] * axis).as_matrix()
    poses = np.tile(np.eye(4), (len(angles), 1, 1))
    poses[:, :3, :3] = turns @ start[:3, :3]
    poses[:, :3, 3] = (start[:3, 3] - point) @ np.swapaxes(turns, 1, 2) + point
    return poses
