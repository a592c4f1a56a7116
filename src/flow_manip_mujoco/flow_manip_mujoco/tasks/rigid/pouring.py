# SPDX-License-Identifier: Apache-2.0
"""Pour with a spout: water the plant, pour tea into the cup. Judged by the trace of the spout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.fixtures.holders import flower_pot, POT_HEIGHT, POT_OPENING
from flow_manip_mujoco.layout import fixture_pose, Footing, Scene
from flow_manip_mujoco.objects.task_objects import (
    CAN_HEIGHT,
    CAN_SPOUT,
    CUP_HEIGHT,
    teacup,
    teapot,
    TEAPOT_HANDLE,
    TEAPOT_SPOUT,
    watering_can,
)
from flow_manip_mujoco.tasks.motions import carrying_height
from flow_manip_mujoco.tasks.placement import is_on, is_upright, touching
from flow_manip_mujoco.tasks.rigid.drawing import (
    Area,
    Circle,
    draw_apart,
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

_POURED_FOR = 0.5  # [s] that the spout must stay tilted over the opening
_UPRIGHT = np.radians(12.0)
_SPILLS = np.radians(30.0)  # tilted so far on the way, tea runs out
_MORE_TILT = np.radians(12.0)  # of the reference, beyond what is asked for
_CLEARANCE = 0.02  # [m]

WATER_PLANT = (
    'water the plant',
    'water the plant with the {can}',
    'pour water from the {can} on the plant',
    'use the watering can to water the plant',
    'give the plant some water',
)
POUR_TEA = (
    'pour tea into the {cup}',
    'pour tea from the {pot} into the cup',
    'pour the tea into the cup',
    'fill the {cup} with tea from the teapot',
    'use the {pot} to pour tea into the cup',
)


@dataclass(frozen=True)
class Pouring:
    """What pours into what.

    Attributes:
        body: name of what has the spout.
        spout: (3,) its tip in the body's frame, on the +x side [m].
        grip: (3,) where to hold it, in its frame [m].
        target: name of what is poured into.
        rim: height of the target's opening over its origin [m].
        opening: radius in which the spout must be [m].
        heights: least and largest of the spout over the rim that count [m].
        tilt: that the spout must point down by at least [rad].
        level_height, pour_height: of the spout over the rim before and while it pours [m].
        offset: the spout stays this far from the middle, on its own side [m].
    """

    body: str
    spout: tuple[float, float, float]
    grip: tuple[float, float, float]
    target: str
    rim: float
    opening: float
    heights: tuple[float, float]
    tilt: float
    level_height: float
    pour_height: float
    offset: float = 0.0
    headings: tuple[float, ...] = (0.0,)

    # ---------------------------------------------------------------- reference

    def motion(self, cell: SimulatedCell) -> ReferenceMotion:
        """Return lift, carry the spout over, tilt about its tip, hold, and all the way back."""
        start = cell.body_pose(self.body)
        mouth = cell.body_pose(self.target)[:3, 3] + [0.0, 0.0, self.rim]
        heading = self._heading(start, mouth)
        turn = wrapped(heading - yaw_of(start[:3, :3]))
        forward = np.array([np.cos(heading), np.sin(heading), 0.0])
        tip = transform_points(start, np.array(self.spout))
        level = mouth - self.offset * forward + [0.0, 0.0, self.level_height]
        up = np.array([0.0, 0.0, 1.0])
        turned = make_transform([0.0, 0.0, 0.0], rotation_about(up, heading))
        turned[:3, 3] = level - transform_points(turned, np.array(self.spout))
        height = carrying_height(cell, self.body, start, turned, _CLEARANCE)
        level[2] = max(level[2], height + self.spout[2])
        across, rise = (level - tip) * (1.0 - up), (level - tip) * up
        lower = (mouth[2] + self.pour_height - level[2]) * up
        tilt = (self.tilt + _MORE_TILT) * np.cross(up, forward)
        moves = (
            Move((0.0, 1.3), rise),
            Move((0.9, 2.8), across, turn * up),
            # Tilted first, then lowered: the body stays high over the target.
            Move((2.6, 3.8), turn=tilt),
            Move((3.1, 4.1), lower),
            Move((4.8, 5.6), -lower),
            Move((4.9, 5.9), turn=-tilt),
            Move((5.8, 7.3), -across, -turn * up),
            Move((6.8, 8.0), -rise),
        )
        contact = transform_points(start, np.array(self.grip))
        return staged_motion(start, moves, np.array(self.spout), contact)

    def _heading(self, start: NDArray[np.float64], mouth: NDArray[np.float64]) -> float:
        """Return where the spout points over the target [rad]: the least turn that suits an arm.

        Allowed headings are relative to the direction from the target to the robot's base.
        """
        home = float(np.arctan2(-mouth[1], -mouth[0]))
        now = yaw_of(start[:3, :3])
        return min((home + h for h in self.headings), key=lambda h: abs(wrapped(h - now)))

    def taken(self, footings: Mapping[str, Footing]) -> list[Circle]:
        """Return where nothing else may stand: both things, and the body while it pours."""
        start = fixture_pose(footings[self.body], 0.0)
        mouth = fixture_pose(footings[self.target], 0.0)[:3, 3]
        heading = self._heading(start, mouth)
        behind = mouth[:2] - 0.09 * np.array([np.cos(heading), np.sin(heading)])
        return [
            (tuple(start[:2, 3]), 0.10),
            (tuple(mouth[:2]), 0.06),
            (tuple(behind), 0.10),
        ]

    # ---------------------------------------------------------------- success

    def has_poured(self, cell: SimulatedCell) -> bool:
        """Say whether the spout was tilted over the opening for half a second on end."""
        times, poses = cell.trace(self.body)
        pours = self._is_over(cell, poses) & (_dip(poses) >= self.tilt)
        return _longest_spell(times, pours) >= _POURED_FOR

    def came_over(self, cell: SimulatedCell) -> bool:
        """Say whether the spout has been over the opening."""
        return bool(self._is_over(cell, cell.trace(self.body)[1]).any())

    def stayed_level(self, cell: SimulatedCell) -> bool:
        """Say whether it was upright all the way until it was near the opening."""
        _, poses = cell.trace(self.body)
        far = np.hypot(*self._tips_from_mouth(cell, poses)[:, :2].T) > self.opening + 0.03
        return bool((poses[far, 2, 2] > np.cos(_SPILLS)).all())

    def is_upright_again(self, cell: SimulatedCell) -> bool:
        """Say whether it is upright, in the hand or on the table, and the target unharmed."""
        carried = {'panda_leftfinger', 'panda_rightfinger', 'panda_hand', 'table'}
        return is_upright(cell, self.body, _UPRIGHT) and bool(
            carried & touching(cell, self.body) and self.has_poured(cell)
        )

    def _tips_from_mouth(
        self, cell: SimulatedCell, poses: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (T, 3) from the middle of the opening to the spout's tip, in the world [m]."""
        mouth = cell.start_poses[self.target][:3, 3] + [0.0, 0.0, self.rim]
        return poses[:, :3, :3] @ np.array(self.spout) + poses[:, :3, 3] - mouth

    def _is_over(self, cell: SimulatedCell, poses: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say for (T, 4, 4) poses whether the spout's tip is over the opening."""
        tips = self._tips_from_mouth(cell, poses)
        low, high = self.heights
        inside = np.hypot(tips[:, 0], tips[:, 1]) < self.opening
        return inside & (tips[:, 2] > low) & (tips[:, 2] < high)


def _dip(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T,) how far the x axes, where spouts are, point below the horizon [rad]."""
    return -np.arcsin(np.clip(poses[:, 2, 0], -1.0, 1.0))


def _longest_spell(times: NDArray[np.float64], active: NDArray[np.bool_]) -> float:
    """Return how long (T,) `active` was true without a break [s]."""
    longest, begin = 0.0, None
    for time, is_active in zip(times, active):
        begin = (time if begin is None else begin) if is_active else None
        longest = max(longest, 0.0 if begin is None else float(time - begin))
    return longest


def make_water_plant(seed: int) -> TaskTrial:
    """Draw a watering can on one side and a potted cactus on the other."""
    rng = np.random.default_rng([seed, 0x7761])
    can = watering_can(*draw_colour(rng, ('green', 'blue', 'orange', 'white')))
    plant, side = flower_pot(), draw_side(rng)
    footings = {
        can.name: _spout_footing(rng, side, (0.42, 0.56), (0.12, 0.24)),
        plant.name: Area((0.42, 0.54), (0.06, 0.16)).draw(rng, -side),
    }
    pouring = Pouring(
        body=can.name,
        spout=CAN_SPOUT,
        grip=(-0.0302, 0.0, CAN_HEIGHT),
        target=plant.name,
        rim=POT_HEIGHT,
        opening=POT_OPENING,
        heights=(0.0, 0.15),
        tilt=np.radians(38.0),
        level_height=0.10,
        pour_height=0.065,
        offset=0.018,
    )
    extra = draw_distractors(rng, int(rng.integers(1, 3)), (can,))
    places = draw_apart(rng, extra, pouring.taken(footings))
    extra = tuple(spec for spec in extra if spec.name in places)
    text = draw_phrase(rng, WATER_PLANT, can=words_of(can))
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=Scene((can, *extra), 0, footings | places, (plant,)),
        steps=(TaskStep(text, words_of(can), can.name, pouring.motion),),
        stages=(
            ('lifted', was_lifted(can.name)),
            ('spout over the plant', pouring.came_over),
            ('watered', pouring.has_poured),
            ('upright again', pouring.is_upright_again),
        ),
    )


def make_pour_tea(seed: int) -> TaskTrial:
    """Draw a teapot on one side and a cup on the other."""
    rng = np.random.default_rng([seed, 0x7465])
    pot = teapot(*draw_colour(rng, ('white', 'blue', 'orange', 'green')))
    cup = teacup(*draw_colour(rng, ('pink', 'yellow', 'red')))
    side = draw_side(rng)
    footings = {
        pot.name: _spout_footing(rng, side, (0.42, 0.56), (0.12, 0.24)),
        cup.name: Area((0.42, 0.54), (0.06, 0.16)).draw(rng, -side),
    }
    pouring = Pouring(
        body=pot.name,
        spout=TEAPOT_SPOUT,
        grip=(-TEAPOT_HANDLE.outer, 0.0, TEAPOT_HANDLE.height),
        target=cup.name,
        rim=CUP_HEIGHT,
        opening=0.028,
        heights=(0.0, 0.12),
        tilt=np.radians(38.0),
        level_height=0.09,
        pour_height=0.05,
    )

    def served(cell: SimulatedCell) -> bool:
        moved = cell.body_pose(cup.name)[:2, 3] - cell.start_poses[cup.name][:2, 3]
        unharmed = is_on(cell, cup.name, 'table') and is_upright(cell, cup.name)
        stays = float(np.linalg.norm(moved)) < 0.02
        level = pouring.stayed_level(cell)
        return bool(unharmed and stays and level and pouring.is_upright_again(cell))

    extra = draw_distractors(rng, int(rng.integers(1, 3)), (pot, cup))
    places = draw_apart(rng, extra, pouring.taken(footings))
    extra = tuple(spec for spec in extra if spec.name in places)
    text = draw_phrase(rng, POUR_TEA, cup=words_of(cup), pot=words_of(pot))
    return TaskTrial(
        seed=seed,
        instruction=text,
        scene=Scene((pot, cup, *extra), 0, footings | places),
        steps=(TaskStep(text, words_of(pot), pot.name, pouring.motion),),
        stages=(
            ('lifted', was_lifted(pot.name)),
            ('spout over the cup', pouring.came_over),
            ('poured', pouring.has_poured),
            ('served', served),
        ),
    )


def _spout_footing(
    rng: np.random.Generator, side: float, x: tuple[float, float], y: tuple[float, float]
) -> tuple[float, float, float]:
    """Draw a place whose spout points towards the other side, give or take, or the robot."""
    place_x, place_y, _ = Area(x, y).draw(rng, side)
    return place_x, place_y, side * float(rng.uniform(-np.pi / 2 - 0.9, -np.pi / 2 + 0.5))


POURING: Sequence[TaskSpec] = (
    TaskSpec('water_plant', WATER_PLANT, False, make_water_plant, 'NovaFlow'),
    TaskSpec('pour_tea', POUR_TEA, False, make_pour_tea, '3DFlowAction'),
)
