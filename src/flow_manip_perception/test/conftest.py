# SPDX-License-Identifier: Apache-2.0
"""A small RGB-D renderer: boxes, spheres and bodies of revolution, ray-cast in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
import sys

import numpy as np
from numpy.typing import NDArray
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.observation import Observation
from flow_manip_core.robot import CameraConfig, Context, PoseConfig, RigConfig, WorkspaceConfig

sys.path.insert(0, str(Path(__file__).parent))  # helpers beside the tests

WIDTH, HEIGHT = 640, 480
CAMERA = CameraModel.from_fov(WIDTH, HEIGHT, np.radians(45.0))
LIGHT = np.array([0.3, 0.4, 0.87])


def look_at(eye: NDArray, target: NDArray) -> NDArray:
    """Return T_world_camera of an optical frame at `eye` that looks at `target`."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose


T_WORLD_CAMERA = look_at(np.array([1.15, 0.0, 0.75]), np.array([0.5, 0.0, 0.0]))

Hit = tuple[NDArray, NDArray]  # distance (inf where missed), normal
Shape = Callable[[NDArray, NDArray], Hit]


def box(
    center: tuple[float, float, float], size: tuple[float, float, float], yaw: float = 0.0
) -> Shape:
    """Make a box; `center` is that of its bottom face."""
    middle = np.add(center, (0, 0, size[2] / 2))
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    half = np.array(size) / 2

    def cast(origin: NDArray, rays: NDArray) -> Hit:
        o, d = rotation @ (origin - middle), rays @ rotation.T
        with np.errstate(divide='ignore', invalid='ignore'):
            a, b = (-half - o) / d, (half - o) / d
        near, far = np.minimum(a, b), np.maximum(a, b)
        axis = near.argmax(axis=1)
        enter, leave = near.max(axis=1), far.min(axis=1)
        t = np.where((enter < leave) & (enter > 0), enter, np.inf)
        rows = np.arange(len(d))
        normal = np.zeros_like(d)
        normal[rows, axis] = -np.sign(d[rows, axis])
        return t, normal @ rotation

    return cast


def sphere(center: tuple[float, float, float], radius: float) -> Shape:
    """Make a sphere that stands on the height of `center`."""
    middle = np.add(center, (0, 0, radius))

    def cast(origin: NDArray, rays: NDArray) -> Hit:
        o = origin - middle
        b, c = rays @ o, o @ o - radius**2
        disc = b * b - c
        t = np.where(disc > 0, -b - np.sqrt(np.maximum(disc, 0)), np.inf)
        t = np.where(t > 0, t, np.inf)
        hit = o + np.where(np.isfinite(t), t, 0)[:, None] * rays
        return t, hit / radius

    return cast


def lathe(center: tuple[float, float, float], profile: list[tuple[float, float]]) -> Shape:
    """Make a body of revolution from (radius, height) corners; open profiles are vessels."""
    base = np.array(center)

    def cast(origin: NDArray, rays: NDArray) -> Hit:
        best, normals = np.full(len(rays), np.inf), np.zeros_like(rays)
        for (r0, z0), (r1, z1) in pairwise(profile):
            t, n = _frustum(origin - base, rays, r0, z0, r1, z1)
            closer = t < best
            best, normals[closer] = np.where(closer, t, best), n[closer]
        return best, normals

    return cast


