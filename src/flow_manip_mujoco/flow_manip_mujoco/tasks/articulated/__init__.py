# SPDX-License-Identifier: Apache-2.0
"""Tasks with drawers, doors and lids."""

from flow_manip_mujoco.tasks.task import TaskSpec

ARTICULATED_TASKS: tuple[TaskSpec, ...] = ()
