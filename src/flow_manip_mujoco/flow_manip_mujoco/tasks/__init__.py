# SPDX-License-Identifier: Apache-2.0
"""Tasks of the published systems, and what success means, read from the simulator's state."""

from flow_manip_core.errors import InvalidInputError
from flow_manip_mujoco.tasks.articulated import ARTICULATED_TASKS
from flow_manip_mujoco.tasks.placement import (
    is_at_rest,
    is_in,
    is_lifted,
    is_next_to,
    is_on,
    is_released,
    is_upright,
)
from flow_manip_mujoco.tasks.putting import PUT_TASK
from flow_manip_mujoco.tasks.rigid import RIGID_TASKS
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial
from flow_manip_mujoco.tasks.trials import make_put_trial, Trial

TASKS: dict[str, TaskSpec] = {task.name: task for task in (*RIGID_TASKS, *ARTICULATED_TASKS)}


def task_named(name: str) -> TaskSpec:
    """Return a task of the suite, or the put task.

    Raises:
        InvalidInputError: there is none of that name.
    """
    known = {PUT_TASK.name: PUT_TASK, **TASKS}
    if name not in known:
        raise InvalidInputError(f"no task '{name}'; there are {sorted(known)}")
    return known[name]


__all__ = [
    'PUT_TASK',
    'TASKS',
    'ReferenceMotion',
    'TaskSpec',
    'TaskStep',
    'TaskTrial',
    'Trial',
    'is_at_rest',
    'is_in',
    'is_lifted',
    'is_next_to',
    'is_on',
    'is_released',
    'is_upright',
    'make_put_trial',
    'task_named',
]
