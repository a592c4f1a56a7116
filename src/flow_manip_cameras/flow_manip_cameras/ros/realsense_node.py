# SPDX-License-Identifier: Apache-2.0
"""Publishes a RealSense on the rig's camera topics."""

from __future__ import annotations

from collections.abc import Iterator
import threading
from typing import Any

from flow_manip_cameras import CAMERAS, CameraSource
from flow_manip_cameras.ros.publishing import CameraPublisher
from flow_manip_core.errors import FlowManipError, StaleInputError
from flow_manip_core.observation import Observation
from flow_manip_ros.nodes import ManagedNode, run_node

RETRY_PERIOD = 1.0  # [s] between attempts to find a device that was lost


class RealsenseNode(ManagedNode):
    """A RealSense; where the device is lost, it is opened again when it comes back."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; `kwargs` go to the node.

        Raises:
            BackendError: librealsense is not installed.
        """
        super().__init__('realsense_node', **kwargs)
        self._workcell = self.parameters.context()
        self._cls = CAMERAS.load('realsense')
        config = self._cls.Config
        self._config = self.parameters.dataclass(config, 'realsense.')
        self._publish_pose = self.parameters.value(
            'publish_pose', True, "Send the rig's camera pose on tf_static"
        )
        self.parameters.check()
        self._camera: CameraSource | None = None
        self._publisher: CameraPublisher | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def open_camera(self) -> CameraSource:
        """Open the device."""
        return self._cls(self._config, self._workcell)

    def set_up(self) -> None:
        """Open the device, so that a missing one fails here."""
        self._camera = self.open_camera()
        self._publisher = CameraPublisher(
            self, self._workcell.rig, fixed_pose=True, publish_pose=self._publish_pose
        )

    def start(self) -> None:
        """Publish every frame from a thread of its own: the library blocks while it waits."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name='realsense', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop publishing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def tear_down(self) -> None:
        """Give device and publishers back."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        if self._publisher is not None:
            self._publisher.destroy()
            self._publisher = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._camera is None:
                    self._camera = self.open_camera()
                    self.get_logger().info('the camera is back')
                self._play(self._camera.frames())
            except StaleInputError as error:
                self._report(error)
            except FlowManipError as error:
                self._report(error)
                if self._camera is not None:
                    self._camera.close()
                    self._camera = None
                self._stopping.wait(RETRY_PERIOD)

    def _play(self, frames: Iterator[Observation]) -> None:
        assert self._publisher is not None
        for frame in frames:
            if self._stopping.is_set():
                return

            self._publisher.publish(frame)

    def _report(self, error: FlowManipError) -> None:
        self.failure = error
        self.get_logger().error(f'{error.name} {error}', throttle_duration_sec=5.0)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run_node(RealsenseNode, args)
