# SPDX-License-Identifier: Apache-2.0
"""The `manipulate` goal: state machine, record, clients; free of ROS but for `ros/`."""

from flow_manip_task.listener import Listener
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.policy import ManipulationConfig
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
