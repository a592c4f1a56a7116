# SPDX-License-Identifier: Apache-2.0
"""How a cell is built and drawn, and what a seed changes about light and camera."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from flow_manip_core.camera import CameraModel
from flow_manip_core.robot import CameraConfig
from flow_manip_mujoco.camera import DepthNoiseConfig
from flow_manip_mujoco.control import ArmGains
from flow_manip_mujoco.layout import LayoutConfig
from flow_manip_mujoco.panda import GripperServo
from flow_manip_mujoco.scene import camera_quaternion, LIGHTS, PhysicsConfig, TableConfig


@dataclass(frozen=True)
class RandomisationConfig:
    """What a seed changes besides the objects and their poses.

    Attributes:
        light: largest relative change of the lights' strength.
        light_direction: largest change of their direction [rad].
        camera_position: standard deviation of the camera's place [m].
        camera_rotation: standard deviation of its direction [rad].
    """

    light: float = 0.15
    light_direction: float = 0.3
    camera_position: float = 0.0
    camera_rotation: float = 0.0


@dataclass(frozen=True)
class CellConfig:
    """How the cell is built and drawn."""

    physics: PhysicsConfig = field(default_factory=PhysicsConfig)
    table: TableConfig = field(default_factory=TableConfig)
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    randomisation: RandomisationConfig = RandomisationConfig()
    gains: ArmGains = field(default_factory=ArmGains)
    servo: GripperServo = field(default_factory=GripperServo)
    noise: DepthNoiseConfig = field(default_factory=DepthNoiseConfig)
    shadows: bool = False


def camera_model_of(camera: CameraConfig) -> CameraModel:
    """Return the intrinsics that MuJoCo draws a camera with."""
    fovy = float(np.radians(camera.fovy_degrees))
    return CameraModel.from_fov(camera.width, camera.height, fovy)


def randomise(
    model: mujoco.MjModel,
    camera: CameraConfig,
    config: RandomisationConfig,
    rng: np.random.Generator,
) -> None:
    """Vary lights and camera about their places; nothing of the last time remains."""
    for name, light in LIGHTS.items():
        turn = Rotation.from_rotvec(config.light_direction * rng.uniform(-1, 1, size=3) / 2)
        element = model.light(name)
        element.dir[:] = turn.apply(light.direction)
        element.diffuse[:] = light.strength * (1.0 + config.light * rng.uniform(-1, 1))
    pose = camera.pose.matrix
    pose[:3, 3] += config.camera_position * rng.normal(size=3)
    turn = Rotation.from_rotvec(config.camera_rotation * rng.normal(size=3)).as_matrix()
    pose[:3, :3] = turn @ pose[:3, :3]
    element = model.camera(camera.name)
    element.pos[:], element.quat[:] = pose[:3, 3], camera_quaternion(pose)
