# SPDX-License-Identifier: Apache-2.0
from builtin_interfaces.msg import Duration
from moveit_msgs.msg import RobotTrajectory as RobotTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint


class RobotTrajectory:
    def __init__(self, robot_model, /):
        self._model, self._group, self._points = robot_model, '', []

    def __len__(self):
        return len(self._points)

    @property
    def joint_model_group_name(self):
        return self._group

    @property
    def duration(self):
        return 0.1 * max(len(self._points) - 1, 0)

    def get_robot_trajectory_msg(self):
        message = RobotTrajectoryMsg()
        # Names are those of the group in the model's order, which need not be anyone else's.
        names = self._model._groups[self._group]
        message.joint_trajectory.joint_names = list(reversed(names))
        for index, positions in enumerate(self._points):
            message.joint_trajectory.points.append(
                JointTrajectoryPoint(
                    positions=[float(positions[name]) for name in reversed(names)],
                    time_from_start=Duration(sec=index),
                )
            )
        return message
