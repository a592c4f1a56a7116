# SPDX-License-Identifier: Apache-2.0
"""A ray-cast table top: exact depth and masks of boxes, cylinders, plates and bowls, in
milliseconds and without a simulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
import sys

import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import (
    CameraConfig,
    Context,
    GripperConfig,
    PoseConfig,
    RigConfig,
    RobotConfig,
    WorkspaceConfig,
)
from flow_manip_core.transforms import invert_transform, make_transform, rotation_about

# Fakes are imported by name, in worker processes too.
sys.path.insert(0, str(Path(__file__).parent))

FAR = 1e9


def look_at(eye, target):
    """Return T_world_camera of an optical frame at `eye` that looks at `target`, image up as world
    up."""
    forward = np.subtract(target, eye).astype(float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return make_transform(eye, np.stack([right, np.cross(forward, right), forward], axis=1))


@dataclass
class Box:
    """An upright box that stands on z = `base`."""

    x: float
    y: float
    size: tuple[float, float, float]
    yaw: float = 0.0
    base: float = 0.0

    @property
    def pose(self):
        center = [self.x, self.y, self.base + self.size[2] / 2]
        return make_transform(center, rotation_about([0, 0, 1], self.yaw))

    def hit(self, origin, direction):
        half = np.asarray(self.size) / 2
        with np.errstate(divide='ignore', invalid='ignore'):
            a, b = (-half - origin) / direction, (half - origin) / direction
        near, far = np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)
        return np.where((near <= far) & (near > 0), near, FAR)


@dataclass
class Cylinder:
    """A cylinder; `axis` z stands upright, x lies along its yaw."""

    x: float
    y: float
    radius: float
    length: float
    lying: bool = False
    yaw: float = 0.0
    base: float = 0.0

    @property
    def pose(self):
        turn = rotation_about([0, 0, 1], self.yaw)
        if self.lying:
            turn = turn @ rotation_about([0, 1, 0], np.pi / 2)
        height = self.radius if self.lying else self.length / 2
        return make_transform([self.x, self.y, self.base + height], turn)

    def hit(self, origin, direction):
        return np.minimum(self._side(origin, direction), self._caps(origin, direction))

    def _side(self, origin, direction):
        a = (direction[..., :2] ** 2).sum(-1)
        b = direction[..., :2] @ origin[:2]
        c = (origin[:2] ** 2).sum() - self.radius**2
        root = np.sqrt(np.maximum(b * b - a * c, 0.0))
        t = (-b - root) / np.maximum(a, 1e-12)
        z = origin[2] + t * direction[..., 2]
        return np.where((b * b >= a * c) & (t > 0) & (np.abs(z) <= self.length / 2), t, FAR)

    def _caps(self, origin, direction):
        best = np.full(direction.shape[:-1], FAR)
        for z in (-self.length / 2, self.length / 2):
            with np.errstate(divide='ignore', invalid='ignore'):
                t = (z - origin[2]) / direction[..., 2]
                p = origin[:2] + t[..., None] * direction[..., :2]
                ok = (t > 0) & ((p**2).sum(-1) <= self.radius**2)
            best = np.where(ok, np.minimum(best, t), best)
        return best


@dataclass
class Bowl:
    """Half of a hollow sphere: outer radius at its rim, standing on z = `base`; a plate where it
    is cut low."""

    x: float
    y: float
    radius: float
    height: float
    wall: float = 0.004
    base: float = 0.0

    @property
    def pose(self):
        return make_transform([self.x, self.y, self.base])

    @property
    def sphere(self):
        """Radius of the sphere whose cap has this height and this rim."""
        return (self.radius**2 + self.height**2) / (2 * self.height)

    def hit(self, origin, direction):
        best = np.full(direction.shape[:-1], FAR)
        for radius in (self.sphere, self.sphere - self.wall):
            local = origin - [0.0, 0.0, self.sphere]
            b, c = direction @ local, local @ local - radius**2
            a = (direction**2).sum(-1)
            root = np.sqrt(np.maximum(b * b - a * c, 0.0))
            for sign in (-1.0, 1.0):
                t = (-b + sign * root) / a
                z = origin[2] + t * direction[..., 2]
                ok = (b * b >= a * c) & (t > 0) & (z <= self.height) & (z >= 0.0)
                best = np.where(ok, np.minimum(best, t), best)
        return best


@dataclass
class Table:
    """Things on a table seen by one camera."""

    things: dict = field(default_factory=dict)
    height: float = 0.0
    eye: tuple[float, float, float] = (1.15, 0.0, 0.75)
    look: tuple[float, float, float] = (0.5, 0.0, 0.0)
    width: int = 640
    noise: float = 0.0

    def observe(self, seed=0):
        """Return the observation and the mask of every thing by name."""
        camera = CameraModel.from_fov(self.width, self.width * 3 // 4, np.radians(45.0))
        pose = look_at(self.eye, self.look)
        rays = camera.lift(np.ones((camera.height, camera.width)))
        world = rays @ pose[:3, :3].T
        origin = pose[:3, 3]
        depth = (self.height - origin[2]) / world[..., 2]
        depth = np.where(depth > 0, depth, FAR)
        owner = np.zeros(depth.shape, dtype=int)
        for number, thing in enumerate(self.things.values(), start=1):
            inverse = invert_transform(thing.pose)
            local = inverse[:3, :3] @ origin + inverse[:3, 3]
            t = thing.hit(local, world @ inverse[:3, :3].T)
            nearer = t < depth
            depth, owner = np.where(nearer, t, depth), np.where(nearer, number, owner)
        rng = np.random.default_rng(seed)
        depth = depth + self.noise * rng.normal(size=depth.shape)
        depth = np.where(depth < 5.0, depth, np.nan).astype(np.float32)
        palette = rng.integers(40, 255, size=(len(self.things) + 1, 3)).astype(np.uint8)
        palette[0] = 200
        observation = Observation(palette[owner], depth, camera, pose, stamp=12.5)
        masks = {
            name: Mask(owner == number, name)
            for number, name in enumerate(self.things, start=1)
            if (owner == number).any()
        }
        return observation, masks


def make_context(lower=(0.28, -0.35, -0.01), upper=(0.75, 0.35, 0.60), support=0.0):
    """Return a Panda-like gripper on a table-top rig."""
    gripper = GripperConfig(
        ('f1', 'f2'), 0.08, 0.0456, 0.014, 0.022, (0.07, 0.21, 0.07), 0.009, 60.0, 0.1
    )
    robot = RobotConfig(
        'test', '', '', '', 'base', 'tcp', ('j',), (0.0,), (1.0,), (1.0,), gripper, '', ''
    )
    rig = RigConfig(
        'world', PoseConfig(), WorkspaceConfig(lower, upper), CameraConfig('scene'), support
    )
    return Context(robot, rig)


@pytest.fixture(scope='session')
def context():
    return make_context()


@pytest.fixture(scope='session')
def shapes():
    """Return the things a table can hold, by name; test modules cannot import from here."""
    return {'box': Box, 'cylinder': Cylinder, 'bowl': Bowl, 'table': Table, 'rig': make_context}
