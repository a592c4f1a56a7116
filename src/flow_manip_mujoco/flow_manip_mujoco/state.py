# SPDX-License-Identifier: Apache-2.0
"""The state of a cell as JSON text: what a copy needs in order to look the same.

The scene is named, not spelled out: by the task and its seed, or by the catalogue's names. Text
from elsewhere is bounded and checked before anything is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
import math
from typing import Any, TYPE_CHECKING

import numpy as np

from flow_manip_core.errors import InvalidInputError
from flow_manip_mujoco.cell_config import RandomisationConfig
from flow_manip_mujoco.layout import Footing, Scene
from flow_manip_mujoco.objects import CATALOGUE

if TYPE_CHECKING:
    from flow_manip_mujoco.cell import SimulatedCell

VERSION = 1
MAX_LENGTH = 100_000  # characters
_MAX_NAMES, _MAX_NAME = 64, 80
_MAX_VALUE = 1e4  # [m, rad, and their rates]
_SIZES = ((1, 1), (7, 6))  # numbers in position and velocity of a hinge or slide, a free body
_KEYS = (
    *('version', 'robot', 'camera', 'seed', 'task', 'objects', 'distractors', 'footings'),
    *('randomisation', 'time', 'joints'),
)

JointState = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class CellState:
    """What the text says.

    Attributes:
        robot: name of the robot.
        camera: name of the rig's camera.
        seed: that the cell was reset with; colours and light are drawn from it.
        task: name of the task whose trial of that seed stands on the table; empty for a free
            scene.
        objects: names from the catalogue that a free scene asks for.
        distractors: how many more the seed drew.
        footings: (x, y, yaw) of what a free scene has placed.
        randomisation: ranges that the seed drew light and camera from.
        time: since the reset [s].
        joints: position and velocity of every joint by name: 1 and 1 numbers of a hinge or slide
            [rad or m], 7 (x, y, z, quaternion wxyz) and 6 of a free body.
    """

    robot: str
    camera: str
    seed: int
    task: str
    objects: tuple[str, ...]
    distractors: int
    footings: Mapping[str, Footing]
    randomisation: RandomisationConfig
    time: float
    joints: Mapping[str, JointState]

    @classmethod
    def of(cls, cell: SimulatedCell) -> CellState:
        """Read a cell.

        Raises:
            InvalidInputError: its scene has things that neither a task nor the catalogue knows.
        """
        scene, free = cell.scene, not cell.task
        if free and (strange := _not_in_catalogue(scene)):
            raise InvalidInputError(
                f'{strange} are of no task and not in the catalogue: no name leads to them'
            )
        model, data = cell.model, cell.data
        joints = {}
        for index in range(model.njnt):
            joint = data.joint(index)
            joints[joint.name] = tuple(joint.qpos.tolist()), tuple(joint.qvel.tolist())
        return cls(
            robot=cell.context.robot.name,
            camera=cell.context.rig.camera.name,
            seed=int(cell.seed),
            task=cell.task,
            objects=tuple(spec.name for spec in scene.specs) if free else (),
            distractors=scene.distractors if free else 0,
            footings=dict(scene.footings) if free else {},
            randomisation=cell.config.randomisation,
            time=cell.time,
            joints=joints,
        )

    def dumps(self) -> str:
        """Write it as JSON."""
        values = {'version': VERSION, **vars(self), 'randomisation': vars(self.randomisation)}
        return json.dumps(values, separators=(',', ':'))

    @classmethod
    def loads(cls, text: str) -> CellState:
        """Read JSON that anybody may have written.

        Raises:
            InvalidInputError: it is too long, no JSON, of another version, or a value is missing,
                unknown, of the wrong type or out of range.
        """
        if not isinstance(text, str) or len(text) > MAX_LENGTH:
            raise InvalidInputError(f'a state is text of at most {MAX_LENGTH} characters')
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f'the state is no JSON: {error}') from error
        if not isinstance(values, dict) or sorted(values) != sorted(_KEYS):
            raise InvalidInputError(f'a state has {list(_KEYS)} and nothing else')
        if values['version'] != VERSION:
            raise InvalidInputError(f'state of version {values["version"]!r}, read is {VERSION}')
        return cls(
            robot=_name(values['robot'], 'robot'),
            camera=_name(values['camera'], 'camera'),
            seed=_whole(values['seed'], 'seed', 2**63 - 1),
            task=_name(values['task'], 'task', empty=True),
            objects=tuple(_name(v, 'object') for v in _sequence(values['objects'], 'objects')),
            distractors=_whole(values['distractors'], 'distractors', _MAX_NAMES),
            footings={
                name: _numbers(value, f'footing of {name}', 3)
                for name, value in _mapping(values['footings'], 'footings').items()
            },
            randomisation=_randomisation(values['randomisation']),
            time=_number(values['time'], 'time', 0.0, 1e9),
            joints={
                name: _joint(value, name)
                for name, value in _mapping(values['joints'], 'joints').items()
            },
        )

    def scene(self) -> Scene:
        """Return what to reset a cell with.

        Raises:
            ConfigurationError: an object is unknown, or there are too many.
            InvalidInputError: there is no such task.
        """
        if not self.task:
            return Scene(self.objects, self.distractors, self.footings)
        # Tasks are made of cells, cells are read from states: whoever is first must wait.
        from flow_manip_mujoco.tasks import task_named

        return task_named(self.task).make_trial(self.seed).scene

    def check(self, cell: SimulatedCell) -> None:
        """Compare with a cell that was reset to the scene.

        Raises:
            InvalidInputError: robot, camera or joints are not the cell's.
        """
        context = cell.context
        have = context.robot.name, context.rig.camera.name
        if (self.robot, self.camera) != have:
            raise InvalidInputError(
                f"the state is of robot '{self.robot}' and camera '{self.camera}', this is "
                f"'{have[0]}' and '{have[1]}'"
            )
        sizes = {
            joint.name: (len(joint.qpos), len(joint.qvel))
            for joint in map(cell.data.joint, range(cell.model.njnt))
        }
        told = {name: (len(q), len(v)) for name, (q, v) in self.joints.items()}
        if told != sizes:
            differing = sorted(set(told.items()) ^ set(sizes.items()))
            raise InvalidInputError(f'joints do not belong to the scene: {differing[:6]}')

    def apply(self, cell: SimulatedCell) -> None:
        """Set the joints and the time of a cell that was reset to the scene."""
        for name, (position, velocity) in self.joints.items():
            joint = cell.data.joint(name)
            joint.qpos[:], joint.qvel[:] = position, velocity
        cell.data.time = self.time


def _not_in_catalogue(scene: Scene) -> list[str]:
    known = [spec for spec in scene.specs if CATALOGUE.get(spec.name) is spec]
    strange = [spec.name for spec in scene.specs if spec not in known]
    return strange + [fixture.name for fixture in scene.fixtures]


def _randomisation(value: Any) -> RandomisationConfig:
    values = {n: _number(v, n, 0.0, 10.0) for n, v in _mapping(value, 'randomisation').items()}
    try:
        return RandomisationConfig(**values)
    except TypeError as error:
        raise InvalidInputError(f'state: randomisation: {error}') from error


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > _MAX_NAMES:
        raise InvalidInputError(f"state: '{where}' is not a mapping of at most {_MAX_NAMES}")
    for name in value:
        _name(name, where)
    return value


def _sequence(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > _MAX_NAMES:
        raise InvalidInputError(f"state: '{where}' is not a list of at most {_MAX_NAMES}")
    return value


def _name(value: Any, where: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME or not (value or empty):
        raise InvalidInputError(f"state: '{where}' is not a name of at most {_MAX_NAME} letters")
    return value


def _whole(value: Any, where: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InvalidInputError(f"state: '{where}' is no whole number within 0..{most}")
    return value


def _number(value: Any, where: str, low: float = -_MAX_VALUE, high: float = _MAX_VALUE) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        raise InvalidInputError(f"state: '{where}' is no number within {low:g}..{high:g}")
    return float(value)


def _numbers(value: Any, where: str, count: int) -> Any:
    if len(_sequence(value, where)) != count:
        raise InvalidInputError(f"state: '{where}' has {len(value)} numbers, not {count}")
    return tuple(_number(v, where) for v in value)


def _joint(value: Any, name: str) -> JointState:
    parts = _sequence(value, name)
    sizes = tuple(len(_sequence(part, name)) for part in parts)
    if sizes not in _SIZES:
        raise InvalidInputError(f"state: joint '{name}' has {sizes} numbers, not one of {_SIZES}")
    position, velocity = (_numbers(part, name, len(part)) for part in parts)
    if len(position) == 7 and abs(float(np.linalg.norm(position[3:])) - 1.0) > 1e-3:
        raise InvalidInputError(f"state: joint '{name}' has no unit quaternion")
    return position, velocity
