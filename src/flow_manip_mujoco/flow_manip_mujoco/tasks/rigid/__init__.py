# SPDX-License-Identifier: Apache-2.0
"""Tasks in which one thing is carried somewhere."""

from flow_manip_mujoco.tasks.rigid.hanging import HANGING
from flow_manip_mujoco.tasks.rigid.inserting import INSERTING
from flow_manip_mujoco.tasks.rigid.pouring import POURING
from flow_manip_mujoco.tasks.rigid.setting_down import SETTING_DOWN
from flow_manip_mujoco.tasks.task import TaskSpec

RIGID_TASKS: tuple[TaskSpec, ...] = (*HANGING, *INSERTING, *SETTING_DOWN, *POURING)
