# SPDX-License-Identifier: Apache-2.0
"""What stands where: robot, gripper and rig, read from config/robots and config/rigs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.config import config_root, from_mapping, load_config, load_yaml
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import transform_from_quaternion

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class GripperConfig:
    """A two-finger parallel gripper, as in config/grippers/<name>.yaml.

    Sizes are meant in the grasp frame: at the tool centre point, z along the approach, y along the
    closing direction. `T_tcp_grasp` turns it into the robot's own tcp link where that looks
    elsewhere.

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
        approach_axis: where the fingers point, in the robot's tcp link.
        closing_axis: along which they close, in the robot's tcp link.
        pad_length: of the part of a finger that presses, from its tip [m].
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
    approach_axis: Vector3 = (0.0, 0.0, 1.0)
    closing_axis: Vector3 = (0.0, 1.0, 0.0)
    pad_length: float = 0.02

    def __post_init__(self) -> None:
        """Refuse sizes that no gripper has and axes that are not at right angles."""
        sizes = ('max_width', 'finger_length', 'finger_thickness', 'finger_width', 'pad_length')
        for name in (*sizes, 'max_effort', 'speed'):
            if not (value := getattr(self, name)) > 0.0:
                raise ConfigurationError(f'gripper: {name} is {value}, it must be above 0')
        if not self.joint_names or min(self.palm_size) <= 0.0:
            raise ConfigurationError(
                f'gripper: joints {list(self.joint_names)}, palm {list(self.palm_size)} m; at '
                'least one joint and an extent above 0 are needed'
            )
        if not 0.0 <= self.tip_offset < self.finger_length:
            raise ConfigurationError(
                f'gripper: tip_offset is {self.tip_offset} m, it must lie within the '
                f'{self.finger_length} m of the fingers'
            )
        approach, closing = np.array(self.approach_axis), np.array(self.closing_axis)
        lengths = np.linalg.norm([approach, closing], axis=1)
        if np.abs(lengths - 1.0).max() > 1e-3 or abs(approach @ closing) > 1e-3:
            raise ConfigurationError(
                f'gripper: approach_axis {list(approach)} and closing_axis {list(closing)} must '
                'be unit vectors at right angles'
            )

    @property
    def T_tcp_grasp(self) -> NDArray[np.float64]:
        """(4, 4) pose of the grasp frame in the robot's tcp link: a rotation."""
        approach, closing = np.array(self.approach_axis), np.array(self.closing_axis)
        transform = np.eye(4)
        transform[:3, :3] = np.stack([np.cross(closing, approach), closing, approach], axis=1)
        return transform


@dataclass(frozen=True)
class RobotConfig:
    """One arm with a gripper, as in config/robots/<name>/robot.yaml.

    In the file, `gripper` is a mapping or the name of a file in config/grippers.

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
    """Read config/robots/<name>/robot.yaml and the gripper that it names."""
    relative = f'robots/{name}/robot.yaml'
    values = load_yaml(config_root() / relative)
    gripper = values.get('gripper')
    if isinstance(gripper, str):
        values['gripper'] = load_yaml(config_root() / 'grippers' / f'{gripper}.yaml')
    return from_mapping(RobotConfig, values, where=relative)


def load_gripper(name: str) -> GripperConfig:
    """Read config/grippers/<name>.yaml."""
    return load_config(f'grippers/{name}.yaml', GripperConfig)


def load_rig(name_or_path: str) -> RigConfig:
    """Read config/rigs/<name>.yaml, or the yaml file at a path."""
    relative = name_or_path if name_or_path.endswith('.yaml') else f'rigs/{name_or_path}.yaml'
    return load_config(relative, RigConfig)


@dataclass(frozen=True)
class Context:
    """What every backend is given beside its own configuration.

    Attributes:
        robot: that works here.
        rig: where it stands.
        simulation: returns the state of the simulated cell as JSON text, for backends that exist
            in simulation only; None where the world is real.
    """

    robot: RobotConfig
    rig: RigConfig
    simulation: Callable[[], str] | None = None
