# SPDX-License-Identifier: Apache-2.0
"""What a trajectory must satisfy before an arm sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pinocchio

from flow_manip_core.errors import BadTrajectoryError
from flow_manip_core.plan import Trajectory
from flow_manip_core.robot import Context


@dataclass(frozen=True)
class LimitsConfig:
    """How far from the limits motion is refused.

    Attributes:
        slack: relative, on velocities and accelerations; interpolation overshoots planned values
            slightly.
        position_slack: [rad].
        workspace_margin: how far the tool may leave the rig's workspace sideways and upwards: it
            waits and turns
            there [m].
        support_margin: how far below the workspace's floor the tool may go [m].
    """

    slack: float = 0.05
    position_slack: float = 1e-3
    workspace_margin: float = 0.35
    support_margin: float = 0.01


class TrajectoryLimits:
    """Checks trajectories of one arm against its joints' limits and the workspace."""

    def __init__(self, config: LimitsConfig, context: Context) -> None:
        """Read joint limits and kinematics from the robot's URDF."""
        robot = context.robot
        self._config, self._robot, self._rig = config, robot, context.rig
        self._model = pinocchio.buildModelFromUrdf(str(robot.folder / robot.urdf))
        self._data = self._model.createData()
        self._tcp = self._model.getFrameId(robot.tcp_frame)
        self._index = [
            self._model.joints[self._model.getJointId(name)].idx_q for name in robot.joint_names
        ]
        self._lower = self._model.lowerPositionLimit[self._index]
        self._upper = self._model.upperPositionLimit[self._index]

    def tcp_position(self, positions: np.ndarray) -> np.ndarray:
        """Return where the tool centre point is in the world for (J,) joint positions [m]."""
        return self.tcp_pose(positions)[:3, 3]

    def tcp_pose(self, positions: np.ndarray) -> np.ndarray:
        """Return (4, 4) T_world_tcp for (J,) joint positions."""
        q = pinocchio.neutral(self._model)
        q[self._index] = positions
        pinocchio.framesForwardKinematics(self._model, self._data, q)
        return self._rig.base.matrix @ self._data.oMf[self._tcp].homogeneous

    def check(self, trajectory: Trajectory, name: str = 'trajectory') -> None:
        """Refuse what the arm must not do.

        Raises:
            BadTrajectoryError: names the joint, the value, the limit and the time.
        """
        if trajectory.joint_names != self._robot.joint_names:
            raise BadTrajectoryError(
                f'{name} is for joints {trajectory.joint_names}, the arm has '
                f'{self._robot.joint_names}'
            )
        slack = self._config.position_slack
        below, above = (
            self._lower - slack - trajectory.positions,
            trajectory.positions - self._upper - slack,
        )
        self._refuse(
            np.maximum(below, above), trajectory, trajectory.positions, f'{name}: position', 'rad'
        )
        factor = 1.0 + self._config.slack
        velocity, acceleration = (
            np.array(v) * factor for v in (self._robot.max_velocity, self._robot.max_acceleration)
        )
        self._refuse(
            np.abs(trajectory.velocities) - velocity,
            trajectory,
            trajectory.velocities,
            f'{name}: velocity',
            'rad/s',
        )
        self._refuse(
            np.abs(trajectory.accelerations) - acceleration,
            trajectory,
            trajectory.accelerations,
            f'{name}: acceleration',
            'rad/s^2',
        )
        # The given velocities may be a lie; positions and times are not.
        steps = np.diff(trajectory.positions, axis=0) / np.diff(trajectory.times)[:, None]
        self._refuse(
            np.abs(steps) - velocity,
            trajectory,
            steps,
            f'{name}: velocity between points',
            'rad/s',
        )
        self._check_workspace(trajectory, name)

    def _refuse(
        self, excess: np.ndarray, trajectory: Trajectory, values: np.ndarray, what: str, unit: str
    ) -> None:
        if excess.size and excess.max() > 0:
            step, joint = np.unravel_index(int(excess.argmax()), excess.shape)
            raise BadTrajectoryError(
                f'{what} of {trajectory.joint_names[joint]} is {values[step, joint]:.3f} {unit} '
                f'at {trajectory.times[step]:.2f} s, '
                f'{excess[step, joint]:.3f} beyond its limit'
            )

    def _check_workspace(self, trajectory: Trajectory, name: str) -> None:
        workspace, config = self._rig.workspace, self._config
        lower = np.array(workspace.lower) - [
            config.workspace_margin,
            config.workspace_margin,
            config.support_margin,
        ]
        upper = np.array(workspace.upper) + config.workspace_margin
        for time, positions in zip(trajectory.times, trajectory.positions):
            tcp = self.tcp_position(positions)
            if (tcp < lower).any() or (tcp > upper).any():
                raise BadTrajectoryError(
                    f'{name} takes the tool to {np.round(tcp, 3).tolist()} m at {time:.2f} s, '
                    f'outside {lower.tolist()} .. {upper.tolist()}'
                )
