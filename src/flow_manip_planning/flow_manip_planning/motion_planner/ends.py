# SPDX-License-Identifier: Apache-2.0
"""What every motion planner does with the two ends of a way before it plans between them."""

from __future__ import annotations

import numpy as np

from flow_manip_core.errors import InvalidInputError, NoPathError
from flow_manip_planning.cancelling import Cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.escape import describe, leave_contact


def way_to_free_start(
    start: Array,
    goal: Array,
    world: CollisionWorld,
    *,
    width: float,
    seed: int,
    cancelled: Cancelled,
) -> Array:
    """Check both (J,) ends and leave the contact that the start may be in.

    Returns:
        (E, J), E >= 1: from the start to a free configuration, the start alone where it is free.

    Raises:
        InvalidInputError: an end has a wrong shape or a value that is not finite.
        NoPathError: an end is beyond a joint limit, the goal touches something, or the start does
            and no short way leaves it.
        CancelledError: `cancelled` said so.
    """
    _check(start, goal, world)
    stop_if(cancelled)
    if world.collides(goal, width):
        raise NoPathError(
            f'the goal of the free motion is in collision: {describe(world, goal, width)}'
        )
    if not world.collides(start, width):
        return start[None]
    return leave_contact(world, start, width, seed=seed, cancelled=cancelled)


def _check(start: Array, goal: Array, world: CollisionWorld) -> None:
    """Raise where an end is no configuration of the arm, or outside its limits."""
    chain, names = world.robot.chain, world.robot.config.joint_names
    for name, q in (('start', start), ('goal', goal)):
        if q.shape != (chain.num_joints,) or not np.isfinite(q).all():
            raise InvalidInputError(
                f'the {name} of the free motion is {q}, expected {chain.num_joints} finite values'
            )
        beyond = np.maximum(chain.lower - q, q - chain.upper)
        worst = int(beyond.argmax())
        if beyond[worst] > 1e-6:
            raise NoPathError(
                f'the {name} of the free motion has {names[worst]} {beyond[worst]:.4f} rad beyond '
                'its limit'
            )
