# SPDX-License-Identifier: Apache-2.0
"""Small recordings, written anew for every test."""

from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import yaml

from flow_manip_core.robot import (
    CameraConfig,
    Context,
    load_robot,
    PoseConfig,
    RigConfig,
    WorkspaceConfig,
)
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_ros.testing import ros

HEIGHT, WIDTH = 24, 32
INTRINSICS = {'fx': 30.0, 'fy': 31.0, 'cx': 15.5, 'cy': 11.5}
RIG_POSE = (0.5, 0.0, 0.9)


@dataclass(frozen=True)
class Frame:
    """What one written frame holds; depth in metres, 0 where unknown."""

    color: np.ndarray
    depth: np.ndarray
    T_world_camera: np.ndarray


def make_frame(index):
    rng = np.random.default_rng(index)
    # Large patches survive JPEG.
    color = np.kron(rng.integers(40, 200, (3, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    depth = np.full((HEIGHT, WIDTH), 0.8 + 0.1 * index)
    depth[:5, :7] = 1.25
    depth[20:, :] = 0.0
    pose = make_transform([0.1 * index, 0.2, 0.7], rotation_about([1.0, 0.2, 0.0], 2.8))
    return Frame(color, depth, pose)


def write_color(path, color):
    assert cv2.imwrite(str(path), color[..., ::-1])


def write_depth(path, depth, unit):
    assert cv2.imwrite(str(path), np.rint(depth / unit).astype(np.uint16))


def write_matrix(path, matrix):
    np.savetxt(path, matrix, fmt='%.9e')


def intrinsics_matrix():
    i = INTRINSICS
    return np.array([[i['fx'], 0, i['cx']], [0, i['fy'], i['cy']], [0, 0, 1]])


def write_handheld(folder, count=3, unit=0.001):
    """Write frames as 7-Scenes has them, every second number."""
    folder.mkdir(exist_ok=True)
    write_matrix(folder / 'camera-intrinsics.txt', intrinsics_matrix())
    frames = [make_frame(index) for index in range(count)]
    for index, frame in enumerate(frames):
        base = f'frame-{2 * index:06d}'
        write_color(folder / f'{base}.color.jpg', frame.color)
        write_depth(folder / f'{base}.depth.png', frame.depth, unit)
        write_matrix(folder / f'{base}.pose.txt', frame.T_world_camera)
    return frames


def write_described(folder, count=2, unit=0.00025, **changes):
    """Write a folder of our own with its recording.yaml; `changes` of None leave a key out."""
    (folder / 'color').mkdir(parents=True)
    (folder / 'depth').mkdir()
    frames = [make_frame(index) for index in range(count)]
    for index, frame in enumerate(frames):
        # Natural order, not the alphabet's: 9 comes before 10.
        write_color(folder / 'color' / f'{index + 9}.png', frame.color)
        write_depth(folder / 'depth' / f'{index + 9}.png', frame.depth, unit)
    values = {
        'color': 'color/*.png',
        'depth': 'depth/*.png',
        'depth_unit': unit,
        'intrinsics': INTRINSICS,
        'pose': {'translation': [0.1, 0.2, 0.3], 'rotation': [1.0, 0.0, 0.0, 0.0]},
        'rate': 15.0,
        **changes,
    }
    values = {key: value for key, value in values.items() if value is not None}
    (folder / 'recording.yaml').write_text(yaml.safe_dump(values))
    return frames


@pytest.fixture
def context():
    rig = RigConfig(
        frame_id='world',
        base=PoseConfig(),
        workspace=WorkspaceConfig((0.2, -0.4, 0.0), (0.8, 0.4, 0.6)),
        camera=CameraConfig(
            'scene', WIDTH, HEIGHT, 45.0, PoseConfig(RIG_POSE, (1.0, 0.0, 0.0, 0.0))
        ),
    )
    return Context(load_robot('franka'), rig)


@pytest.fixture
def make():
    """Give a test the writers: test modules cannot import this one."""
    return SimpleNamespace(
        frame=make_frame,
        color=write_color,
        depth=write_depth,
        matrix=write_matrix,
        intrinsics=intrinsics_matrix,
        handheld=write_handheld,
        described=write_described,
    )


__all__ = ['ros']