def _frustum(o: NDArray, d: NDArray, r0: float, z0: float, r1: float, z1: float) -> Hit:
    """Cast against one conical, cylindrical or flat ring between two corners of a profile."""
    t, n = np.full(len(d), np.inf), np.zeros_like(d)
    if abs(z1 - z0) < 1e-9:
        with np.errstate(divide='ignore', invalid='ignore'):
            s = (z0 - o[2]) / d[:, 2]
        radius = np.hypot(*(o[:2] + s[:, None] * d[:, :2]).T)
        ok = (s > 0) & (radius >= min(r0, r1)) & (radius <= max(r0, r1))
        t[ok], n[ok] = s[ok], [0, 0, 1]
        return t, n
    k = (r1 - r0) / (z1 - z0)
    e, f = r0 + k * (o[2] - z0), k * d[:, 2]
    a = d[:, 0] ** 2 + d[:, 1] ** 2 - f**2
    b = o[0] * d[:, 0] + o[1] * d[:, 1] - e * f
    c = o[0] ** 2 + o[1] ** 2 - e**2
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    for sign in (-1, 1):
        with np.errstate(divide='ignore', invalid='ignore'):
            s = (-b + sign * root) / a
        z = o[2] + s * d[:, 2]
        ok = (b * b >= a * c) & (s > 0) & (s < t) & (z >= min(z0, z1)) & (z <= max(z0, z1))
        t[ok] = s[ok]
        p = o + s[ok, None] * d[ok]
        n[ok] = np.stack([p[:, 0], p[:, 1], -k * np.hypot(p[:, 0], p[:, 1])], axis=1)
    length = np.linalg.norm(n, axis=1, keepdims=True)
    n = n / np.maximum(length, 1e-12)
    return t, np.where((n * d).sum(axis=1, keepdims=True) > 0, -n, n)


def cylinder(center: tuple[float, float, float], radius: float, height: float) -> Shape:
    return lathe(center, [(radius, 0), (radius, height), (0, height)])


def bowl(
    center: tuple[float, float, float], radius: float = 0.075, height: float = 0.055
) -> Shape:
    r, h = radius, height
    outer = [(0.5 * r, 0), (0.8 * r, 0.4 * h), (r, h), (r - 0.004, h)]
    return lathe(center, [*outer, (0.8 * r - 0.004, 0.4 * h), (0.5 * r, 0.006), (0, 0.006)])


def plate(center: tuple[float, float, float], radius: float = 0.09) -> Shape:
    r = radius
    return lathe(
        center, [(0.6 * r, 0), (r, 0.015), (r - 0.004, 0.015), (0.65 * r, 0.006), (0, 0.006)]
    )


def mug(center: tuple[float, float, float], radius: float = 0.04, height: float = 0.09) -> Shape:
    r, h = radius, height
    cup = lathe(center, [(r, 0), (r, h), (r - 0.004, h), (r - 0.004, 0.006), (0, 0.006)])
    x, y, z = center
    bars = [
        box((x, y + r + 0.012, z + 0.02), (0.012, 0.03, 0.012)),
        box((x, y + r + 0.012, z + 0.065), (0.012, 0.03, 0.012)),
        box((x, y + r + 0.025, z + 0.02), (0.012, 0.01, 0.057)),
    ]
    return union(cup, *bars)


def bottle(
    center: tuple[float, float, float], radius: float = 0.03, height: float = 0.18
) -> Shape:
    r, h = radius, height
    return lathe(center, [(r, 0), (r, 0.6 * h), (0.4 * r, 0.78 * h), (0.4 * r, h), (0, h)])


def union(*shapes: Shape) -> Shape:
    def cast(origin: NDArray, rays: NDArray) -> Hit:
        best, normals = np.full(len(rays), np.inf), np.zeros_like(rays)
        for shape in shapes:
            t, n = shape(origin, rays)
            closer = t < best
            best, normals[closer] = np.where(closer, t, best), n[closer]
        return best, normals

    return cast


def rgb(name: str) -> NDArray:
    """Return the colour of a name that the tests use."""
    return np.array(
        {
            'red': (200, 35, 30),
            'green': (40, 150, 50),
            'blue': (35, 70, 190),
            'yellow': (230, 200, 40),
            'orange': (235, 120, 25),
            'purple': (120, 45, 150),
            'pink': (240, 130, 170),
            'brown': (110, 65, 35),
            'white': (235, 235, 232),
            'black': (28, 28, 30),
            'gray': (128, 128, 128),
            'cyan': (40, 170, 180),
        }[name],
        dtype=float,
    )


