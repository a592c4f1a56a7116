# SPDX-License-Identifier: Apache-2.0
"""Put something where it just fits: the block in the square hole, the pen in its holder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_points,
)
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures.holders import (
    HOLDER_FLOOR,
    HOLDER_HEIGHT,
    HOLDER_RADIUS,
    hole_board,
    HOLE_SIDE,
    pen_holder,
)
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects.task_objects import (
    pen,
    PEN_LENGTH,
    PEN_RADIUS,
    square_block,
    SQUARE_SIDE,
)
from flow_manip_mujoco.tasks.motions import carry_motion
from flow_manip_mujoco.tasks.placement import is_at_rest, is_released, touching
from flow_manip_mujoco.tasks.rigid.drawing import (
    Area,
    draw_colour,
    draw_distractors,
    draw_phrase,
    draw_side,
    paced,
    was_lifted,
    words_of,
    wrapped,
    yaw_of,
)
from flow_manip_mujoco.tasks.task import Predicate, ReferenceMotion, TaskSpec, TaskStep, TaskTrial

_ABOVE_FLOOR = 0.001  # [m] over the ground of the hole where the block is let go
_PEN_ABOVE_FLOOR = 0.005  # [m]
_LEVEL = 0.004  # [m] over the ground of the hole that still counts as in
_GRIP_FROM_END = 0.035  # [m] from the pen's upper end: the hand stays over the holder
# A level hand over the holder points away from the base and to a side: straight away the wrist
# meets its limits [rad].
_ASIDE = np.radians(50.0)
_LEANING = np.radians(35.0)  # a pen leans until it meets the holder's rim

INSERT_BLOCK = (
    'insert the {block} into the hole',
    'put the {block} in the hole of the board',
    'insert the {block} into the square hole',
    'place the {block} into the hole in the board',
    'put the block into the square hole of the board',
)
INSERT_PEN = (
    'insert the {pen} into the pen holder',
    'put the {pen} in the pen holder',
    'place the pen into the pen holder',
    'turn the {pen} upright and put it in the pen holder',
    'stand the {pen} in the holder',
)


def make_insert_block(seed: int) -> TaskTrial:
    """Draw a square block and a board whose hole is 5 mm wider: 2.5 mm on each side."""
    rng = np.random.default_rng([seed, 0x626C])
    block = square_block(*draw_colour(rng, ('yellow', 'red', 'green')))
    board, side = hole_board(), draw_side(rng)
    footings = {
        block.name: Area((0.40, 0.58), (0.10, 0.24)).draw(rng, side),
        board.name: Area((0.44, 0.54), (0.08, 0.18)).draw(rng, -side),
    }
    extra = draw_distractors(rng, int(rng.integers(1, 4)), (block,))

    def motion(cell: SimulatedCell) -> ReferenceMotion:
        start, hole = cell.body_pose(block.name), cell.body_pose(board.name)
        # A square looks the same after a quarter turn: the nearest will do.
        quarter = np.pi / 2
        turn = wrapped(yaw_of(hole[:3, :3]) - yaw_of(start[:3, :3]))
        turn -= quarter * np.round(turn / quarter)
        goal = make_transform(
            hole[:3, 3] + [0.0, 0.0, _ABOVE_FLOOR],
            rotation_about([0, 0, 1], turn + yaw_of(start[:3, :3])),
        )
        top = transform_points(start, np.array([0.0, 0.0, 0.9 * block.size[2]]))
        return paced(carry_motion(cell, block.name, goal, contact=top))

    text = draw_phrase(rng, INSERT_BLOCK, block=words_of(block))
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=Scene((block, *extra), 0, footings, (board,)),
        steps=(TaskStep(text, words_of(block), block.name, motion),),
        stages=(
            ('lifted', was_lifted(block.name)),
            ('over the hole', _was_over_hole(block.name, board.name)),
            ('in the hole', lambda cell: _is_in_hole(cell, block.name, board.name)),
        ),
    )


def _was_over_hole(block: str, board: str) -> Predicate:
    """Return whether the block has been over the hole, within a centimetre."""
    lifted = was_lifted(block)

    def over(cell: SimulatedCell) -> bool:
        _, poses = cell.trace(block)
        local = transform_points(invert_transform(cell.body_pose(board)), poses[:, :3, 3])
        near = np.hypot(local[:, 0], local[:, 1]) < 0.01
        return lifted(cell) and bool((near & (local[:, 2] > -0.01)).any())

    return over


def _is_in_hole(cell: SimulatedCell, block: str, board: str) -> bool:
    """Say whether the block stands upright on the ground of the hole, let go of."""
    T_board_block = invert_transform(cell.body_pose(board)) @ cell.body_pose(block)
    slack = (HOLE_SIDE - SQUARE_SIDE) / 2
    fits = (np.abs(T_board_block[:2, 3]) <= slack + 0.001).all()
    down = T_board_block[2, 3] < _LEVEL and T_board_block[2, 2] > np.cos(np.radians(5.0))
    return bool(fits and down and is_released(cell, block) and is_at_rest(cell, block))


def make_insert_pen(seed: int) -> TaskTrial:
    """Draw a pen that lies on the table, rather across than towards the robot, and a holder."""
    rng = np.random.default_rng([seed, 0x7065])
    item = pen(*draw_colour(rng, ('red', 'blue', 'green', 'purple')))
    holder, side = pen_holder(), draw_side(rng)
    x, y, yaw = Area((0.40, 0.54), (0.08, 0.20), (0.6, np.pi - 0.6)).draw(rng, side)
    footings = {
        item.name: (x, y, yaw + (np.pi if rng.random() < 0.5 else 0.0)),
        holder.name: Area((0.46, 0.58), (0.06, 0.18)).draw(rng, -side),
    }
    extra = draw_distractors(rng, int(rng.integers(1, 3)), (item,))

    def motion(cell: SimulatedCell) -> ReferenceMotion:
        start = cell.body_pose(item.name)
        goal, upper = _upright_goal(start, cell.body_pose(holder.name))
        along = upper * (PEN_LENGTH / 2 - _GRIP_FROM_END)
        contact = transform_points(start, np.array([along, 0.0, 2 * PEN_RADIUS]))
        return paced(carry_motion(cell, item.name, goal, contact=contact))

    text = draw_phrase(rng, INSERT_PEN, pen=words_of(item))
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=Scene((item, *extra), 0, footings, (holder,)),
        steps=(TaskStep(text, words_of(item), item.name, motion),),
        stages=(
            ('lifted', was_lifted(item.name)),
            ('upright', _was_upright(item.name)),
            ('in the holder', lambda cell: _is_in_holder(cell, item.name, holder.name)),
        ),
    )


def _upright_goal(
    start: NDArray[np.float64], T_world_holder: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the (4, 4) goal of a pen and which end is up there: 1 for its +x end, else -1.

    The end that is nearer to the robot's base goes down: a hand that took the pen from above then
    reaches out forwards and not back.
    """
    axis = start[:3, 0]
    upper = 1.0 if axis[:2] @ start[:2, 3] > 0 else -1.0
    outwards = upper * axis
    tilt = rotation_about(np.cross(outwards, [0.0, 0.0, 1.0]), np.pi / 2)
    place = T_world_holder[:3, 3]
    outward = float(np.arctan2(place[1], place[0]) - np.arctan2(outwards[1], outwards[0]))
    turn = min((wrapped(outward + side * _ASIDE) for side in (1.0, -1.0)), key=abs)
    rotation = rotation_about([0.0, 0.0, 1.0], turn) @ tilt @ start[:3, :3]
    middle = place + np.array([0.0, 0.0, HOLDER_FLOOR + _PEN_ABOVE_FLOOR + PEN_LENGTH / 2])
    return make_transform(middle - rotation @ [0.0, 0.0, PEN_RADIUS], rotation), upper


