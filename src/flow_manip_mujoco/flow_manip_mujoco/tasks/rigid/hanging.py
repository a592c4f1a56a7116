# SPDX-License-Identifier: Apache-2.0
"""Hang something by its handle: the mug on the mug tree, the cup on the rack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_points,
)
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures.racks import cup_rack, mug_tree, Peg, RACK_HOOKS, TREE_PEGS
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects.task_objects import (
    CUP_HANDLE,
    CUP_RIM,
    Handle,
    hanging_mug,
    MUG_HANDLE,
    teacup,
)
from flow_manip_mujoco.tasks.motions import carrying_height
from flow_manip_mujoco.tasks.placement import touching
from flow_manip_mujoco.tasks.rigid.drawing import (
    Area,
    draw_colour,
    draw_distractors,
    draw_phrase,
    draw_side,
    was_lifted,
    words_of,
    wrapped,
    yaw_of,
)
from flow_manip_mujoco.tasks.rigid.staged import Move, staged_motion
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial

_BEFORE_PEG = 0.045  # [m] between a peg's tip and the handle when the last straight way begins
_HUNG_AT = 0.064  # [m] from a peg's root
_DROOP = np.radians(65.0)  # what hangs by its handle tilts until the handle is nearly on top
_LEFT_OVER = 0.002  # [m] between handle and peg where the hand lets go
_HELD_FOR = 0.8  # [s] that it has hung: what falls is two metres lower by then
_CLEARANCE = 0.03  # [m]

HANG_MUG = (
    'hang the {mug} on the mug tree',
    'hang the {mug} on the tree',
    'hang the mug up by its handle',
    'put the {mug} on the mug tree',
    'place the {mug} on a peg of the mug tree',
)
HANG_CUP = (
    'hang the {cup} on the rack',
    'hang the cup on the rack',
    'hang the {cup} on a hook of the rack',
    'put the {cup} on the rack',
    'place the {cup} on the hook',
)


@dataclass(frozen=True)
class Hanging:
    """What hangs on what.

    Attributes:
        body: name of what has the handle.
        handle: its handle.
        rim: (3,) point to hold it by, in its frame [m].
        fixture: name of what has the pegs.
        pegs: of the fixture.
    """

    body: str
    handle: Handle
    rim: tuple[float, float, float]
    fixture: str
    pegs: tuple[Peg, ...]

    def motion(self, cell: SimulatedCell) -> ReferenceMotion:
        """Return lift, carry before the peg's tip, thread, lower, and tilt to how it will hang.

        What is on a peg already stays where it is.
        """
        start, T_world_fixture = cell.body_pose(self.body), cell.body_pose(self.fixture)
        contact = transform_points(start, np.array(self.rim))
        if self.is_threaded(cell):
            return staged_motion(start, (Move((0.0, 1.0)),), np.zeros(3), contact)
        turn, peg = self._choose(start, T_world_fixture)
        guide = np.array(self.handle.hole)
        guide[2] = self.handle.ceiling - peg.radius - _LEFT_OVER  # meets the peg's axis at the end
        up = np.array([0.0, 0.0, 1.0])
        rotation = rotation_about(up, turn) @ start[:3, :3]
        before, over, on = transform_points(T_world_fixture, self._way(peg, guide[2]))
        goal = make_transform(on - rotation @ guide, rotation)
        height = carrying_height(cell, self.body, start, goal, _CLEARANCE)
        now, high = transform_points(start, guide), max(height + guide[2], before[2])
        moves = (
            Move((0.0, 1.3), (high - now[2]) * up),
            Move((0.9, 3.1), (before - now) * (1.0 - up), turn * up),
            Move((2.7, 3.6), (before[2] - high) * up),
            Move((3.4, 4.7), over - before),
            Move((4.6, 5.3), on - over),
            Move((5.2, 6.8), turn=-_DROOP * rotation[:, 1]),
        )
        return staged_motion(start, moves, guide, contact)

    def _way(self, peg: Peg, upper: float) -> NDArray[np.float64]:
        """Return where a point of the opening `upper` [m] high goes: before, over, on the peg.

        (3, 3) in the fixture's frame.
        """
        # Over the lip the opening's upper edge stays higher than where it will rest.
        lift = np.array([0.0, 0.0, upper - self.handle.height + peg.lip / 2])
        before, over = peg.at(peg.length + _BEFORE_PEG) + lift, peg.at(_HUNG_AT) + lift
        return np.array([before, over, peg.at(_HUNG_AT)])

    def _choose(
        self, start: NDArray[np.float64], T_world_fixture: NDArray[np.float64]
    ) -> tuple[float, Peg]:
        """Return the turn about z [rad] and the peg for which an arm must do least.

        The opening is passed along y. Tilted as it hangs, the mug's handle is up and the hand
        that came from above points where the handle points: best away from the robot. The body
        hangs beside its peg: best where no other peg is.
        """
        options = []
        for peg in self.pegs:
            out = T_world_fixture[:3, :3] @ peg.direction
            place = transform_points(T_world_fixture, np.array(peg.end))
            away = float(np.arctan2(place[1], place[0]))
            for sign in (1.0, -1.0):
                yaw = float(np.arctan2(sign * out[1], sign * out[0])) - np.pi / 2
                turn = wrapped(yaw - yaw_of(start[:3, :3]))
                backwards = abs(wrapped(yaw - away)) > np.radians(100.0)
                body = T_world_fixture[:3, :3].T @ -rotation_about([0, 0, 1], yaw)[:, 0]
                crowded = any(
                    (np.array(other.root) - np.array(peg.root)) @ body > 0.01
                    for other in self.pegs
                )
                options.append((abs(turn) + 10.0 * backwards + 5.0 * crowded, turn, peg))
        _, turn, peg = min(options, key=lambda option: option[0])
        return turn, peg

    def is_threaded(self, cell: SimulatedCell) -> bool:
        """Say whether a peg goes through the handle's opening."""
        return self._is_threaded_at(cell, cell.body_pose(self.body))

    def hangs(self, cell: SimulatedCell) -> bool:
        """Say whether it hangs by its handle: on a peg for a while, touching nothing else.

        It may swing: that takes many seconds to die down.
        """
        times, poses = cell.trace(self.body)
        lately = poses[times >= cell.time - _HELD_FOR]
        return touching(cell, self.body) <= {self.fixture} and all(
            self._is_threaded_at(cell, pose) for pose in (*lately, cell.body_pose(self.body))
        )

    def _is_threaded_at(self, cell: SimulatedCell, pose: NDArray[np.float64]) -> bool:
        T_body_fixture = invert_transform(pose) @ cell.body_pose(self.fixture)
        return any(self._passes(transform_points(T_body_fixture, _axis(p))) for p in self.pegs)

    def _passes(self, axis: NDArray[np.float64]) -> bool:
        """Say whether a (K, 3) line in the body's frame crosses the opening."""
        handle = self.handle
        for a, b in pairwise(axis):
            if a[1] * b[1] < 0:
                x, _, z = a + (b - a) * a[1] / (a[1] - b[1])
                if handle.wall < x < handle.outer and abs(z - handle.height) < handle.rise:
                    return True
        return False


