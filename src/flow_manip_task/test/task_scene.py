# SPDX-License-Identifier: Apache-2.0
"""A table with coloured boxes, ray-cast: observations with exact truth and no renderer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flow_manip_core.camera import CameraModel
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_from_quaternion,
    transform_points,
)

CAMERA = CameraModel.from_fov(320, 240, np.deg2rad(45.0))
T_WORLD_CAMERA = transform_from_quaternion((1.15, 0.0, 0.75), (0.653, 0.653, -0.271, -0.271))
TABLE = (150, 130, 110)
_CAST: dict = {}
JOINTS = tuple(f'panda_joint{i}' for i in range(1, 8))
GREEN, RED, BLUE, WHITE = (40, 160, 60), (200, 40, 40), (40, 70, 190), (230, 230, 225)


@dataclass(frozen=True)
class Box:
    """A box on the table: size [m], pose and colour."""

    name: str
    color: tuple[int, int, int]
    size: tuple[float, float, float] = (0.04, 0.04, 0.04)
    pose: np.ndarray = None  # type: ignore[assignment]

    def moved(self, transform: np.ndarray) -> Box:
        return replace(self, pose=transform @ self.pose)


def standing(x: float, y: float, height: float, yaw: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Pose of a box of that height on the table (or at z)."""
    return make_transform((x, y, z + height / 2), rotation_about((0, 0, 1), yaw))


RED_CUBE = Box('red cube', RED, pose=standing(0.45, 0.12, 0.04, 0.3))
PLATE = Box('white plate', WHITE, (0.16, 0.16, 0.012), standing(0.55, -0.12, 0.012))
BLUE_BOX = Box('blue box', BLUE, (0.05, 0.09, 0.06), standing(0.62, 0.15, 0.06, -0.4))
SCENE = (RED_CUBE, PLATE, BLUE_BOX)


def observe(boxes: tuple[Box, ...] = SCENE, noise: float = 0.0, seed: int = 0) -> Observation:
    """Ray-cast the boxes and the table top at z = 0."""
    observation, _ = cast(boxes, noise, seed)
    return observation


def cast(
    boxes: tuple[Box, ...], noise: float = 0.0, seed: int = 0
) -> tuple[Observation, np.ndarray]:
    """Return the observation and an (H, W) image of indices into `boxes`, -1 for the table."""
    key = (noise, seed, *((box.name, box.color, box.size, box.pose.tobytes()) for box in boxes))
    if key not in _CAST:
        _CAST[key] = _cast(boxes, noise, seed)
    return _CAST[key]


def _cast(boxes: tuple[Box, ...], noise: float, seed: int) -> tuple[Observation, np.ndarray]:
    rays = CAMERA.lift(np.ones((CAMERA.height, CAMERA.width)))
    origin, directions = T_WORLD_CAMERA[:3, 3], rays @ T_WORLD_CAMERA[:3, :3].T
    depth = -origin[2] / np.minimum(directions[..., 2], -1e-6)
    color = np.full((*depth.shape, 3), TABLE, dtype=float)
    index = np.full(depth.shape, -1)
    for i, box in enumerate(boxes):
        hit, shade = _hit(box, origin, directions)
        nearer = hit < depth
        depth[nearer], index[nearer] = hit[nearer], i
        color[nearer] = np.array(box.color) * shade[nearer, None]
    if noise:
        depth = depth + np.random.default_rng(seed).normal(0, noise, depth.shape)
    observation = Observation(
        color=color.clip(0, 255).astype(np.uint8),
        depth=depth.astype(np.float32),
        camera=CAMERA,
        T_world_camera=T_WORLD_CAMERA,
        stamp=12.5,
        joint_positions={name: 0.1 * i for i, name in enumerate(JOINTS)},
    )
    return observation, index


def _hit(box: Box, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance along each ray to the box, inf where it misses, and brightness by the face."""
    inverse = invert_transform(box.pose)
    start, along = transform_points(inverse, origin), directions @ inverse[:3, :3].T
    half = np.array(box.size) / 2
    with np.errstate(divide='ignore', invalid='ignore'):
        a, b = (-half - start) / along, (half - start) / along
    enter, leave = np.minimum(a, b), np.maximum(a, b)
    near, far = enter.max(axis=-1), leave.min(axis=-1)
    face = np.array([0.7, 0.85, 1.0])[enter.argmax(axis=-1)]
    return np.where((near <= far) & (near > 0), near, np.inf), face


def mask_of(name: str, boxes: tuple[Box, ...] = SCENE, score: float = 0.9) -> Mask:
    """The exact mask of a box."""
    _, index = cast(boxes)
    return Mask(index == [box.name for box in boxes].index(name), name, score)


def put_motion(steps: int = 25) -> np.ndarray:
    """(T, 4, 4) motion of the red cube onto the plate: up, over, down, turning by 0.6 rad."""
    s = np.linspace(0, 1, steps)
    start = RED_CUBE.pose[:3, 3]
    goal = np.array([0.55, -0.12, 0.032])
    poses = []
    for value in 3 * s**2 - 2 * s**3:
        turn = rotation_about((0, 0, 1), 0.6 * value)
        middle = start + (goal - start) * value + [0, 0, 0.15 * np.sin(np.pi * value)]
        poses.append(make_transform(middle - turn @ start, turn))
    return np.array(poses)


def put_flow(motion: np.ndarray | None = None, **fields: object) -> ObjectFlow:
    """The flow of the red cube onto the plate."""
    motion = put_motion() if motion is None else motion
    points = mask_of('red cube').points(observe())[::4]
    fields = {'object': 'red cube', 'source': 'rule_based', 'stamp': 12.5} | fields
    return flow_from_transforms(points, motion, np.linspace(0, 4, len(motion)), **fields)


def put_plan(motion: np.ndarray | None = None) -> Plan:
    """A plan with the parts that a real one has; joint values are smooth but arbitrary."""
    motion = put_motion() if motion is None else motion
    down = make_transform(RED_CUBE.pose[:3, 3], np.diag([1.0, -1.0, -1.0]))
    grasps = [
        Grasp(
            down
            @ make_transform(
                (0, 0, 0), rotation_about((0, 0, 1), a) @ rotation_about((1, 0, 0), b)
            ),
            0.045,
            0.9 - 0.1 * abs(b) - 0.05 * a,
        )
        for a in (0.3, 1.87, 0.9)
        for b in (0.0, 0.4, -0.4)
    ]
    names = ('approach', 'grasp', 'follow', 'release', 'retreat')
    seconds = (2.1, 0.0, 4.0, 0.0, 1.8)
    segments = tuple(
        PlanSegment(
            name,
            _trajectory(duration) if duration else None,
            gripper_width=0.08 if name == 'release' else 0.0,
            gripper_effort=20.0,
            expect_object=name == 'grasp',
            holding=name == 'follow',
        )
        for name, duration in zip(names, seconds)
    )
    return Plan(
        robot='franka',
        grasp=grasps[0],
        segments=segments,
        object_poses=motion,
        times=np.linspace(0, 4, len(motion)),
        object='red cube',
        stamp=12.5,
        rejections={
            'unreachable at the start': 14,
            'in collision with the table': 5,
            'too wide': 2,
        },
        considered=tuple(grasps),
    )


def _trajectory(duration: float) -> Trajectory:
    times = np.linspace(0, duration, 20)
    positions = np.outer(np.sin(times / duration), np.linspace(0.1, 0.7, 7))
    return Trajectory(
        JOINTS, times, positions, np.gradient(positions, times, axis=0), np.zeros_like(positions)
    )
