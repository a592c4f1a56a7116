# SPDX-License-Identifier: Apache-2.0
"""What stands where: robot, gripper and rig, read from config/robots and config/rigs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.config import config_root, load_config
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import transform_from_quaternion

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class GripperConfig:
    """A two-finger parallel gripper.

    Frame: the tool centre point, z along the approach, y along the closing direction.

    Attributes:
        joint_names: finger joints, each travels half the opening.
        max_width: largest opening between the fingers [m].
        finger_length: from the palm to the finger tip [m].
        finger_thickness: of one finger along the closing direction (y) [m].
        finger_width: of one finger across it (x) [m].
        palm_size: x, y, z extent of the hand's body behind the fingers [m].
        tip_offset: how far the finger tips reach beyond the tool centre point [m].
        max_effort: largest closing force [N].
        speed: of the opening [m/s].
    """

    joint_names: tuple[str, ...]
    max_width: float
    finger_length: float
    finger_thickness: float
    finger_width: float
    palm_size: Vector3
    tip_offset: float
    max_effort: float
    speed: float


@dataclass(frozen=True)
class RobotConfig:
    """One arm with a gripper, as in config/robots/<name>/robot.yaml.

    Attributes:
        name: of the folder.
        urdf: file beside robot.yaml.
        srdf: file beside robot.yaml.
        arm_group: planning group in the SRDF.
        base_frame: root link.
        tcp_frame: tool centre point link.
        joint_names: (J,) arm joints in order.
        home: (J,) where the arm waits without hiding the scene [rad].
        max_velocity: (J,) [rad/s].
        max_acceleration: (J,) [rad/s^2].
        gripper: the hand.
        trajectory_action: name of the FollowJointTrajectory server.
        gripper_action: name of the GripperCommand server.
    """

    name: str
    urdf: str
    srdf: str
    arm_group: str
    base_frame: str
    tcp_frame: str
    joint_names: tuple[str, ...]
    home: tuple[float, ...]
    max_velocity: tuple[float, ...]
    max_acceleration: tuple[float, ...]
    gripper: GripperConfig
    trajectory_action: str
    gripper_action: str

    def __post_init__(self) -> None:
        """Check that per-joint values are per joint."""
        for name in ('home', 'max_velocity', 'max_acceleration'):
            if len(getattr(self, name)) != len(self.joint_names):
                raise ConfigurationError(
                    f'{name} has {len(getattr(self, name))} values for {len(self.joint_names)} '
                    'joints'
                )

    @property
    def folder(self) -> Path:
        """Where the robot's files lie."""
        return config_root() / 'robots' / self.name


@dataclass(frozen=True)
class PoseConfig:
    """A pose in yaml: metres and an xyzw quaternion."""

    translation: Vector3 = (0.0, 0.0, 0.0)
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The (4, 4) transform."""
        return transform_from_quaternion(self.translation, self.rotation)


@dataclass(frozen=True)
class WorkspaceConfig:
    """The axis-aligned box in the world frame that objects and the hand may be in [m]."""

    lower: Vector3
    upper: Vector3

    def contains(self, points: NDArray, margin: float = 0.0) -> NDArray[np.bool_]:
        """Say for (..., 3) world points which lie inside, `margin` metres from every side."""
        lower, upper = np.asarray(self.lower) + margin, np.asarray(self.upper) - margin
        return np.asarray(((points >= lower) & (points <= upper)).all(axis=-1))


@dataclass(frozen=True)
class CameraConfig:
    """A camera of the rig; `pose` is T_world_camera of its optical frame."""

    name: str
    width: int = 640
    height: int = 480
    fovy_degrees: float = 45.0
    pose: PoseConfig = PoseConfig()


@dataclass(frozen=True)
class RigConfig:
    """Where the robot stands and what it may touch, as in config/rigs/<name>.yaml.

    Attributes:
        frame_id: the world frame.
        base: T_world_base of the robot's root link.
        workspace: the box for objects and hand.
        camera: the camera that observes.
        support_height: rough height of the table top in the world frame [m]; perception refines
            it.
    """

    frame_id: str
    base: PoseConfig
    workspace: WorkspaceConfig
    camera: CameraConfig
    support_height: float = 0.0


def load_robot(name: str) -> RobotConfig:
    """Read config/robots/<name>/robot.yaml."""
    return load_config(f'robots/{name}/robot.yaml', RobotConfig)


def load_rig(name_or_path: str) -> RigConfig:
    """Read config/rigs/<name>.yaml, or the yaml file at a path."""
    relative = name_or_path if name_or_path.endswith('.yaml') else f'rigs/{name_or_path}.yaml'
    return load_config(relative, RigConfig)


@dataclass(frozen=True)
class Context:
    """What every backend is given beside its own configuration."""

    robot: RobotConfig
    rig: RigConfig
