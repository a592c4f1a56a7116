# SPDX-License-Identifier: Apache-2.0
"""Does the motion end as the instruction says, in contact with something that holds it?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from flow_manip_world_model.placing import relation_direction
from flow_manip_world_model.selection.facts import Array, Facts
from flow_manip_world_model.selection.limits import falling, GeometricConfig, VetoError

LOWEST = 5.0  # percentile of the heights that counts as the lowest point
BARE = 0.004  # [m] lower than this above the support is no thing to be put on
SCENE_STEP = 0.004  # [m] voxels of the cloud that contact is looked for in
AROUND = 0.025  # [m] beside the object where what it is put into may show
HELD = 0.01  # [m] from a thing that may hold it


def end(facts: Facts, config: GeometricConfig) -> float:
    """Does it end as the instruction says?

    What is held in the hand (poured from, lifted) may end in the air.
    """
    checks: dict[str, Callable[[Facts, GeometricConfig], float]] = {
        'put': _end_put,
        'lift': _end_lift,
        'push': _end_push,
        'turn_upright': _end_upright,
        'hang': _end_hang,
        'insert': _end_insert,
        'pour': _end_pour,
        'open': _end_jointed,
        'close': _end_jointed,
    }
    check = checks.get(facts.wording.action)
    return 1.0 if check is None else check(facts, config)


def _end_put(facts: Facts, config: GeometricConfig) -> float:
    """Put down means resting on something."""
    limit = config.max_drop_in if facts.wording.relation == 'in' else config.max_drop
    drop = hanging(facts, -1) - hanging(facts, 0)
    # What is held from the side (a peg, a rim) rests as well.
    if drop > limit and distance_to_scene(facts, -1) > HELD:
        raise VetoError(
            f'ends {1e3 * drop:.0f} mm above what is below it, limit {1e3 * limit:.0f} mm'
        )
    value = falling(max(drop - 0.01, 0.0), 2.0 * limit)
    if facts.wording.onto_thing:
        under = thing_under(facts, -1)
        if under < BARE:
            raise VetoError(
                f'ends on the bare support: what is under it is {1e3 * under:.0f} mm high'
            )
    return value


def _end_insert(facts: Facts, config: GeometricConfig) -> float:
    """Inserted means in or on something, not in the air."""
    drop = hanging(facts, -1) - hanging(facts, 0)
    if drop > config.max_drop_in:
        raise VetoError(
            f'ends {1e3 * drop:.0f} mm above what is below it, '
            f'limit {1e3 * config.max_drop_in:.0f} mm'
        )
    return falling(max(drop - 0.02, 0.0), 2.0 * config.max_drop_in)


def _end_hang(facts: Facts, config: GeometricConfig) -> float:
    """Hung up means at something, and off the support."""
    gap = distance_to_scene(facts, -1)
    if gap > config.max_gap:
        raise VetoError(
            f'hangs on nothing: {1e3 * gap:.0f} mm to what is nearest, '
            f'limit {1e3 * config.max_gap:.0f} mm'
        )
    points = facts.model[-1][facts.shown[-1]]
    rise = float(np.min(points[:, 2] - facts.scene.support.height_at(points[:, :2])))
    if rise < 0.5 * config.min_rise:
        raise VetoError(f'ends {1e3 * rise:.0f} mm above the support, not hung up')
    return falling(max(gap - 0.01, 0.0), 2.0 * config.max_gap)


def _end_pour(facts: Facts, config: GeometricConfig) -> float:
    """Poured from means tilted on the way."""
    tilt = float(np.arccos(np.clip(facts.poses[:, 2, 2], -1.0, 1.0)).max())
    if tilt < config.min_pour:
        raise VetoError(
            f'tilts by {np.degrees(tilt):.0f} degrees at most, '
            f'{np.degrees(config.min_pour):.0f} are needed to pour'
        )
    return 1.0


def _end_jointed(facts: Facts, config: GeometricConfig) -> float:
    """Opened and closed means by a hinge or a slide."""
    error = joint_error(facts.poses, facts.model[0])
    if error > config.max_joint_error:
        raise VetoError(
            f'moves {1e3 * error:.0f} mm off any hinge or slide, '
            f'limit {1e3 * config.max_joint_error:.0f} mm'
        )
    return falling(error, config.max_joint_error)


def joint_error(poses: Array, points: Array) -> float:
    """Return how far a motion is from the hinge or the slide that fits it best [m].

    A slide moves along one line without turning. A hinge turns about one axis (here that of the
    largest turn) through a fixed point, which is where `(I - R) p = t` for all steps in least
    squares.

    Args:
        poses: (T, 4, 4) since the start.
        points: (N, 3) of the part at the start [m].

    Returns:
        The smaller of the two RMS distances, over steps and points.
    """
    moved = np.einsum('tij,nj->tni', poses[:, :3, :3], points) + poses[:, None, :3, 3]
    way = moved.mean(axis=1) - points.mean(axis=0)
    line = np.linalg.svd(way, full_matrices=False)[2][0]
    slid = points + (way @ line)[:, None, None] * line
    turns = Rotation.from_matrix(poses[:, :3, :3]).as_rotvec()
    axis = turns[np.linalg.norm(turns, axis=1).argmax()]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    rotations = Rotation.from_rotvec((turns @ axis)[:, None] * axis).as_matrix()
    target = moved.mean(axis=1) - rotations @ points.mean(axis=0)
    pivot = np.linalg.lstsq((np.eye(3) - rotations).reshape(-1, 3), target.ravel(), rcond=1e-3)[0]
    swung = np.einsum('tij,nj->tni', rotations, points - pivot) + pivot
    errors = [float(np.sqrt(((moved - m) ** 2).sum(-1).mean())) for m in (slid, swung)]
    return min(errors)


def _end_lift(facts: Facts, config: GeometricConfig) -> float:
    """Lifted means higher, not elsewhere."""
    move = facts.center[-1] - facts.center[0]
    if move[2] < config.min_rise:
        raise VetoError(
            f'rises by {1e3 * move[2]:.0f} mm, {1e3 * config.min_rise:.0f} mm are needed'
        )
    return falling(float(np.linalg.norm(move[:2])), 0.3)


def _end_push(facts: Facts, config: GeometricConfig) -> float:
    """Pushed means along the support, and in the direction that was said."""
    move = facts.center[-1, :2] - facts.center[0, :2]
    rise = float((facts.center[:, 2] - facts.center[0, 2]).max())
    if rise > 0.05:
        raise VetoError(f'is lifted by {1e3 * rise:.0f} mm, but should be pushed')
    if facts.wording.relation in ('left', 'right'):
        wished = relation_direction(facts.scene, facts.wording.relation)
        along = float(move @ wished) / max(float(np.linalg.norm(move)), 1e-9)
        if along < 0.5:
            angle = np.degrees(np.arccos(np.clip(along, -1.0, 1.0)))
            raise VetoError(f'moves {angle:.0f} degrees away from {facts.wording.relation}')
    return falling(max(rise - 0.01, 0.0), 0.1)


def _end_upright(facts: Facts, config: GeometricConfig) -> float:
    """Turned upright means turned, and standing."""
    rotation = facts.poses[-1, :3, :3]
    # Turning about the vertical does not stand anything up.
    tilt = float(np.arccos(np.clip(rotation[2, 2], -1.0, 1.0)))
    if tilt < config.min_turn:
        raise VetoError(
            f'tilts by {np.degrees(tilt):.0f} degrees, '
            f'{np.degrees(config.min_turn):.0f} are needed to stand up'
        )
    total = float(Rotation.from_matrix(rotation).magnitude())
    return float(tilt / max(total, tilt)) ** 0.25


def hanging(facts: Facts, step: int) -> float:
    """Return how far the object's lowest visible points are above what is below them [m].

    Its underside is not seen; the difference between two steps is what it hangs more.
    """
    points = facts.model[step][facts.shown[step]]
    low = points[points[:, 2] <= np.percentile(points[:, 2], LOWEST) + 0.005]
    return float(np.median(low[:, 2] - _tops(facts, low)))


def thing_under(facts: Facts, step: int) -> float:
    """Return how high the highest of what is under the object, or around, is [m].

    Above the support; around, since the inside of a holder may be hidden.
    """
    points = facts.model[step][facts.shown[step]]
    shifts = AROUND * np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    around = (points[:, None] + shifts).reshape(-1, 3)
    rise = _tops(facts, around) - facts.scene.support.height_at(around[:, :2])
    return float(np.percentile(rise, 95))


def _tops(facts: Facts, points: Array) -> Array:
    """Return (N,) height of what is below (N, 3) points [m]."""
    scene = facts.scene
    top = np.where(np.isnan(scene.top), scene.support_map, scene.top)
    below = scene.grid.sample(top, points[:, :2], -np.inf)
    return np.where(np.isfinite(below), below, scene.support.height_at(points[:, :2]))


def distance_to_scene(facts: Facts, step: int) -> float:
    """Return how near the object comes to what stands around [m].

    The support itself does not count, nor what the mask's border may have left of the object. The
    hidden side of the object is not known, so the real gap is smaller.
    """
    scene = facts.scene
    points = scene.points[~scene.moving]
    points = points[np.isfinite(points).all(axis=1)]
    points = points[points[:, 2] > scene.support.height_at(points[:, :2]) + 0.02]
    if not len(points):
        return float('inf')
    voxels = np.unique(np.floor(points / SCENE_STEP).astype(np.int64), axis=0)
    own = facts.model[step][facts.shown[step]]
    return float(np.min(cKDTree((voxels + 0.5) * SCENE_STEP).query(own)[0]))