@dataclass
class Scene:
    """Objects on a table at z = 0, and how the camera sees them."""

    table: tuple[int, int, int] = (150, 120, 95)
    grain: float = 4.0
    table_height: float = 0.0
    light: float = 1.0
    things: list[tuple[Shape, NDArray]] = field(default_factory=list)

    def add(self, shape: Shape, color: str | tuple[float, float, float]) -> int:
        """Add an object; returns its number in the ground truth."""
        self.things.append((shape, rgb(color) if isinstance(color, str) else np.array(color)))
        return len(self.things)

    def render(
        self, noise: float = 0.0, holes: float = 0.0, seed: int = 0
    ) -> tuple[Observation, NDArray]:
        """Return the observation and (H, W) object numbers, 0 on the table.

        Args:
            noise: standard deviation of the depth at 1 m [m]; grows with the square of the
                distance.
            holes: share of pixels without depth, beside those at depth edges.
            seed: of the noise.
        """
        rng = np.random.default_rng(seed)
        v, u = np.mgrid[:HEIGHT, :WIDTH]
        rays = np.stack([u, v], axis=-1).reshape(-1, 2)
        rays = CAMERA.deproject(rays, np.ones(len(rays)))
        scale = np.linalg.norm(rays, axis=1)
        rays = (rays / scale[:, None]) @ T_WORLD_CAMERA[:3, :3].T
        origin = T_WORLD_CAMERA[:3, 3]
        distance = (self.table_height - origin[2]) / rays[:, 2]
        distance = np.where(distance > 0, distance, 5.0)
        texture = np.repeat(rng.normal(size=(HEIGHT, WIDTH // 16)), 16, axis=1).reshape(-1, 1)
        color = np.array(self.table) + self.grain * texture
        normal = np.tile([0.0, 0.0, 1.0], (len(rays), 1))
        label = np.zeros(len(rays), dtype=int)
        for number, (shape, paint) in enumerate(self.things, start=1):
            t, n = shape(origin, rays)
            closer = t < distance
            distance = np.where(closer, t, distance)
            normal[closer], color[closer], label[closer] = n[closer], paint, number
        shade = self.light * (0.45 + 0.55 * np.clip(normal @ LIGHT, 0, 1))
        image = np.clip(color * shade[:, None] + rng.normal(size=color.shape) * 3, 0, 255)
        depth = (distance / scale).reshape(HEIGHT, WIDTH)
        depth = depth + rng.normal(size=depth.shape) * noise * depth**2
        if holes:
            jump = np.abs(np.diff(depth, axis=1, prepend=depth[:, :1])) > 0.02
            depth[jump | (rng.random(depth.shape) < holes)] = np.nan
        observation = Observation(
            image.reshape(HEIGHT, WIDTH, 3).astype(np.uint8),
            depth.astype(np.float32),
            CAMERA,
            T_WORLD_CAMERA,
        )
        return observation, label.reshape(HEIGHT, WIDTH)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope='session')
def shapes() -> dict[str, Callable[..., Shape]]:
    """The makers of shapes by name, for tests that cannot import this file."""
    return {
        **{'box': box, 'sphere': sphere, 'cylinder': cylinder, 'bowl': bowl, 'plate': plate},
        **{'mug': mug, 'bottle': bottle, 'union': union, 'lathe': lathe},
    }


@pytest.fixture(scope='session')
def context() -> Context:
    """A rig whose workspace is the table in front of the camera; perception needs no robot."""
    rig = RigConfig(
        frame_id='world',
        base=PoseConfig(),
        workspace=WorkspaceConfig((0.28, -0.35, -0.01), (0.75, 0.35, 0.6)),
        camera=CameraConfig('scene'),
    )
    return Context(robot=None, rig=rig)  # type: ignore[arg-type]
