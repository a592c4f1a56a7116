# SPDX-License-Identifier: Apache-2.0
"""Ways out of contact for an arm that stopped in the middle of things.

After a cancel or a slip the arm may touch what it was working on, and a planner that only knows
free and not free cannot start there. A way out is a short motion on which no contact gets deeper
and none is added, up to the first free configuration.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flow_manip_core.errors import NoPathError
from flow_manip_core.transforms import make_transform
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld, STEP
from flow_manip_planning.contacts import Contact
from flow_manip_planning.inverse_kinematics import solve_ik
from flow_manip_planning.kinematics import Array

RETREAT = 0.05  # [m] along the tool's axis, then straight up
RETREAT_STEP = 0.005  # [m]
REACH = 0.15  # [rad] of each joint, for the nearest free configuration
SAMPLES = 300
# What sliding along a grid of voxels changes although nothing gets deeper: of the depth [m], and
# of the number of voxels, as a share.
GRAIN, GRAIN_SHARE = 0.001, 0.1
MAX_JUMP = 0.2  # [rad] of a joint in one retreat step: more is another posture


def leave_contact(
    world: CollisionWorld,
    start: Array,
    width: float,
    *,
    seed: int = 0,
    cancelled: Cancelled = never_cancelled,
) -> Array:
    """Return (E, J) corners from a (J,) start that collides to the first free configuration found.

    Tried in this order: back along the tool's axis and straight up, each up to 5 cm; then the
    nearest free configuration within 0.15 rad of every joint.

    Raises:
        NoPathError: none of them; names what touches what and how deep.
        CancelledError: `cancelled` said so.
    """
    guard = _Guard(world, start, width)
    tip = world.robot.chain.tip(start)
    for direction in (-tip[:3, 2], np.array([0.0, 0.0, 1.0])):
        stop_if(cancelled)
        way = _retreat(world, guard, start, width, direction)
        if way is not None:
            return way
    tried = 0
    for q in _nearby(world, start, np.random.default_rng(seed)):
        stop_if(cancelled)
        tried += 1
        if not world.collides(q, width) and guard.allows(_dense(start, q)):
            return np.stack([start, q])
    raise NoPathError(
        f'the start of the free motion is in collision: {describe(world, start, width)}; no way '
        f'out within {100 * RETREAT:.0f} cm along the tool or upwards, nor to any of {tried} '
        f'configurations within {REACH} rad'
    )


def describe(world: CollisionWorld, q: Array, width: float) -> str:
    """Say what overlaps at (J,), deepest first, at most three pairs."""
    contacts = world.contacts(q, width)
    text = ', '.join(str(contact) for contact in contacts[:3])
    more = f' and {len(contacts) - 3} more' if len(contacts) > 3 else ''
    return f'{text}{more}' if contacts else 'bodies touch without depth'


def first_worse(world: CollisionWorld, path: Array, width: float) -> int | None:
    """Return the index of the first of (K, J) configurations that may not be there.

    That is the first that collides, except that a path may begin in contact and leave it as
    `leave_contact` does: as long as it has not been free, a contact is worse only where it is new
    or deeper than before.
    """
    first = 0
    if world.collides(path[0], width):
        guard = _Guard(world, path[0], width)
        while first < len(path) and world.collides(path[first], width):
            if not guard.allows(path[first : first + 1]):
                return first
            first += 1
        if first == len(path):
            return first - 1
    later = world.first_collision(path[first:], width)
    return None if later is None else first + later


class _Guard:
    """Watches that no contact gets deeper than at the start and none is added."""

    def __init__(self, world: CollisionWorld, start: Array, width: float) -> None:
        self._world, self._width = world, width
        self._before = {(c.first, c.second): c for c in world.contacts(start, width)}

    def allows(self, path: Array) -> bool:
        """Say whether nothing gets deeper on (K, J)."""
        return all(self._harmless(c) for q in path for c in self._world.contacts(q, self._width))

    def _harmless(self, contact: Contact) -> bool:
        before = self._before.get((contact.first, contact.second))
        if before is None:
            return contact.depth <= GRAIN
        return (
            contact.depth <= before.depth + GRAIN
            and contact.pieces <= before.pieces * (1.0 + GRAIN_SHARE) + 2
        )


def _retreat(
    world: CollisionWorld, guard: _Guard, start: Array, width: float, direction: Array
) -> Array | None:
    """Move the tip straight along a unit direction until the arm is free; None if it cannot."""
    chain = world.robot.chain
    tip, way = chain.tip(start), [start]
    for distance in np.arange(RETREAT_STEP, RETREAT + 1e-9, RETREAT_STEP):
        target = make_transform(distance * direction) @ tip
        answer = solve_ik(chain, target[None], way[-1][None], iterations=15)
        q = answer.q[0]
        if not answer.solved[0] or np.abs(q - way[-1]).max() > MAX_JUMP:
            return None
        if not guard.allows(_dense(way[-1], q)):
            return None
        way.append(q)
        if not world.collides(q, width):
            return _shortened(guard, np.stack(way))
    return None


def _shortened(guard: _Guard, way: Array) -> Array:
    """Go straight to the end of a way where that is as harmless."""
    ends = way[[0, -1]]
    return ends if guard.allows(_dense(*ends)) else way


def _nearby(world: CollisionWorld, start: Array, rng: np.random.Generator) -> Iterator[Array]:
    """Yield configurations around a start within the limits, nearest first."""
    chain = world.robot.chain
    offsets = rng.uniform(-1.0, 1.0, (SAMPLES, len(start)))
    # The largest offset is spread evenly: most of a cube's points are near its corners.
    reach = REACH * (1.0 + np.arange(SAMPLES)) / SAMPLES
    offsets *= (reach / np.abs(offsets).max(axis=1))[:, None]
    order = np.argsort(np.linalg.norm(offsets, axis=1))
    yield from np.clip(start + offsets[order], chain.lower, chain.upper)


def _dense(start: Array, end: Array) -> Array:
    """Return configurations along a straight line, without its start."""
    count = max(1, int(np.ceil(np.abs(end - start).max() / STEP)))
    return start + (end - start) * np.linspace(0, 1, count + 1)[1:, None]