def _axis(peg: Peg) -> NDArray[np.float64]:
    """Return the (K, 3) corners of a peg's axis."""
    points = [peg.root, peg.end]
    if peg.lip:
        points.append((*peg.end[:2], peg.end[2] + peg.lip))
    return np.array(points)


def make_hang_mug(seed: int) -> TaskTrial:
    """Draw a mug on one side and a tree with two pegs on the other."""
    rng = np.random.default_rng([seed, 0x6D75])
    mug = hanging_mug(*draw_colour(rng, ('blue', 'green', 'orange', 'pink')))
    tree, side = mug_tree(), draw_side(rng)
    footings = {
        mug.name: Area((0.40, 0.55), (0.08, 0.20)).draw(rng, side),
        tree.name: Area((0.48, 0.58), (0.12, 0.20), (-0.6, 0.6)).draw(rng, -side),
    }
    extra = draw_distractors(rng, int(rng.integers(1, 3)), (mug,))
    hanging = Hanging(
        mug.name, MUG_HANDLE, (-MUG_HANDLE.wall, 0.0, mug.size[2]), tree.name, TREE_PEGS
    )
    text = draw_phrase(rng, HANG_MUG, mug=words_of(mug))
    scene = Scene((mug, *extra), 0, footings, (tree,))
    return _trial(seed, text, scene, words_of(mug), hanging)


def make_hang_cup(seed: int) -> TaskTrial:
    """Draw a cup in front of a rack whose hooks point at the robot."""
    rng = np.random.default_rng([seed, 0x6861])
    cup = teacup(*draw_colour(rng, ('white', 'yellow', 'pink', 'blue')))
    rack, side = cup_rack(), draw_side(rng)
    footings = {
        cup.name: Area((0.38, 0.52), (0.10, 0.22)).draw(rng, side),
        # Turned so that no hook hides what is under it from the camera.
        rack.name: Area((0.60, 0.66), (0.06, 0.14), (0.20, 0.55)).draw(rng, -side),
    }
    extra = draw_distractors(rng, int(rng.integers(1, 3)), (cup,))
    hanging = Hanging(cup.name, CUP_HANDLE, (-CUP_RIM, 0.0, cup.size[2]), rack.name, RACK_HOOKS)
    text = draw_phrase(rng, HANG_CUP, cup=words_of(cup))
    scene = Scene((cup, *extra), 0, footings, (rack,))
    return _trial(seed, text, scene, words_of(cup), hanging)


def _trial(seed: int, text: str, scene: Scene, words: str, hanging: Hanging) -> TaskTrial:
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=scene,
        steps=(TaskStep(text, words, hanging.body, hanging.motion),),
        stages=(
            ('lifted', was_lifted(hanging.body)),
            ('handle over the peg', hanging.is_threaded),
            ('hangs', hanging.hangs),
        ),
    )


HANGING: Sequence[TaskSpec] = (
    TaskSpec('hang_mug', HANG_MUG, False, make_hang_mug, 'NovaFlow'),
    TaskSpec('hang_cup', HANG_CUP, False, make_hang_cup, '3DFlowAction'),
)
