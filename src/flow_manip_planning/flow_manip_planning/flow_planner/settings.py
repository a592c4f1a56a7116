# SPDX-License-Identifier: Apache-2.0
"""Parameters of the `rigid_path` planner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RigidPathConfig:
    """Parameters.

    Attributes:
        max_grasps: how many proposals to ask for.
        num_starts: configurations that inverse kinematics is started from, per grasp.
        approach_distance: straight way from pre-grasp to grasp [m].
        retreat_distance: straight way back after the release [m].
        step_translation: the flow's path is split so that the hand moves at most this far per step [m].
        step_rotation: and turns at most this far [rad].
        smoothing: standard deviation of the smoothing of the fitted object poses [flow steps].
        velocity_scale: share of the robot's velocity limits for free motion.
        acceleration_scale: share of its acceleration limits.
        contact_speed_scale: further factor while approaching and retreating.
        joint_limit_margin: kept from every joint limit [rad].
        release_height: the gripper opens at the end if the object is at most this far above what is below it [m].
        squeeze: the gripper is told to close this much beyond the object's width [m].
        grip_effort: closing force [N].
        samples: of the free-motion planner, per try.
        max_tries: grasps for which free motion is planned before giving up.
        optimise: polish the joint path by least squares.
        go_home: end the plan where the arm is out of the camera's way.
    """

    max_grasps: int = 64
    num_starts: int = 8
    approach_distance: float = 0.1
    retreat_distance: float = 0.1
    step_translation: float = 0.012
    step_rotation: float = 0.06
    smoothing: float = 1.0
    velocity_scale: float = 0.8
    acceleration_scale: float = 0.6
    contact_speed_scale: float = 0.4
    joint_limit_margin: float = 0.03
    release_height: float = 0.04
    squeeze: float = 0.02
    grip_effort: float = 50.0
    samples: int = 4000
    max_tries: int = 8
    optimise: bool = True
    go_home: bool = True
