# SPDX-License-Identifier: Apache-2.0
"""Tasks with drawers, doors and lids."""

from flow_manip_mujoco.tasks.articulated.closing import CLOSE_CABINET
from flow_manip_mujoco.tasks.articulated.opening import OPEN_DRAWER, OPEN_OVEN, OPEN_TOP_DRAWER
from flow_manip_mujoco.tasks.articulated.toolbox import PUT_SCREWDRIVER_IN_TOOLBOX
from flow_manip_mujoco.tasks.task import TaskSpec

ARTICULATED_TASKS: tuple[TaskSpec, ...] = (
    OPEN_DRAWER,
    OPEN_TOP_DRAWER,
    OPEN_OVEN,
    CLOSE_CABINET,
    PUT_SCREWDRIVER_IN_TOOLBOX,
)
