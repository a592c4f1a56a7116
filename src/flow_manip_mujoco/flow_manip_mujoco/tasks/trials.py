# SPDX-License-Identifier: Apache-2.0
"""Randomised trials: an instruction, the scene it is about, and what counts as success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import are_told_apart, Scene
from flow_manip_mujoco.objects import CATALOGUE, ObjectSpec
from flow_manip_mujoco.tasks.placement import is_in, is_on

_MOVABLE = ('block', 'can', 'ball', 'bottle')
_SETTLE_TIME = 1.0  # [s] simulated before success is read


@dataclass(frozen=True)
class Trial:
    """One task.

    Attributes:
        seed: it was drawn from; also the seed to reset with.
        instruction: in words.
        scene: to reset the cell with.
        object: name of what is to be moved.
        target: name of where it is to go.
        relation: 'on' or 'in'.
    """

    seed: int
    instruction: str
    scene: Scene
    object: str
    target: str
    relation: str
    _predicate: Callable[[SimulatedCell, str, str], bool] = field(repr=False, compare=False)

    def reset(self, cell: SimulatedCell) -> None:
        """Set the table."""
        cell.reset(self.seed, self.scene)

    def success(self, cell: SimulatedCell) -> bool:
        """Let the cell settle for a second, then read from its state whether the task is done."""
        cell.step(round(_SETTLE_TIME / cell.timestep))
        return self._predicate(cell, self.object, self.target)


def make_put_trial(seed: int) -> Trial:
    """Draw "put the <colour> <shape> on/in the <target>" with three to five distractors.

    Distractors never share both words with the object or the target, but in half of the trials one
    shares the object's shape or colour, so that both words are needed.
    """
    rng = np.random.default_rng([seed, 0x7075])
    specs = [CATALOGUE[name] for name in sorted(CATALOGUE)]
    item = _pick([s for s in specs if s.category in _MOVABLE], rng)
    target = _pick([s for s in specs if can_receive(s, item) and are_told_apart(s, item)], rng)
    relation = 'in' if target.container else 'on'
    chosen = [item, target]
    if rng.random() < 0.5:
        rivals = [s for s in specs if _is_rival(s, item) and _is_clear(s, chosen)]
        chosen.append(_pick(rivals, rng))
    count = 2 + int(rng.integers(3, 6))
    while len(chosen) < count:
        small = [s for s in specs if s.footprint_radius < 0.07 and _is_clear(s, chosen)]
        chosen.append(_pick(small, rng))
    return Trial(
        seed=seed,
        instruction=f'put the {words(item)} {relation} the {words(target)}',
        scene=Scene(tuple(spec.name for spec in chosen)),
        object=item.name,
        target=target.name,
        relation=relation,
        _predicate=is_in if relation == 'in' else is_on,
    )


def words(spec: ObjectSpec) -> str:
    """Return '<colour> <shape>'."""
    return f'{spec.colour} {spec.noun}'


def can_receive(target: ObjectSpec, item: ObjectSpec) -> bool:
    """Say whether `item` can be put down on or in `target` and stay there."""
    if target.category == 'plate':
        # A ball would lie on a plate's floor only until something nudges it.
        return item.category in ('block', 'can', 'bottle')
    if target.category == 'basket':
        return True
    return target.category == 'bowl' and item.size[2] <= 0.06 and max(item.size[:2]) <= 0.06


def _is_rival(spec: ObjectSpec, item: ObjectSpec) -> bool:
    """Say whether one of the two words fits `spec` as well."""
    return (spec.colour == item.colour) != (spec.category == item.category)


def _is_clear(spec: ObjectSpec, chosen: list[ObjectSpec]) -> bool:
    """Say whether `spec` can be told from everything chosen so far."""
    return all(are_told_apart(spec, other) for other in chosen)


def _pick(choices: list[ObjectSpec], rng: np.random.Generator) -> ObjectSpec:
    return choices[int(rng.integers(len(choices)))]
