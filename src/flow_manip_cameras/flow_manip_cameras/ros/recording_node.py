# SPDX-License-Identifier: Apache-2.0
"""Plays a recording on the rig's camera topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.timer import Timer

from flow_manip_cameras.recording import RecordingCamera
from flow_manip_cameras.ros.publishing import CameraPublisher
from flow_manip_core.errors import FlowManipError
from flow_manip_core.observation import Observation
from flow_manip_ros.nodes import ManagedNode, run_node


class RecordingNode(ManagedNode):
    """A recording in place of a camera."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; `kwargs` go to the node."""
        super().__init__('recording_node', **kwargs)
        self._workcell = self.parameters.context()
        path = self.parameters.value('path', '', 'Folder, bag or yaml file of the recording')
        rate = self.parameters.value('rate', 0.0, "[Hz]; 0: the recording's")
        self._config = RecordingCamera.Config(path=path, rate=rate)
        self._loop = self.parameters.value('loop', True, 'Begin again after the last frame')
        self.parameters.check()
        self._camera: RecordingCamera | None = None
        self._publisher: CameraPublisher | None = None
        self._frames: Iterator[Observation] | None = None
        self._timer: Timer | None = None

    def set_up(self) -> None:
        """Open the recording."""
        self._camera = RecordingCamera(self._config, self._workcell)
        self._publisher = CameraPublisher(
            self, self._workcell.rig, fixed_pose=self._camera.fixed_pose
        )

    def start(self) -> None:
        """Play from the beginning."""
        assert self._camera is not None
        self._frames = self._camera.frames()
        self._timer = self.create_timer(
            1.0 / self._camera.rate, self._tick, MutuallyExclusiveCallbackGroup()
        )

    def stop(self) -> None:
        """Stop playing."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        self._frames = None

    def tear_down(self) -> None:
        """Give files and publishers back."""
        if self._publisher is not None:
            self._publisher.destroy()
            self._publisher = None
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _tick(self) -> None:
        timer = self._timer
        if self._frames is None or self._publisher is None or timer is None:
            return
        try:
            frame = self._next_frame()
            if frame is not None:
                self._publisher.publish(frame)
                return
            self.get_logger().info('the recording has ended')
        except FlowManipError as error:
            self.failure = error
            self.get_logger().error(f'playing stopped: {error.name} {error}')
        # Not cancelled: that breaks an executor which is about to call it.
        self._timer = None
        self.destroy_timer(timer)

    def _next_frame(self) -> Observation | None:
        """Return the next frame, None after the last one of a recording that does not loop."""
        assert self._camera is not None
        assert self._frames is not None
        frame = next(self._frames, None)
        if frame is None and self._loop:
            self._frames = self._camera.frames()
            frame = next(self._frames, None)
        return frame


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run_node(RecordingNode, args)
