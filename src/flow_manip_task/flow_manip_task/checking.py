# SPDX-License-Identifier: Apache-2.0
"""Looking again: is the object where its flow ends?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
import math
import re

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import project_from
from flow_manip_core.errors import (
    ConfigurationError,
    GoalNotReachedError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.instruction import Instruction
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_task.alignment import align_clouds, Alignment, SAME_FIT
from flow_manip_task.finding import find_by_color, head_noun_phrase
from flow_manip_task.moved_goal import Moved, MovedConfig, reference_motion


@dataclass(frozen=True)
class CheckConfig:
    """When the end counts as reached.

    Attributes:
        tolerance: largest distance of the object from the end of its flow [m].
        tolerance_degrees: largest rotation from it, except of what was hung up and swings.
        tolerance_in: largest horizontal distance where it was put into something, in which it
            rolls or slides [m].
        search_radius: how far around the predicted place it is looked for by colour [m].
        search_color: largest colour distance of its pixels there (CIE Lab, brightness times 0.4).
        min_points: fewer points than this are not a sighting.
        hidden_share: share of the predicted points behind something nearer from which the object
            counts as hidden.
        depth_margin: depth differences below this are noise [m].
        moved: when what the goal refers to counts as moved.
    """

    tolerance: float = 0.03
    tolerance_degrees: float = 20.0
    tolerance_in: float = 0.06
    search_radius: float = 0.08
    search_color: float = 25.0
    min_points: int = 25
    hidden_share: float = 0.6
    depth_margin: float = 0.015
    moved: MovedConfig = field(default_factory=MovedConfig)

    def __post_init__(self) -> None:
        """Refuse tolerances that nothing can meet."""
        if min(self.tolerance, self.tolerance_degrees, self.tolerance_in) <= 0:
            raise ConfigurationError('tolerances of the check must be positive')


@dataclass(frozen=True)
class GoalCheck:
    """What looking again showed.

    Attributes:
        error_metres: object against the end of its flow; horizontal only where it was put in
            something; NaN if unseen.
        error_degrees: rotation against it, about the axes that its shape shows; NaN if none, or
            unseen.
        sentence: the same in words.
        mask: where the object is now; None if unseen.
        hidden: the predicted place is behind something nearer to the camera.
        reference_gone: what the goal refers to is not where it was, and nobody knows where it is.
    """

    error_metres: float
    error_degrees: float
    sentence: str
    mask: Mask | None = None
    hidden: bool = False
    reference_gone: bool = False


def _also(check: GoalCheck, moved: Moved) -> GoalCheck:
    """Say what else has moved."""
    if not moved.sentence:
        return check
    return replace(check, sentence=f'{check.sentence}; {moved.sentence} since it was first seen')


Segment = Callable[[str], Mask]

# What is inserted fits its place: unlike in a bowl it cannot have rolled there.
INSERTING = re.compile(r'\b(?:insert|plug|slot|thread)', re.IGNORECASE)


def is_loose(instruction: Instruction) -> bool:
    """Say whether the object is put into something in which it rolls or slides as it likes."""
    puts = instruction.action in ('put', 'open_and_put') and instruction.relation == 'in'
    return puts and not INSERTING.search(instruction.text)


def swings(instruction: Instruction) -> bool:
    """Say whether the object ends hanging: by its weight, however the hand held it."""
    return instruction.action == 'hang'


class GoalChecker:
    """Measures the end of a goal and judges it."""

    def __init__(self, config: CheckConfig | None = None) -> None:
        """Take the tolerances."""
        self.config = config or CheckConfig()

    def measure(
        self,
        instruction: Instruction,
        before: Observation,
        mask: Mask,
        flow: ObjectFlow,
        after: Observation,
        segment: Segment,
        references: Sequence[Mask] = (),
    ) -> GoalCheck:
        """Compare the object in `after` with the end of its flow.

        The object's points before the motion are moved as the flow says, and as what the goal
        refers to has moved since, and aligned with what is seen now.

        Args:
            instruction: says which object and relation.
            before: what the flow started from.
            mask: of the object in `before`.
            flow: that the robot followed.
            after: a new observation, in the same world frame.
            segment: finds a phrase in `after`; its errors other than absent, ambiguous and not
                understood pass.
            references: masks in `before` of what the instruction refers to, in its order.

        Raises:
            DegenerateFlowError: the flow's end does not determine a rigid motion.
        """
        motion = fit_flow_transforms(flow)[0][-1]
        expected = transform_points(motion, mask.points(before))
        name = instruction.object or mask.label
        # What is poured into does not take along where the pot is set down again.
        ends_there = instruction.action != 'pour'
        phrases = zip(instruction.references, references) if ends_there else ()
        moved = reference_motion(self.config.moved, before, list(phrases), after, segment)
        if moved.gone:
            return GoalCheck(float('nan'), float('nan'), moved.sentence, reference_gone=True)
        expected = expected + moved.shift
        sightings, why = self._sightings(name, expected, before, mask, after, segment)
        if not sightings:
            return _also(self._unseen(name, expected, after, why), moved)
        fits = [(align_clouds(expected, found.points(after)), found) for found in sightings]
        best = min(fit.residual for fit, _ in fits)
        # A wrong sighting that fits as well would have to be of the same shape.
        alignment, found = min(
            (pair for pair in fits if pair[0].residual <= best + SAME_FIT),
            key=lambda pair: pair[0].metres,
        )
        return _also(self._seen(instruction, name, expected, alignment, found), moved)

    def _seen(
        self,
        instruction: Instruction,
        name: str,
        expected: NDArray,
        alignment: Alignment,
        found: Mask,
    ) -> GoalCheck:
        """Put a sighting into numbers and words."""
        center = expected.mean(axis=0)
        offset = transform_points(alignment.T_actual_expected, center) - center
        inside = is_loose(instruction)
        metres = float(np.linalg.norm(offset[:2] if inside else offset))
        # What lies in a bowl has rolled there, and what hangs has swung: its rotation says nothing
        # about success.
        degrees = float('nan') if inside or swings(instruction) else alignment.degrees
        turned = '' if math.isnan(degrees) else f' and turned by {degrees:.0f} degrees'
        sentence = f'{name} is {metres * 1000:.0f} mm from where its flow ends{turned}'
        return GoalCheck(metres, degrees, sentence, found)

    def judge(self, instruction: Instruction, check: GoalCheck) -> None:
        """Raise where the measured end is not good enough.

        Raises:
            GoalNotReachedError: the object is beyond a tolerance, or not seen though nothing hides
                it.
        """
        inside = is_loose(instruction)
        limit = self.config.tolerance_in if inside else self.config.tolerance
        if check.mask is None:
            if check.reference_gone:
                raise GoalNotReachedError(check.sentence)
            # A lifted object is in the hand, which hides it: the gripper's own reading must do.
            if check.hidden or instruction.action == 'lift':
                return
            raise GoalNotReachedError(check.sentence)
        if check.error_metres > limit:
            raise GoalNotReachedError(
                f'{check.sentence}; the limit is {limit * 1000:.0f} mm'
                f'{" horizontally" if inside else ""}'
            )
        if check.error_degrees > self.config.tolerance_degrees:
            raise GoalNotReachedError(
                f'{check.sentence}; the limit is {self.config.tolerance_degrees:.0f} degrees'
            )

    def _sightings(
        self,
        name: str,
        expected: NDArray,
        before: Observation,
        mask: Mask,
        after: Observation,
        segment: Segment,
    ) -> tuple[list[Mask], str]:
        """Look for the object by words, and by colour around the place where it should be.

        Words alone fail where it now touches something alike, or where there are two of it.

        Returns:
            What was found, and why the words did not find it.
        """
        found, why = [], ''
        try:
            found.append(segment(head_noun_phrase(name)))
        except (ObjectAbsentError, ObjectAmbiguousError, PhraseNotUnderstoodError) as error:
            why = str(error)
        alike = find_by_color(
            expected, before, mask, after, self.config.search_radius, self.config.search_color
        )
        if alike is not None:
            found.append(alike)
        enough = [m for m in found if len(m.points(after)) >= self.config.min_points]
        if found and not enough:
            why = why or f'fewer than {self.config.min_points} points of it are seen'
        return enough, why

    def _unseen(self, name: str, expected: NDArray, after: Observation, why: str) -> GoalCheck:
        """Say whether something hides the predicted place, or whether it is plainly empty."""
        share = self.hidden_share(expected, after)
        hidden = share >= self.config.hidden_share
        place = 'is hidden' if hidden else 'is in view'
        sentence = (
            f'{name} was not found again; the place where its flow ends {place} '
            f'({share * 100:.0f} % behind something nearer): {why}'
        )
        return GoalCheck(float('nan'), float('nan'), sentence, None, hidden)

    def hidden_share(self, expected: NDArray, after: Observation) -> float:
        """Return which share of (N, 3) world points is behind what is seen, or out of view."""
        pixels = project_from(after.camera, after.T_world_camera, expected)
        depth = transform_points(invert_transform(after.T_world_camera), expected)[:, 2]
        size = np.array([after.camera.width, after.camera.height])
        whole = np.round(np.nan_to_num(pixels, nan=-1.0)).astype(int)
        inside = ((whole >= 0) & (whole < size)).all(axis=1)
        measured = np.full(len(expected), np.nan)
        measured[inside] = after.depth[whole[inside, 1], whole[inside, 0]]
        return float(np.mean(~inside | (measured < depth - self.config.depth_margin)))