def _was_upright(body: str) -> Predicate:
    """Return whether the pen has stood on one of its ends while it was off the table."""

    def upright(cell: SimulatedCell) -> bool:
        _, poses = cell.trace(body)
        return bool((np.abs(poses[:, 2, 0]) > np.cos(np.radians(20.0))).any())

    return upright


def _is_in_holder(cell: SimulatedCell, body: str, holder: str) -> bool:
    """Say whether one end of the pen stands on the holder's floor, let go of and at rest."""
    axis_point = np.array([[-PEN_LENGTH / 2, 0.0, PEN_RADIUS], [PEN_LENGTH / 2, 0.0, PEN_RADIUS]])
    T_holder_body = invert_transform(cell.body_pose(holder)) @ cell.body_pose(body)
    ends = transform_points(T_holder_body, axis_point)
    lower, upper = ends[np.argsort(ends[:, 2])]
    inside = np.hypot(*lower[:2]) < HOLDER_RADIUS and lower[2] < HOLDER_HEIGHT / 2
    stands = upper[2] - lower[2] > PEN_LENGTH * np.cos(_LEANING)
    left = touching(cell, body) <= {holder} and is_at_rest(cell, body)
    return bool(inside and stands and left)


INSERTING: Sequence[TaskSpec] = (
    TaskSpec('insert_block', INSERT_BLOCK, False, make_insert_block, 'NovaFlow'),
    TaskSpec('insert_pen', INSERT_PEN, False, make_insert_pen, '3DFlowAction'),
)
