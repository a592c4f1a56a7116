# SPDX-License-Identifier: Apache-2.0
"""Tasks of the published systems, and what success means, read from the simulator's state."""

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
from flow_manip_mujoco.tasks.rigid import RIGID_TASKS
from flow_manip_mujoco.tasks.task import ReferenceMotion, TaskSpec, TaskStep, TaskTrial
from flow_manip_mujoco.tasks.trials import make_put_trial, Trial

TASKS: dict[str, TaskSpec] = {task.name: task for task in (*RIGID_TASKS, *ARTICULATED_TASKS)}

__all__ = [
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
]
