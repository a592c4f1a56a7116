# SPDX-License-Identifier: Apache-2.0
"""Parameters of the `rigid_path` planner."""

from __future__ import annotations

from dataclasses import dataclass, field

from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.flow_to_poses import FitConfig


@dataclass(frozen=True)
class RigidPathConfig:
    """Parameters."""

    max_grasps: int = _doc(64, 'How many proposals to ask for')
    num_starts: int = _doc(8, 'Configurations that inverse kinematics starts from')
    approach_distance: float = _doc(0.1, 'Straight way from pre-grasp to grasp [m]')
    retreat_distance: float = _doc(0.1, 'Straight way back after the release [m]')
    guided_retreat_distance: float = _doc(
        0.06, 'The same from a part on a joint: its bar is thin, and often low over the table [m]'
    )
    step_translation: float = _doc(0.012, 'Largest step of the hand along the flow [m]')
    step_rotation: float = _doc(0.06, 'Largest turn of the hand per step [rad]')
    fit: FitConfig = field(default_factory=FitConfig)
    velocity_scale: float = _doc(0.8, "Share of the robot's velocity limits")
    acceleration_scale: float = _doc(0.6, "Share of the robot's acceleration limits")
    contact_speed_scale: float = _doc(0.4, 'Further factor while approaching and retreating')
    joint_limit_margin: float = _doc(0.03, 'Kept from every joint limit [rad]')
    release_height: float = _doc(
        0.04, 'Open at the end if the object is this low over a surface [m]'
    )
    squeeze: float = _doc(0.04, "Close this much beyond the object's width [m]")
    grip_effort: float = _doc(50.0, 'Closing force [N]')
    guided_tolerance: float = _doc(
        0.04, 'How far each joint may end off its way with a guided part in the hand [rad]'
    )
    max_tries: int = _doc(8, 'Grasps for which free motion is planned before giving up')
    optimise: bool = _doc(True, 'Polish the joint path by least squares')
    go_home: bool = _doc(True, "End out of the camera's way after a release")
