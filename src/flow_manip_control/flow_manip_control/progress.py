# SPDX-License-Identifier: Apache-2.0
"""How far along its plan an arm is: from joints to the second of the object's flow.

A plan is timed anew after the flow has become joint motion, so a second of the trajectory is not
a second of the flow. The two meet in the hand: it carries the object rigidly, so where the tool
has carried it tells the second of the flow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.plan import Plan, Trajectory
from flow_manip_core.transforms import interpolate_transforms, invert_transform

Array = NDArray[np.float64]
TcpPose = Callable[[Array], Array]

PERIOD = 0.02  # [s] between samples of a trajectory
MAX_SAMPLES = 600
FLOW_SAMPLES = 240
LEVER = 0.1  # [m] at which a turn counts as a way: about the size of what a hand holds


@dataclass(frozen=True)
class SegmentProgress:
    """A trajectory as the monitor sees it.

    Attributes:
        times: (K,) seconds since the trajectory's start.
        joints: (K, J) [rad].
        tcp: (K, 4, 4) T_world_tcp.
        flow_times: (K,) seconds of the plan's `times`.
    """

    times: Array
    joints: Array
    tcp: Array
    flow_times: Array

    def nearest(self, joints: Array, first: float, last: float) -> int:
        """Return the sample nearest to (J,) joints between two times [s]."""
        low = min(int(np.searchsorted(self.times, first)), len(self.times) - 1)
        high = max(int(np.searchsorted(self.times, last, side='right')), low + 1)
        away = ((self.joints[low:high] - joints) ** 2).sum(axis=1)
        return low + int(away.argmin())


def plan_progress(plan: Plan, tcp_pose: TcpPose) -> dict[int, SegmentProgress]:
    """Return the progress of every segment that holds the object, by index.

    Args:
        plan: whose holding segments follow each other from where the object was grasped.
        tcp_pose: (J,) joints to (4, 4) T_world_tcp.
    """
    parts = {i: s.trajectory for i, s in enumerate(plan.segments) if s.holding and s.trajectory}
    if not parts:
        return {}
    sampled = {index: _sample(trajectory) for index, trajectory in parts.items()}
    tcp = {i: np.array([tcp_pose(q) for q in joints]) for i, (_, joints) in sampled.items()}
    poses = np.concatenate(list(tcp.values()))
    times = align_to_flow(poses @ invert_transform(poses[0]), plan, poses[0, :3, 3])
    ends = np.cumsum([len(tcp[i]) for i in parts])
    return {
        index: SegmentProgress(*sampled[index], tcp[index], times[end - len(tcp[index]) : end])
        for index, end in zip(parts, ends)
    }


def align_to_flow(carried: Array, plan: Plan, at: Array) -> Array:
    """Find for every pose the second of the flow at which the object should be there.

    Dynamic time warping with a free end (Sakoe and Chiba 1978): the seconds never decrease, the
    first is the flow's first, and the distances between the carried and the planned object,
    summed up, are least. An object that stops or comes back the same way stays in order.

    Args:
        carried: (K, 4, 4) motion of the hand since the grasp.
        plan: with the object's planned motion.
        at: (3,) the point whose way counts: the grasp [m].

    Returns:
        (K,) seconds of ``plan.times``.
    """
    if len(plan.times) < 2:
        return np.full(len(carried), float(plan.times[0]))
    times = np.linspace(plan.times[0], plan.times[-1], FLOW_SAMPLES)
    planned = interpolate_transforms(plan.times, plan.object_poses, times)
    cost = _distances(carried, planned, at)
    came_from = np.zeros(cost.shape, dtype=np.int64)
    total = np.where(np.arange(len(times)) == 0, cost[0], np.inf)
    for row in range(1, len(cost)):
        best = np.minimum.accumulate(total)
        # Where the running minimum was reached: the latest column whose own total it is.
        reached = np.where(total <= best, np.arange(len(times)), 0)
        came_from[row] = np.maximum.accumulate(reached)
        total = best + cost[row]
    column = int(total.argmin())
    found = np.empty(len(cost), dtype=np.int64)
    for row in range(len(cost) - 1, -1, -1):
        found[row] = column
        column = came_from[row, column]
    return times[found]


def _distances(a: Array, b: Array, at: Array) -> Array:
    """Return (K, M) distances between (K, 4, 4) and (M, 4, 4) motions [m]."""
    where_a, where_b = a[:, :3, :3] @ at + a[:, :3, 3], b[:, :3, :3] @ at + b[:, :3, 3]
    moved = np.linalg.norm(where_a[:, None] - where_b, axis=2)
    # |R - S| in the Frobenius norm is 2 sqrt(2) sin(angle / 2): about sqrt(2) times a small angle.
    turned = np.linalg.norm(a[:, None, :3, :3] - b[None, :, :3, :3], axis=(2, 3)) / np.sqrt(2.0)
    return np.asarray(moved + LEVER * turned)


def _sample(trajectory: Trajectory) -> tuple[Array, Array]:
    """Return (K,) times from 0 and (K, J) joints."""
    count = int(np.clip(np.ceil(trajectory.duration / PERIOD) + 1, 2, MAX_SAMPLES))
    times = np.linspace(0.0, trajectory.duration, count)
    return times, np.array([trajectory.sample(trajectory.times[0] + t) for t in times])
