# SPDX-License-Identifier: Apache-2.0
"""Set something on or in something: cup on saucer, bread in the bowl, corn in the bowl."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow_manip_core.transforms import transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects import CATALOGUE, ObjectSpec
from flow_manip_mujoco.objects.task_objects import bread, corn, CUP_RIM, saucer, teacup
from flow_manip_mujoco.tasks.motions import carry_motion
from flow_manip_mujoco.tasks.placement import is_in, is_on, is_upright
from flow_manip_mujoco.tasks.rigid.drawing import (
    Area,
    draw_colour,
    draw_distractors,
    draw_phrase,
    draw_side,
    paced,
    was_lifted,
    words_of,
)
from flow_manip_mujoco.tasks.task import Predicate, ReferenceMotion, TaskSpec, TaskStep, TaskTrial

_CENTRED = 0.02  # [m] of the cup's middle from the saucer's
_DROP = 0.001  # [m] over the saucer where the cup is let go
_FOOD_DROP = 0.010  # [m] over the bowl's floor: its sides carry long things

CUP_ON_SAUCER = (
    'put the {cup} on the saucer',
    'place the {cup} on the {saucer}',
    'set the {cup} down on the saucer',
    'put the cup on the {saucer}',
    'move the {cup} onto the saucer',
)
BREAD_IN_BOWL = (
    'put the bread in the bowl',
    'place the bread in the {bowl}',
    'move the bread into the {bowl}',
    'pick up the bread and put it in the bowl',
    'put the loaf of bread in the {bowl}',
)
CORN_IN_BOWL = (
    'put the corn in the bowl',
    'place the corn in the {bowl}',
    'put the yellow corn into the {bowl}',
    'pick up the corn and place it in the bowl',
    'move the corn into the bowl',
)


def make_cup_on_saucer(seed: int) -> TaskTrial:
    """Draw a cup on one side and a saucer on the other."""
    rng = np.random.default_rng([seed, 0x63_75_70])
    cup = teacup(*draw_colour(rng, ('white', 'yellow', 'pink', 'orange')))
    plate = saucer(*draw_colour(rng, ('blue', 'green', 'red')))
    side = draw_side(rng)
    footings = {
        cup.name: Area((0.42, 0.58), (0.09, 0.22)).draw(rng, side),
        plate.name: Area((0.42, 0.58), (0.06, 0.20)).draw(rng, -side),
    }
    extra = draw_distractors(rng, int(rng.integers(1, 4)), (cup, plate))

    def goal(cell: SimulatedCell) -> ReferenceMotion:
        start, pose = cell.body_pose(cup.name), cell.body_pose(cup.name)
        pose[:3, 3] = transform_points(
            cell.body_pose(plate.name), np.array([0.0, 0.0, plate.floor + _DROP])
        )
        # The rim across from the handle.
        rim = transform_points(start, np.array([-CUP_RIM, 0.0, cup.size[2]]))
        return paced(carry_motion(cell, cup.name, pose, contact=rim))

    text = draw_phrase(rng, CUP_ON_SAUCER, cup=words_of(cup), saucer=words_of(plate))
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=Scene((cup, plate, *extra), 0, footings),
        steps=(TaskStep(text, words_of(cup), cup.name, goal),),
        stages=(
            ('lifted', was_lifted(cup.name)),
            ('over the saucer', _was_over(cup.name, plate.name, 0.05)),
            ('on the saucer', lambda cell: _stands_centred(cell, cup.name, plate.name)),
        ),
    )


def make_bread_in_bowl(seed: int) -> TaskTrial:
    """Draw a loaf and a bowl."""
    return _food_in_bowl(seed, bread(), BREAD_IN_BOWL, 0x6272)


def make_corn_in_bowl(seed: int) -> TaskTrial:
    """Draw a cob and a bowl."""
    return _food_in_bowl(seed, corn(), CORN_IN_BOWL, 0x636F)


def _food_in_bowl(
    seed: int, food: ObjectSpec, phrasings: tuple[str, ...], stream: int
) -> TaskTrial:
    rng = np.random.default_rng([seed, stream])
    bowls = ('white_bowl', 'blue_bowl', 'pink_bowl')
    bowl = CATALOGUE[bowls[int(rng.integers(len(bowls)))]]
    side = draw_side(rng)
    footings = {
        food.name: Area((0.40, 0.60), (0.08, 0.24)).draw(rng, side),
        bowl.name: Area((0.42, 0.56), (0.07, 0.20)).draw(rng, -side),
    }
    extra = draw_distractors(rng, int(rng.integers(1, 4)), (food, bowl))

    def goal(cell: SimulatedCell) -> ReferenceMotion:
        pose = cell.body_pose(food.name)
        pose[:3, 3] = transform_points(
            cell.body_pose(bowl.name), np.array([0.0, 0.0, bowl.floor + _FOOD_DROP])
        )
        return paced(carry_motion(cell, food.name, pose))

    text = draw_phrase(rng, phrasings, bowl=words_of(bowl))
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=Scene((food, bowl, *extra), 0, footings),
        steps=(TaskStep(text, food.noun, food.name, goal),),
        stages=(
            ('lifted', was_lifted(food.name)),
            ('over the bowl', _was_over(food.name, bowl.name, 0.07)),
            ('in the bowl', lambda cell: bool(is_in(cell, food.name, bowl.name))),
        ),
    )


def _was_over(body: str, target: str, radius: float) -> Predicate:
    """Return whether the object has been above its target, `radius` [m] from its middle."""
    lifted = was_lifted(body)

    def over(cell: SimulatedCell) -> bool:
        _, poses = cell.trace(body)
        apart = np.linalg.norm(poses[:, :2, 3] - cell.body_pose(target)[:2, 3], axis=1)
        above = poses[:, 2, 3] > cell.body_pose(target)[2, 3] + 0.5 * cell.spec(target).size[2]
        return lifted(cell) and bool((above & (apart < radius)).any())

    return over


def _stands_centred(cell: SimulatedCell, cup: str, plate: str) -> bool:
    """Say whether the cup stands upright in the middle of the saucer, let go of."""
    offset = cell.body_pose(cup)[:2, 3] - cell.body_pose(plate)[:2, 3]
    centred = float(np.linalg.norm(offset)) < _CENTRED
    return centred and is_upright(cell, cup, 0.1) and is_on(cell, cup, plate)


def _spec(
    name: str, phrasings: tuple[str, ...], make: Callable[[int], TaskTrial], source: str
) -> TaskSpec:
    return TaskSpec(name, phrasings, articulated=False, make_trial=make, source=source)


SETTING_DOWN = (
    _spec('cup_on_saucer', CUP_ON_SAUCER, make_cup_on_saucer, 'NovaFlow'),
    _spec('bread_in_bowl', BREAD_IN_BOWL, make_bread_in_bowl, 'Dream2Flow'),
    _spec('corn_in_bowl', CORN_IN_BOWL, make_corn_in_bowl, 'FloMo'),
)
