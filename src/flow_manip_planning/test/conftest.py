# SPDX-License-Identifier: Apache-2.0
"""Synthetic RGB-D scenes: boxes and upright cylinders on a table, ray-traced in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.flow_planner.rigid_path import RigidPathPlanner
from flow_manip_planning.flow_planner.settings import RigidPathConfig
from flow_manip_planning.grasp.antipodal import AntipodalGrasps
from flow_manip_planning.robot_model import RobotModel


@dataclass(frozen=True)
class Thing:
    """A box (x, y, z extent) or an upright cylinder (radius, height) standing on the table."""

    x: float
    y: float
    size: tuple[float, ...]
    yaw: float = 0.0
    z: float = 0.0

    @property
    def pose(self) -> np.ndarray:
        height = self.size[-1]
        return make_transform(
            [self.x, self.y, self.z + height / 2], rotation_about([0, 0, 1], self.yaw)
        )

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Return the (H, W) ray parameter of the first hit, infinite where there is none."""
        R, t = self.pose[:3, :3], self.pose[:3, 3]
        start, direction = (origin - t) @ R, rays @ R
        with np.errstate(divide='ignore', invalid='ignore'):
            if len(self.size) == 3:
                half = np.array(self.size) / 2
                a, b = (-half - start) / direction, (half - start) / direction
                near, far = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
                return np.where((near <= far) & (near > 0), near, np.inf)
            radius, height = self.size
            aa = (direction[..., :2] ** 2).sum(-1)
            bb = 2 * (direction[..., :2] @ start[:2])
            inside = bb**2 - 4 * aa * (start[:2] @ start[:2] - radius**2)
            side = (-bb - np.sqrt(np.maximum(inside, 0))) / (2 * aa)
            z = start[2] + side * direction[..., 2]
            side = np.where((inside > 0) & (side > 0) & (np.abs(z) <= height / 2), side, np.inf)
            cap = (height / 2 - start[2]) / direction[..., 2]
            xy = start[:2] + cap[..., None] * direction[..., :2]
            cap = np.where((cap > 0) & ((xy**2).sum(-1) <= radius**2), cap, np.inf)
        return np.minimum(side, cap)


class Tabletop:
    """Renders things for the rig's camera."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def look(self, *things: Thing, joints: dict[str, float] | None = None):
        """Return the observation and one mask per thing that is visible."""
        width, height = 320, 240
        camera = CameraModel.from_fov(
            width, height, np.radians(self.context.rig.camera.fovy_degrees)
        )
        T = self.context.rig.camera.pose.matrix
        rays = camera.lift(np.ones((height, width), np.float32)) @ T[:3, :3].T
        depth = np.where(rays[..., 2] < 0, -T[2, 3] / rays[..., 2], np.inf)
        owner = np.zeros(depth.shape, dtype=int)
        for index, thing in enumerate(things, start=1):
            hit = thing.hit(T[:3, 3], rays)
            owner[hit < depth] = index
            depth = np.minimum(depth, hit)
        depth[~np.isfinite(depth)] = np.nan
        home = dict(zip(self.context.robot.joint_names, self.context.robot.home))
        observation = Observation(
            color=np.zeros((height, width, 3), np.uint8),
            depth=depth.astype(np.float32),
            camera=camera,
            T_world_camera=T,
            joint_positions=home if joints is None else joints,
        )
        return observation, [Mask(owner == i + 1, f'thing {i}') for i in range(len(things))]


def carry(
    observation: Observation,
    mask: Mask,
    center,
    delta,
    *,
    lift: float = 0.12,
    turn: float = 0.0,
    steps: int = 25,
    seconds: float = 5.0,
) -> ObjectFlow:
    """Return the flow of an object that moves by `delta` over an arc and turns about z."""
    center, delta = np.asarray(center, float), np.asarray(delta, float)
    share = np.linspace(0, 1, steps)
    share = share**2 * (3 - 2 * share)
    poses = np.tile(np.eye(4), (steps, 1, 1))
    for pose, s in zip(poses, share):
        pose[:3, :3] = rotation_about([0, 0, 1], turn * s)
        pose[:3, 3] = center - pose[:3, :3] @ center + s * delta
        pose[2, 3] += lift * np.sin(np.pi * s)
    points = mask.points(observation)
    points = points[:: max(1, len(points) // 150)]
    return flow_from_transforms(points, poses, np.linspace(0, seconds, steps), object=mask.label)


@pytest.fixture(scope='session')
def context() -> Context:
    return Context(load_robot('franka'), load_rig('tabletop'))


@pytest.fixture(scope='session')
def robot(context) -> RobotModel:
    return RobotModel.from_context(context)


@pytest.fixture(scope='session')
def tabletop(context) -> Tabletop:
    return Tabletop(context)


@pytest.fixture(scope='session')
def proposer(context) -> AntipodalGrasps:
    return AntipodalGrasps(AntipodalGrasps.Config(), context)


@pytest.fixture(scope='session')
def planner(context, proposer) -> RigidPathPlanner:
    return RigidPathPlanner(RigidPathConfig(), context, proposer)


@pytest.fixture(scope='session')
def scenes():
    """Give tests the helpers above: with importlib mode a conftest cannot be imported."""

    class Helpers:
        thing = Thing
        flow = staticmethod(carry)

    return Helpers
