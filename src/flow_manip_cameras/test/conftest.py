# SPDX-License-Identifier: Apache-2.0
"""Small recordings, written anew for every test."""

from dataclasses import dataclass
import itertools
import threading
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

try:
    import pyrealsense2 as rs
except ImportError:
    rs = None

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


class SoftwareCamera:
    """A depth and a colour sensor of librealsense, fed from arrays."""

    width, height, rate = 160, 120, 60

    def __init__(self, *, offset=0.0, unit=0.001, coefficients=(0.0,) * 5, bgr=False):
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, 'Software camera')
        self.device.register_info(rs.camera_info.serial_number, '42')
        self.sensors = [self.device.add_sensor(name) for name in ('Stereo Module', 'RGB Camera')]
        self.unit, self.bgr = unit, bgr
        self.sensors[0].add_read_only_option(rs.option.depth_units, unit)
        color = rs.format.bgr8 if bgr else rs.format.rgb8
        depth = self._stream(0, rs.stream.depth, rs.format.z16, 2, (0.0,) * 5)
        self.profiles = [depth, self._stream(1, rs.stream.color, color, 3, coefficients)]
        extrinsics = rs.extrinsics()
        extrinsics.rotation = np.eye(3).ravel().tolist()
        extrinsics.translation = [offset, 0.0, 0.0]
        self.profiles[0].register_extrinsics_to(self.profiles[1], extrinsics)
        self.device.create_matcher(rs.matchers.default)
        self.color = np.full((self.height, self.width, 3), (10, 120, 240), np.uint8)
        self.depth = np.full((self.height, self.width), 0.8)
        self.streams = (True, True)
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _stream(self, index, kind, form, size, coefficients):
        lens = rs.intrinsics()
        lens.width, lens.height = self.width, self.height
        lens.fx = lens.fy = 150.0
        lens.ppx, lens.ppy = self.width / 2, self.height / 2
        lens.model, lens.coeffs = rs.distortion.brown_conrady, list(coefficients)
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fmt = kind, 0, index, form
        stream.width, stream.height, stream.fps, stream.bpp = (
            self.width,
            self.height,
            self.rate,
            size,
        )
        stream.intrinsics = lens
        profile = self.sensors[index].add_video_stream(stream, True)
        return profile.as_video_stream_profile()

    def _send(self, index, pixels, number):
        frame = rs.software_video_frame()
        frame.pixels = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
        frame.bpp = pixels.nbytes // (self.width * self.height)
        frame.stride = self.width * frame.bpp
        frame.timestamp = number * 1000.0 / self.rate
        frame.domain = rs.timestamp_domain.system_time
        frame.frame_number = number
        frame.profile = self.profiles[index]
        if index == 0:
            frame.depth_units = self.unit
        self.sensors[index].on_video_frame(frame)

    def _run(self):
        while not self._stopping.wait(1.0 / self.rate):
            number = next(self._numbers)
            if self.streams[0]:
                self._send(0, np.rint(self.depth / self.unit).astype(np.uint16), number)
            if self.streams[1]:
                self._send(1, self.color[..., ::-1] if self.bgr else self.color, number)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()


@pytest.fixture
def software_camera():
    """Return the class of a camera that librealsense itself takes for one."""
    if rs is None:
        pytest.skip('pyrealsense2 needs the system package libusb-1.0-0')
    return SoftwareCamera


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
