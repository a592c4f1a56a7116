# SPDX-License-Identifier: Apache-2.0
"""Reference motions: carry something over what stands around, or follow a joint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation, Slerp

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures import FixtureBody, FixtureSpec
from flow_manip_mujoco.tasks.task import ReferenceMotion

Pose = NDArray[np.float64]

STEPS = 41
_SPEED = 0.12  # [m/s] mean, of the body or of the point that is held
_TURN_SPEED = 0.8  # [rad/s] mean
_MIN_DURATION = 2.0  # [s]
_ROUNDING = 0.12  # share of the duration over which corners are rounded


def carry_motion(
    cell: SimulatedCell,
    body: str,
    goal: Pose,
    *,
    contact: NDArray[np.float64] | None = None,
    clearance: float = 0.03,
    approach: tuple[float, float, float] | None = None,
    steps: int = STEPS,
) -> ReferenceMotion:
    """Return lift, carry over everything between, and set down, from where the body is now.

    The body is turned while it is high; its last way is straight.

    Args:
        cell: the cell.
        body: what is carried.
        goal: (4, 4) T_world_body at the end.
        contact: (3,) where to hold it, in the world [m].
        clearance: between its lowest point and what it passes over [m].
        approach: (3,) offset from the goal that the last straight way starts at [m], for what is
            threaded onto something; straight down from the carrying height if left out.
        steps: of the motion.
    """
    start = cell.body_pose(body)
    height = carrying_height(cell, body, start, goal, clearance)
    corners = [start[:3, 3], _raised(start[:3, 3], height)]
    before = goal[:3, 3] + np.array(approach if approach is not None else (0.0, 0.0, 0.0))
    corners += [_raised(before, max(height, before[2]))]
    if approach is not None:
        corners += [before]
    corners += [goal[:3, 3]]
    return along_corners(
        np.array(corners),
        start[:3, :3],
        goal[:3, :3],
        turning=(1, 2),
        contact=contact,
        steps=steps,
    )


def joint_motion(
    cell: SimulatedCell, body: str, value: float, *, steps: int = STEPS
) -> ReferenceMotion:
    """Return the motion of a fixture's part until its joint has `value` [rad or m], and its grip.

    The part follows its own slide or hinge from where it is, at rest at both ends.

    Raises:
        InvalidInputError: `body` has no joint.
    """
    fixture, part = _moving_part(cell, body)
    T_world_fixture = cell.body_pose(fixture.name)
    now = cell.fixture_joints()[body]
    grip = None if part.grip is None else np.array(part.grip)
    way = abs(value - now)
    if part.joint.kind == 'hinge':
        lever = 0.0 if grip is None else _distance_to_axis(grip, part.joint.axis, part.joint.point)
        duration = max(way * lever / _SPEED, way / _TURN_SPEED)
    else:
        duration = way / _SPEED
    times = np.linspace(0.0, max(duration, _MIN_DURATION), steps)
    values = now + (value - now) * minimum_jerk(times / times[-1])
    poses = np.array([T_world_fixture @ part.joint.transform(float(v)) for v in values])
    contact = None if grip is None else transform_points(poses[0], grip)
    return ReferenceMotion(times, poses, contact)


def along_corners(
    corners: NDArray[np.float64],
    start: NDArray[np.float64],
    goal: NDArray[np.float64],
    *,
    turning: tuple[int, int],
    contact: NDArray[np.float64] | None = None,
    steps: int = STEPS,
) -> ReferenceMotion:
    """Return a motion through corners that are rounded off, at rest at both ends.

    Args:
        corners: (K, 3) positions of the body [m].
        start: (3, 3) its rotation up to corner `turning[0]`.
        goal: (3, 3) its rotation from corner `turning[1]` on.
        turning: indices of two corners.
        contact: (3,) where to hold it, in the world [m].
        steps: of the motion.
    """
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    angle = float(Rotation.from_matrix(start.T @ goal).magnitude())
    duration = max(lengths[-1] / _SPEED, angle / _TURN_SPEED * 2.0, _MIN_DURATION)
    fine = np.linspace(0.0, 1.0, 20 * (steps - 1) + 1)
    way = lengths[-1] * minimum_jerk(fine)
    positions = np.column_stack([np.interp(way, lengths, corners[:, i]) for i in range(3)])
    first, last = lengths[turning[0]], lengths[turning[1]]
    share = np.clip((way - first) / max(last - first, 1e-9), 0.0, 1.0)
    # A mean over a window rounds corners and leaves what is straight for longer as it is.
    window = int(_ROUNDING * len(fine))
    positions = uniform_filter1d(positions, window, axis=0, mode='nearest')
    share = uniform_filter1d(share, window, mode='nearest')
    share = (share - share[0]) / (share[-1] - share[0]) if share[-1] > share[0] else share
    positions[0], positions[-1] = corners[0], corners[-1]
    turn = Slerp([0.0, 1.0], Rotation.from_matrix([start, goal]))(share[::20])
    poses = np.tile(np.eye(4), (steps, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turn.as_matrix(), positions[::20]
    return ReferenceMotion(np.linspace(0.0, duration, steps), poses, contact)


def carrying_height(
    cell: SimulatedCell, body: str, start: Pose, goal: Pose, clearance: float
) -> float:
    """Return how high the body's origin must be [m] to pass over what is between start and goal.

    Everything counts whose bounding sphere, seen from above, comes near the straight way.
    """
    below, radius = _hang_and_reach(cell, body, start)
    below = max(below, _hang_and_reach(cell, body, goal)[0])
    model, state = cell.model, cell.forward()
    names = set(cell.body_names) - {body}
    tops = [cell.context.rig.support_height]
    for geom in range(model.ngeom):
        if model.geom_contype[geom] and model.body(model.geom_bodyid[geom]).name in names:
            center, half = _world_box(cell, state, geom)
            distance = _distance_to_segment(center[:2], start[:2, 3], goal[:2, 3])
            if distance < radius + float(np.hypot(*half[:2])) + 0.01:
                tops.append(center[2] + half[2])
    return max(max(tops) + clearance + below, start[2, 3] + clearance, goal[2, 3] + clearance)


def minimum_jerk(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 0..1 from rest to rest for 0..1 of the time (Flash and Hogan 1985)."""
    return share**3 * (10.0 - 15.0 * share + 6.0 * share**2)


