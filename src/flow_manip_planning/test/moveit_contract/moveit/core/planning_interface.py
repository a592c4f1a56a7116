# SPDX-License-Identifier: Apache-2.0
from moveit_msgs.msg import MoveItErrorCodes


class MotionPlanResponse:
    """Made by planning only; reads are all it offers."""

    def __init__(self):
        raise TypeError(
            'moveit.core.planning_interface.MotionPlanResponse: No constructor defined!'
        )

    @classmethod
    def _make(cls, code, trajectory, planning_time):
        self = object.__new__(cls)
        self._code, self._trajectory, self._time = code, trajectory, planning_time
        return self

    @property
    def trajectory(self):
        return self._trajectory

    @property
    def planning_time(self):
        return self._time

    @property
    def error_code(self):
        return self._code

    def __bool__(self):
        return self._code.val == MoveItErrorCodes.SUCCESS
