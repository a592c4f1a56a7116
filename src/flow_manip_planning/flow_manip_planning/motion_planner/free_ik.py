# SPDX-License-Identifier: Apache-2.0
"""Inverse kinematics that only counts answers which touch nothing, and ways to a hand pose."""

from __future__ import annotations

from collections import Counter

import numpy as np

from flow_manip_core.errors import InCollisionError, NoPathError, UnreachableError
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.inverse_kinematics import random_starts, solve_ik_multistart
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner import MotionPlanner

STARTS = 24
SAME = 0.05  # [rad] closer answers count as one


def free_configurations(
    world: CollisionWorld,
    T_world_tip: Array,
    near: Array,
    *,
    width: float,
    seed: int = 0,
    cancelled: Cancelled = never_cancelled,
) -> Array:
    """Return the (N, J) configurations that bring the hand to a pose and touch nothing.

    Args:
        world: what may be touched.
        T_world_tip: (4, 4) pose of the tool centre point.
        near: (J,) configuration to stay near: the answers are sorted by the largest difference of
            a joint from it.
        width: the fingers' opening [m].
        seed: of the starts.
        cancelled: polled between answers.

    Raises:
        UnreachableError: no start leads to the pose within the joint limits.
        InCollisionError: all answers touch something; counts what.
        CancelledError: `cancelled` said so.
    """
    chain = world.robot.chain
    rng = np.random.default_rng(seed)
    starts = np.concatenate(
        [near[None], world.robot.home[None], random_starts(chain, STARTS, rng)]
    )
    q, solved = solve_ik_multistart(chain, T_world_tip[None], starts, near)
    answers = _distinct(q[0][solved[0]], near)
    if len(answers) == 0:
        position = ', '.join(f'{value:.3f}' for value in T_world_tip[:3, 3])
        raise UnreachableError(
            f'no configuration out of {len(starts)} starts brings the hand to ({position})'
        )
    free, touched = [], Counter()
    for answer in answers:
        stop_if(cancelled)
        if not world.collides(answer, width):
            free.append(answer)
        elif contacts := world.contacts(answer, width):
            touched[f'{contacts[0].first} and {contacts[0].second}'] += 1
    if not free:
        reasons = ', '.join(f'{count} {pair}' for pair, count in touched.most_common(3))
        raise InCollisionError(
            f'all {len(answers)} configurations for the hand pose collide: {reasons}'
        )
    return np.stack(free)


def plan_to_pose(
    planner: MotionPlanner,
    start: Array,
    T_world_tip: Array,
    world: CollisionWorld,
    *,
    width: float,
    seed: int = 0,
    max_tries: int = 4,
    cancelled: Cancelled = never_cancelled,
) -> Array:
    """Return the (K, J) corners of a way from a (J,) start to a hand pose, nearest posture first.

    Raises:
        UnreachableError, InCollisionError: as `free_configurations`.
        NoPathError: no way was found to any of the first `max_tries` postures.
        CancelledError: `cancelled` said so.
    """
    goals = free_configurations(
        world, T_world_tip, start, width=width, seed=seed, cancelled=cancelled
    )[:max_tries]
    error: NoPathError | None = None
    for goal in goals:
        try:
            return planner.plan(start, goal, world, width=width, seed=seed, cancelled=cancelled)
        except NoPathError as failure:
            error = failure
    raise NoPathError(f'no way to any of {len(goals)} postures; last: {error}')


def _distinct(answers: Array, near: Array) -> Array:
    """Return answers that differ, sorted by their distance from a configuration."""
    order = np.argsort(np.abs(answers - near).max(axis=1), kind='stable')
    kept: list[Array] = []
    for answer in answers[order]:
        if all(np.abs(answer - other).max() > SAME for other in kept):
            kept.append(answer)
    return np.array(kept).reshape(-1, answers.shape[1])
