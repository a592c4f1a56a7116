# SPDX-License-Identifier: Apache-2.0
"""The arm's and the gripper's controllers, run once per physics step."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_mujoco.panda import ARM_JOINTS, FINGER_JOINTS, GRIPPER_ACTUATOR
from flow_manip_mujoco.splines import JointState, SplineTrajectory, stopping_trajectory

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ArmGains:
    """Computed-torque gains, the same for every joint because the mass matrix scales them.

    Attributes:
        stiffness: [1/s^2].
        damping: [1/s].
        integral: [1/s^3]; takes away what an unknown load leaves.
        max_integral: bound of the integral term [rad/s^2].
    """

    stiffness: float = 1600.0
    damping: float = 80.0
    integral: float = 8000.0
    max_integral: float = 8.0


class ArmController:
    """Tracks a joint trajectory by computed torque.

    tau = M (q'' + kd e' + kp e + ki int e) + bias, see R. M. Murray, Z. Li, S. S. Sastry, "A
    mathematical introduction to robotic manipulation", 1994, section 4.5.
    It always has a reference; without a trajectory it holds the last one.

    Attributes:
        reference: what it tracks now.
        measured: (J,) positions at the last step [rad].
        error: (J,) reference minus measured [rad].
    """

    def __init__(
        self, model: mujoco.MjModel, gains: ArmGains, max_acceleration: tuple[float, ...]
    ) -> None:
        """Look up the arm's joints in the model.

        Args:
            model: of the cell.
            gains: of the controller.
            max_acceleration: (J,) used to stop [rad/s^2].
        """
        joints = [model.joint(name) for name in ARM_JOINTS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        self._actuators = np.array([model.actuator(name).id for name in ARM_JOINTS])
        self._gains = gains
        self._max_acceleration = np.asarray(max_acceleration)
        self._timestep = model.opt.timestep
        self._wanted = np.zeros(model.nv)
        self._torque = np.zeros(model.nv)
        self._limits = model.actuator_forcerange[self._actuators]
        self.reset(np.zeros(len(ARM_JOINTS)))

    def reset(self, position: Vector) -> None:
        """Hold `position` (J,) and forget the past."""
        self._spline = SplineTrajectory([0.0], np.asarray(position, dtype=np.float64)[None])
        self._start = 0.0
        self._integral = np.zeros(len(ARM_JOINTS))
        self.reference = JointState.at_rest(position)
        self.error = np.zeros(len(ARM_JOINTS))
        self.measured = np.array(position, dtype=np.float64)

    def follow(self, spline: SplineTrajectory, time: float) -> None:
        """Track `spline` from `time` on.

        A first waypoint later than 0 must be preceded by the present reference: see
        `SplineTrajectory.starting_from`.
        """
        self._spline, self._start = spline, time

    def stop(self, time: float) -> float:
        """Decelerate to rest along the present motion; return the seconds that takes."""
        spline = stopping_trajectory(self.reference, self._max_acceleration)
        self.follow(spline, time)
        return spline.duration

    @property
    def goal(self) -> Vector:
        """Where the reference comes to rest, (J,) [rad]."""
        return self._spline.positions[-1]

    def velocities(self, data: mujoco.MjData) -> Vector:
        """Return the measured (J,) velocities [rad/s]."""
        return data.qvel[self._dof]

    def torques(self, data: mujoco.MjData) -> Vector:
        """Return the (J,) torques of the motors at the last step [N m]."""
        return data.actuator_force[self._actuators]

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Set the motors' torques; call between `mj_step1` and `mj_step2`."""
        reference = self._spline.sample(data.time - self._start)
        self.measured = data.qpos[self._qpos]
        error = reference.position - self.measured
        gains = self._gains
        bound = gains.max_integral / gains.integral
        self._integral = np.clip(self._integral + error * self._timestep, -bound, bound)
        self._wanted[self._dof] = (
            reference.acceleration
            + gains.damping * (reference.velocity - data.qvel[self._dof])
            + gains.stiffness * error
            + gains.integral * self._integral
        )
        mujoco.mj_mulM(model, data, self._torque, self._wanted)
        torque = self._torque[self._dof] + (data.qfrc_bias - data.qfrc_passive)[self._dof]
        data.ctrl[self._actuators] = np.clip(torque, self._limits[:, 0], self._limits[:, 1])
        self.reference, self.error = reference, error


@dataclass(frozen=True)
class GripperStatus:
    """What the gripper reports.

    Attributes:
        width: opening [m].
        velocity: of the opening [m/s].
        effort: closing force of each finger [N].
        stalled: it stands, pressing with its full force, away from its target.
        reached: the opening is at the target.
    """

    width: float
    velocity: float
    effort: float
    stalled: bool
    reached: bool

    @property
    def settled(self) -> bool:
        """True when a command is over: at the target and slow, or stalled."""
        return self.stalled or (self.reached and abs(self.velocity) < 0.005)


class GripperController:
    """Moves the opening at a set speed, presses no harder than asked, notices being stopped."""

    def __init__(
        self,
        model: mujoco.MjModel,
        speed: float,
        max_width: float,
        max_force: float,
        *,
        tolerance: float = 0.0015,
        stall_velocity: float = 0.002,
        stall_time: float = 0.12,
    ) -> None:
        """Look up the fingers in the model.

        Args:
            model: of the cell.
            speed: of the opening [m/s].
            max_width: largest opening [m].
            max_force: of each finger [N].
            tolerance: counts as reached [m].
            stall_velocity: slower over `stall_time` counts as standing [m/s].
            stall_time: standing this long away from the target is a stall [s].
        """
        joints = [model.joint(name) for name in FINGER_JOINTS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        self._actuator = model.actuator(GRIPPER_ACTUATOR).id
        self._timestep = model.opt.timestep
        self._stiffness = float(model.actuator_gainprm[self._actuator, 0])
        self._speed, self._max_width, self._max_force = speed, max_width, max_force
        self._tolerance, self._stall_velocity, self._stall_time = (
            tolerance,
            stall_velocity,
            stall_time,
        )
        self.reset(max_width, model)

    def reset(self, width: float, model: mujoco.MjModel) -> None:
        """Hold `width` with full force available."""
        self.target = self._setpoint = self._anchor = width
        self._still, self._pressing = 0.0, False
        self.status = GripperStatus(width, 0.0, 0.0, False, True)
        self._force = self._max_force
        model.actuator_forcerange[self._actuator] = [-self._force, self._force]

    def move(self, width: float, effort: float, model: mujoco.MjModel) -> None:
        """Go to an opening.

        Args:
            width: opening, clipped to what the hand can do [m].
            effort: largest force of each finger; 0 or more than the hand has means all it has [N].
            model: whose actuator is limited.
        """
        self.target = float(np.clip(width, 0.0, self._max_width))
        self._force = min(effort, self._max_force) if effort > 0 else self._max_force
        model.actuator_forcerange[self._actuator] = [-self._force, self._force]
        self._setpoint = self._anchor = self.status.width
        self._still, self._pressing = 0.0, False

    def hold(self, model: mujoco.MjModel) -> None:
        """Stay at the present opening (what a cancelled command leaves behind)."""
        self.move(self.status.width, self._force, model)

    def _aim(self) -> float:
        """Return where the setpoint goes: beyond the target while something is in the way.

        A thin thing stops the fingers so close to their target that the servo's error alone would
        hardly press; the full force is there as soon as they stand.
        """
        if not self._pressing:
            return self.target
        missing = self.target - self.status.width
        return self.target + float(np.copysign(1.05 * self._force / self._stiffness, missing))

    def apply(self, data: mujoco.MjData) -> None:
        """Set the motor's setpoint and update `status`; call between `mj_step1` and `mj_step2`."""
        step = self._speed * self._timestep
        self._setpoint += float(np.clip(self._aim() - self._setpoint, -step, step))
        data.ctrl[self._actuator] = self._setpoint
        width = float(data.qpos[self._qpos].sum())
        velocity = float(data.qvel[self._dof].sum())
        reached = abs(width - self.target) <= self._tolerance
        # Standing is judged by distance: fingers that press on something hard chatter in velocity.
        if reached or abs(width - self._anchor) > self._stall_velocity * self._stall_time:
            self._anchor, self._still = width, 0.0
        else:
            self._still += self._timestep
        # Pressing harder moves the fingers a little; that must not end it.
        self._pressing = not reached and (self._pressing or self._still >= 0.5 * self._stall_time)
        effort = abs(float(data.actuator_force[self._actuator]))
        stalled = self._still >= self._stall_time and effort > 0.95 * self._force
        self.status = GripperStatus(width, velocity, effort, stalled, reached)
