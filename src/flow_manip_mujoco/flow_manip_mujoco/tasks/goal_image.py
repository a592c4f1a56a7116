# SPDX-License-Identifier: Apache-2.0
"""A picture of the wished end of a task, for what is given a goal image beside the words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.task import TaskStep


def goal_image(cell: SimulatedCell, step: TaskStep) -> NDArray[np.uint8]:
    """Draw what the camera would see with a step's object at the end of its reference motion.

    Args:
        cell: reset for the step's trial; its state stays what it is.
        step: that moves an object, not a part of a fixture.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InvalidInputError: what moves is no object.
    """
    return cell.picture_of({step.body: step.reference_motion(cell).poses[-1]})
