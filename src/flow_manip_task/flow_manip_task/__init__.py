# SPDX-License-Identifier: Apache-2.0
"""The `manipulate` goal: a state machine over the stages, its record, its clients; free of ROS but for `ros/`."""

from flow_manip_task.listener import Listener
from flow_manip_task.manipulation import Manipulation, ManipulationConfig
from flow_manip_task.record import RunRecord
from flow_manip_task.stages import ManipulateRequest, ManipulationResult, Stages

__all__ = [
    'Listener',
    'ManipulateRequest',
    'Manipulation',
    'ManipulationConfig',
    'ManipulationResult',
    'RunRecord',
    'Stages',
]
