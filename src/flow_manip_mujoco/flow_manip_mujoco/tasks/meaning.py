# SPDX-License-Identifier: Apache-2.0
"""Which motion an instruction means, known from the simulator: a task's step, or one drawn up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import re

import numpy as np

from flow_manip_core.errors import FlowManipError, TaskNotSupportedError
from flow_manip_core.instruction import (
    Instruction,
    parse_instruction,
    tokenize,
    without_articles,
)
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks import free_motions, task_named
from flow_manip_mujoco.tasks.motions import joint_motion
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial
from flow_manip_mujoco.tasks.words import find_body, head_words

_POLITE = frozenset(('please', 'could', 'can', 'would', 'you', 'now', 'robot', 'just'))
_CARRIED = ('put', 'insert', 'lift', 'push', 'turn_upright')
_PUTTING = ('put', 'insert', 'hang', 'open_and_put')
_OPENED = 0.8  # share of a joint's range
_DONE = 0.005  # [m] a step whose motion is shorter has been done


def meant_step(cell: SimulatedCell, instruction: str) -> TaskStep:
    """Return what should move, and how, if an instruction is followed.

    The trial on the table goes first: one of its steps, said in its words or any of the task's
    phrasings, or by the same object and the same references. The whole of a trial with several
    steps means the first step that is not done. Everything else is a motion drawn up from the
    truth: put, lift, push, turn upright, open, close.

    Args:
        cell: whose `task` and seed say which trial it is.
        instruction: in words.

    Raises:
        TaskNotSupportedError: there is no motion for the words.
        ObjectAbsentError, ObjectAmbiguousError: the words name nothing on the table, or several.
        NoFreePlaceError: there is no room where the object should go.
    """
    steps: tuple[TaskStep, ...] = ()
    if cell.task:
        task = task_named(cell.task)
        trial = task.make_trial(cell.seed)
        steps = trial.steps
        step = _step_of_trial(cell, task, trial, instruction)
        if step is not None:
            return step
    return _drawn_up(cell, instruction, steps)


def trial_steps(cell: SimulatedCell) -> tuple[TaskStep, ...]:
    """Return the steps of the trial on the table; none in a free scene."""
    return task_named(cell.task).make_trial(cell.seed).steps if cell.task else ()


def _step_of_trial(
    cell: SimulatedCell, task: TaskSpec, trial: TaskTrial, instruction: str
) -> TaskStep | None:
    """Return the step that the words mean; None if they mean something else."""
    said = _words(instruction)
    for step in trial.steps:
        if _words(step.instruction) == said:
            return step
    body, references = _named(cell, instruction, trial.steps)
    is_about = body is None or any(_is_part_of(step.body, body) for step in trial.steps)
    if is_about and (said == _words(trial.instruction) or _is_phrasing(task, said)):
        return _first_undone(cell, trial.steps)
    for step in trial.steps:
        if body == step.body and _named(cell, step.instruction, trial.steps)[1] == references:
            return step
    return None


def _is_part_of(part: str, body: str) -> bool:
    """Say whether a body is another or a part of the fixture that it is."""
    return part == body or part.startswith(f'{body}_')


def _named(
    cell: SimulatedCell, instruction: str, steps: Sequence[TaskStep]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the body that is meant, then the action and the bodies that it refers to."""
    try:
        parsed = parse_instruction(instruction)
        body = find_body(cell, parsed.object, steps)
    except FlowManipError:
        return None, ()
    references = []
    for phrase in parsed.references:
        try:
            references.append(find_body(cell, phrase))
        except FlowManipError:
            references.append(' '.join(head_words(phrase)))
    action = 'put' if parsed.action in _PUTTING else parsed.action
    return body, (action, *references)


def _words(text: str) -> tuple[str, ...]:
    """Return the words that matter for saying the same."""
    tokens = [t for t in tokenize(text) if t[0].isalnum()]
    while tokens and tokens[0] in _POLITE:
        tokens = tokens[1:]
    return tuple(word for word in tokens if without_articles([word]))


def _is_phrasing(task: TaskSpec, said: tuple[str, ...]) -> bool:
    """Say whether the words are one of a task's phrasings with its gaps filled."""
    for phrasing in task.phrasings:
        words = _words(re.sub(r'[{<]\w+[}>]', 'xgapx', phrasing))
        pattern = ' '.join(r'\w+(?: \w+)?' if w == 'xgapx' else re.escape(w) for w in words)
        if re.fullmatch(pattern, ' '.join(said)):
            return True
    return False


def _first_undone(cell: SimulatedCell, steps: Sequence[TaskStep]) -> TaskStep:
    """Return the first step whose motion still has some way to go, else the last."""
    for step in steps[:-1]:
        poses = step.reference_motion(cell).poses
        point = cell.body_pose(step.body)[:3, 3] + [0.0, 0.0, 0.1]
        local = np.linalg.inv(poses[0]) @ [*point, 1.0]
        way = (poses @ local)[:, :3] - point
        if float(np.linalg.norm(way, axis=1).max()) > _DONE:
            return step
    return steps[-1]


def _drawn_up(cell: SimulatedCell, instruction: str, steps: Sequence[TaskStep]) -> TaskStep:
    """Return a step with a motion from the truth of the scene."""
    try:
        parsed = parse_instruction(instruction)
    except FlowManipError as error:
        raise TaskNotSupportedError(f'no motion is known for it: {error}') from error
    body = find_body(cell, parsed.object, steps)
    if parsed.action in ('open', 'close'):
        return _opened_or_shut(cell, parsed, body)
    if parsed.action not in _CARRIED or body not in {spec.name for spec in cell.objects}:
        raise TaskNotSupportedError(
            f"no motion is known to '{parsed.action}' the '{body}': '{instruction}'"
        )
    references = tuple(find_body(cell, phrase, steps) for phrase in parsed.references)
    motion = partial(_free_motion, parsed=parsed, body=body, references=references)
    motion(cell)  # refused now rather than later
    return TaskStep(instruction, ' '.join(head_words(parsed.object)), body, motion)


def _free_motion(
    cell: SimulatedCell, parsed: Instruction, body: str, references: tuple[str, ...]
) -> ReferenceMotion:
    if parsed.action == 'lift':
        return free_motions.lift_motion(cell, body)
    if parsed.action == 'push':
        return free_motions.push_motion(cell, body, parsed.relation, *references)
    if parsed.action == 'turn_upright':
        return free_motions.upright_motion(cell, body)
    return free_motions.place_motion(cell, body, parsed.relation, references)


def _opened_or_shut(cell: SimulatedCell, parsed: Instruction, body: str) -> TaskStep:
    """Return a step that opens or shuts a part of a fixture."""
    ranges = {f.body_name(b.name): b.joint.range for f in cell.fixtures for b in f.moving}
    parts = [name for name in ranges if _is_part_of(name, body)]
    if len(parts) != 1:
        raise TaskNotSupportedError(f"'{body}' has {len(parts)} parts that open: '{parsed.text}'")
    low, high = ranges[parts[0]]
    value = low + (high - low) * _OPENED if parsed.action == 'open' else low
    if abs(value - cell.fixture_joints()[parts[0]]) < 0.01 * (high - low):
        raise TaskNotSupportedError(f"'{parts[0]}' is so already: '{parsed.text}'")
    motion = partial(joint_motion, body=parts[0], value=value)
    return TaskStep(parsed.text, ' '.join(head_words(parsed.object)), parts[0], motion)
