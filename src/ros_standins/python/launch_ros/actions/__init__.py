# SPDX-License-Identifier: Apache-2.0
"""What a launch can do with ROS."""

from launch._stand_in import refusing_getattr

from .lifecycle_node import LifecycleNode
from .lifecycle_transition import LifecycleTransition
from .node import Node
from .push_ros_namespace import PushROSNamespace, PushRosNamespace
from .ros_timer import ROSTimer, RosTimer
from .set_parameter import SetParameter
from .set_parameters_from_file import SetParametersFromFile
from .set_remap import SetRemap
from .set_ros_log_dir import SetROSLogDir, SetRosLogDir
from .set_use_sim_time import SetUseSimTime

__all__ = [
    'LifecycleNode',
    'LifecycleTransition',
    'Node',
    'PushROSNamespace',
    'PushRosNamespace',
    'ROSTimer',
    'RosTimer',
    'SetParameter',
    'SetParametersFromFile',
    'SetROSLogDir',
    'SetRemap',
    'SetRosLogDir',
    'SetUseSimTime',
]

__getattr__ = refusing_getattr(
    'launch_ros', __name__, ('ComposableNodeContainer', 'LoadComposableNodes')
)
