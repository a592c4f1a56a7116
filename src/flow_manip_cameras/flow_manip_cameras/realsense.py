# SPDX-License-Identifier: Apache-2.0
"""Intel RealSense depth cameras through pyrealsense2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.rectify import Rectifier
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import BackendError, PeerLostError, StaleInputError
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context

try:
    import pyrealsense2 as rs
except ImportError as error:
    # The wheel needs a system library that no Python package brings.
    raise BackendError(
        f'pyrealsense2 cannot be loaded: {error}; install it with: pip install pyrealsense2, '
        'and the system package libusb-1.0-0'
    ) from error

QUEUE = 4  # frame sets; more would only grow old
POLL_MS = 20


class RealSense:
    """One device: colour, and depth aligned to it.

    Streams are opened sensor by sensor and joined by librealsense's syncer, as its own ROS node
    does: unlike its pipeline, that works with every kind of device that the library knows.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            serial: number of the device; empty: the only one.
            width: of both streams [px].
            height: of both streams [px].
            rate: of both streams [Hz].
            timeout: without a new frame, the device counts as silent [s].
            spatial_filter: smooth depth within surfaces.
            temporal_filter: smooth depth over time; for scenes that stand still.
            max_depth: readings farther away are dropped [m]; 0: none.
        """

        serial: str = field(default='', metadata={'doc': 'Of the device; empty: the only one'})
        width: int = field(default=640, metadata={'doc': '[px]'})
        height: int = field(default=480, metadata={'doc': '[px]'})
        rate: int = field(default=30, metadata={'doc': '[Hz]'})
        timeout: float = field(default=1.0, metadata={'doc': 'Silence that is an error [s]'})
        spatial_filter: bool = field(default=False, metadata={'doc': 'Smooth within surfaces'})
        temporal_filter: bool = field(default=False, metadata={'doc': 'Smooth over time'})
        max_depth: float = field(default=0.0, metadata={'doc': 'Drop farther readings [m]; 0: no'})

    fixed_pose = True

    def __init__(self, config: Config, context: Context, device: Any = None) -> None:
        """Start both streams; the camera's pose is the rig's.

        Args:
            config: see there.
            context: its rig says where the camera is.
            device: an `rs.device` that was opened elsewhere; by default the one that `serial`
                names.

        Raises:
            BackendError: no such device, or it has no such streams; says what there is.
        """
        self._config, self._rig = config, context.rig
        self.rate = float(config.rate)
        self._device = find_device(config.serial) if device is None else device
        depth_sensor, depth = self._find_stream(rs.stream.depth, (rs.format.z16,))
        color_sensor, color = self._find_stream(rs.stream.color, (rs.format.rgb8, rs.format.bgr8))
        self._swap = color.format() == rs.format.bgr8
        self._set_up_lens(color.get_intrinsics())
        self._filters = self._make_filters()
        self._align = rs.align(rs.stream.color)
        self._syncer = rs.syncer(QUEUE)
        self._sensors: list[Any] = []
        try:
            for sensor, profile in ((depth_sensor, depth), (color_sensor, color)):
                sensor.open(profile)
                self._sensors.append(sensor)
                sensor.start(self._syncer)
        except RuntimeError as error:
            self.close()
            raise BackendError(f'{self._name()}: cannot start streaming: {error}') from error

    def frames(self) -> Iterator[Observation]:
        """Yield frames as they come, stamped with the system's clock.

        Raises:
            StaleInputError: nothing came within the time-out although the device is there.
            PeerLostError: the device is gone.
        """
        while True:
            yield self._observation(self._wait())

    def close(self) -> None:
        """Stop the streams; harmless where the device is gone."""
        for sensor in self._sensors:
            for step in (sensor.stop, sensor.close):
                try:
                    step()
                except RuntimeError:
                    continue  # gone already: nothing is left to give back
        self._sensors = []

    def _wait(self) -> Any:
        """Return the next frame set that has both streams."""
        deadline = time.monotonic() + self._config.timeout
        seen = {rs.stream.color: 0, rs.stream.depth: 0}
        while time.monotonic() < deadline:
            arrived, frames = self._syncer.try_wait_for_frames(POLL_MS)
            if not arrived:
                continue
            for frame in frames:
                seen[frame.get_profile().stream_type()] += 1
            # Until the streams run in step, the syncer hands on what it has.
            if frames.get_color_frame() and frames.get_depth_frame():
                return frames
        raise self._silence({str(kind): count for kind, count in seen.items()})

    def _silence(self, seen: dict[str, int]) -> Exception:
        what = f'{self._name()}: no colour with depth for {self._config.timeout:g} s ({seen})'
        if not self._is_connected():
            return PeerLostError(f'{what}: the device is gone; check cable and USB port')
        return StaleInputError(f'{what}; the device is there: a slower USB port, or a lower rate?')

    def _is_connected(self) -> bool:
        try:
            self._sensors[0].get_stream_profiles()
            return bool(self._device.is_connected())
        except (RuntimeError, IndexError):
            return False

    def _observation(self, frames: Any) -> Observation:
        for step in self._filters:
            frames = step.process(frames).as_frameset()
        frames = self._align.process(frames)
        depth_frame = frames.get_depth_frame()
        color = np.array(frames.get_color_frame().get_data(), dtype=np.uint8)
        if self._swap:
            color = np.ascontiguousarray(color[:, :, ::-1])
        depth = self._metres(np.asarray(depth_frame.get_data()), depth_frame.get_units())
        if self._rectifier is not None:
            color, depth = self._rectifier.color(color), self._rectifier.depth(depth)
        return Observation(
            color=color,
            depth=depth,
            camera=self.camera,
            T_world_camera=self._rig.camera.pose.matrix,
            frame_id=self._rig.frame_id,
            stamp=time.time(),
        )

    def _metres(self, counts: NDArray[np.uint16], unit: float) -> NDArray[np.float32]:
        depth = counts.astype(np.float32) * np.float32(unit)
        far = depth > self._config.max_depth if self._config.max_depth > 0 else False
        depth[(counts == 0) | far] = np.nan
        return depth

    def _set_up_lens(self, lens: Any) -> None:
        self.camera = CameraModel(lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy)
        self._rectifier = None
        if any(abs(c) > 1e-9 for c in lens.coeffs) and lens.model != rs.distortion.none:
            self._rectifier = Rectifier.from_projection(
                self.camera, lambda x, y: rs.rs2_project_point_to_pixel(lens, [x, y, 1.0])
            )

    def _make_filters(self) -> list[Any]:
        chosen = []
        # Smoothing is meant for disparity, where the noise is the same near and far.
        if self._config.spatial_filter or self._config.temporal_filter:
            chosen.append(rs.disparity_transform(True))
            if self._config.spatial_filter:
                chosen.append(rs.spatial_filter())
            if self._config.temporal_filter:
                chosen.append(rs.temporal_filter())
            chosen.append(rs.disparity_transform(False))
        return chosen

    def _find_stream(self, kind: Any, formats: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the sensor and its profile of that kind, size and rate, first format first."""
        wanted = (self._config.width, self._config.height, self._config.rate)
        offered = []
        for sensor in self._device.query_sensors():
            for profile in sensor.get_stream_profiles():
                if profile.stream_type() == kind and profile.format() in formats:
                    video = profile.as_video_stream_profile()
                    size = (video.width(), video.height(), video.fps())
                    offered.append((formats.index(video.format()), size, sensor, video))
        fitting = sorted((o for o in offered if o[1] == wanted), key=lambda o: o[0])
        if not fitting:
            sizes = sorted({o[1] for o in offered})
            raise BackendError(
                f'{self._name()} has no {kind} of width x height x rate {wanted}; it has {sizes}'
            )
        return fitting[0][2], fitting[0][3]

    def _name(self) -> str:
        return ' '.join(
            self._device.get_info(info)
            for info in (rs.camera_info.name, rs.camera_info.serial_number)
            if self._device.supports(info)
        )


def find_device(serial: str) -> Any:
    """Return the connected device with that serial number, or the only one.

    Raises:
        BackendError: there is none, or it is not clear which; says what is connected.
    """
    devices = {d.get_info(rs.camera_info.serial_number): d for d in rs.context().query_devices()}
    if serial in devices:
        return devices[serial]
    if not devices:
        raise BackendError(
            'no RealSense device is connected; check cable and USB port, and that the udev rules '
            'of librealsense are installed'
        )
    if serial or len(devices) > 1:
        raise BackendError(
            f"no RealSense device with serial '{serial}'; set serial to one of {sorted(devices)}"
        )
    return next(iter(devices.values()))