def _moving_part(cell: SimulatedCell, body: str) -> tuple[FixtureSpec, FixtureBody]:
    """Return the fixture and the part of it that the simulator calls `body`."""
    for fixture in cell.fixtures:
        for part in fixture.moving:
            if fixture.body_name(part.name) == body:
                return fixture, part
    raise InvalidInputError(f"'{body}' has no joint; there are {list(cell.fixture_joints())}")


def _raised(point: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    return np.array([point[0], point[1], height])


def _hang_and_reach(cell: SimulatedCell, body: str, pose: Pose) -> tuple[float, float]:
    """Return how far a body at `pose` hangs below its origin and reaches sideways from it [m]."""
    model = cell.model
    number = model.body(body).id
    below, reach = 0.0, 0.0
    for geom in range(model.ngeom):
        if model.geom_bodyid[geom] == number and model.geom_contype[geom]:
            T = np.eye(4)
            T[:3, :3] = Rotation.from_quat(model.geom_quat[geom][[1, 2, 3, 0]]).as_matrix()
            T[:3, 3] = model.geom_pos[geom]
            center, half = _box(pose @ T, model.geom_aabb[geom])
            below = max(below, pose[2, 3] - center[2] + half[2])
            offset = np.abs(center[:2] - pose[:2, 3]) + half[:2]
            reach = max(reach, float(np.hypot(*offset)))
    return below, reach


def _world_box(
    cell: SimulatedCell, state: object, geom: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return middle and half extents of a geom's box along the world's axes [m]."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = state.geom_xmat[geom].reshape(3, 3), state.geom_xpos[geom]
    return _box(T, cell.model.geom_aabb[geom])


def _box(T: Pose, aabb: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn a box in a geom's frame into one along the world's axes: middle, half extents [m]."""
    return transform_points(T, aabb[:3]), np.abs(T[:3, :3]) @ aabb[3:]


def _distance_to_segment(
    point: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> float:
    way = b - a
    t = float(np.clip((point - a) @ way / max(way @ way, 1e-12), 0.0, 1.0))
    return float(np.linalg.norm(point - a - t * way))


def _distance_to_axis(
    point: NDArray[np.float64], axis: tuple[float, ...], on_axis: tuple[float, ...]
) -> float:
    return float(np.linalg.norm(np.cross(point - np.array(on_axis), axis)))
