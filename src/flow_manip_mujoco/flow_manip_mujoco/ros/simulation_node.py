# SPDX-License-Identifier: Apache-2.0
"""The node `simulation_node`: the simulated cell behind the topics and actions of hardware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flow_manip_msgs.srv import GetSimulationState
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger

from flow_manip_core.errors import ConfigurationError, FlowManipError
from flow_manip_mujoco.camera import DepthNoiseConfig
from flow_manip_mujoco.cell import CellConfig, SimulatedCell
from flow_manip_mujoco.ros.gripper_server import GripperServer
from flow_manip_mujoco.ros.publishers import (
    CameraPublisher,
    ClockPublisher,
    DescriptionPublisher,
    FramePublisher,
    JointPublisher,
    TruthPublisher,
)
from flow_manip_mujoco.ros.trajectory_server import TrajectoryServer
from flow_manip_mujoco.runner import CameraWorker, CellRunner, Picture
from flow_manip_mujoco.tracking import ToleranceConfig
from flow_manip_ros.nodes import ManagedNode, run_node


@dataclass(frozen=True)
class Rates:
    """How often things are said, in simulated time [Hz].

    Attributes:
        clock: `/clock` and `joint_states`; the others divide it.
        frames: tf of the moving links.
        camera: pictures.
        ground_truth: poses of the objects.
    """

    clock: float = 100.0
    frames: float = 50.0
    camera: float = 15.0
    ground_truth: float = 10.0


class SimulationNode(ManagedNode):
    """Steps the cell in real time and serves its arm, gripper and camera."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters."""
        super().__init__('simulation_node', **kwargs)
        parameters = self.parameters
        self._rig_context = parameters.context()
        self._declare_writable('seed', 0, 'Of the scene; read by ~/reset')
        self._declare_writable(
            'scene', 'tabletop', "'tabletop', 'random[:n]', 'empty' or 'name,name[+n]'"
        )
        self._factor = parameters.value(
            'real_time_factor', 1.0, 'Simulated over wall time; 0 is as fast as possible'
        )
        self._depth_noise = parameters.value(
            'depth_noise', False, 'Disturb depth as a sensor does'
        )
        self._shadows = parameters.value('shadows', False, 'Draw shadows: prettier, slower')
        self._allow_stalling = parameters.value(
            'allow_stalling', True, 'Fingers stopped by an object have succeeded'
        )
        self._rates = parameters.dataclass(Rates, 'rates.')
        self._noise = parameters.dataclass(DepthNoiseConfig, 'noise.')
        self._tolerance = parameters.dataclass(ToleranceConfig, 'tolerance.')
        self._publish_camera = parameters.value(
            'publish_camera', True, 'Draw pictures; false where another node has the camera'
        )
        parameters.check()
        self._clock_publisher, self._joint_publisher = ClockPublisher(self), JointPublisher(self)
        self._frame_publisher, self._truth_publisher = FramePublisher(self), TruthPublisher(self)
        self._camera_publisher = CameraPublisher(self, self._rig_context.rig.camera)
        self._description_publisher = DescriptionPublisher(self, self._rig_context.robot)

    def set_up(self) -> None:
        """Build the cell and everything that speaks for it."""
        cell = SimulatedCell(self._rig_context, CellConfig(shadows=self._shadows))
        cell.reset(self._seed(), self._scene())
        self.cell, self._ticks, self._pictures = cell, 0, 0
        self.runner = CellRunner(
            cell,
            self._on_tick,
            period=1.0 / self._rates.clock,
            real_time_factor=self._factor,
        )
        self._worker = None
        if self._publish_camera:
            noise = self._noise if self._depth_noise else None
            self._worker = CameraWorker(cell, self._on_picture, noise=noise, seed=self._seed())
        self._every = {name: self._divider(name) for name in ('frames', 'ground_truth')}

    def start(self) -> None:
        """Serve the actions and let time run."""
        robot = self._rig_context.robot
        self._arm = TrajectoryServer(self, robot.trajectory_action, self.runner, self._tolerance)
        self._gripper = GripperServer(
            self, robot.gripper_action, self.runner, self._allow_stalling
        )
        self._reset_service = self.create_service(
            Trigger, '~/reset', self._on_reset, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._state_service = self.create_service(
            GetSimulationState,
            '~/get_simulation_state',
            self._on_get_state,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._frame_publisher.publish_fixed(
            self.cell, self.runner.time, camera=self._publish_camera
        )
        self.runner.start()
        names = ', '.join(spec.name for spec in self.cell.objects)
        self.get_logger().info(f'seed {self._seed()}, on the table: {names}')

    def stop(self) -> None:
        """Stop time and the actions."""
        if not hasattr(self, '_arm'):
            return
        self.runner.stop()
        self._arm.destroy()
        self._gripper.destroy()
        self.destroy_service(self._reset_service)
        self.destroy_service(self._state_service)
        del self._arm, self._gripper, self._reset_service, self._state_service

    def tear_down(self) -> None:
        """Give the cell back."""
        if hasattr(self, 'cell'):
            if self._worker is not None:
                self._worker.close()
            self.cell.close()
            del self.cell

    def destroy_node(self) -> None:
        """Stop the threads and whoever waits for them, then give the node back."""
        if hasattr(self, '_arm'):
            self.runner.stop()
            self._arm.abandon()
            self._gripper.abandon()
        if hasattr(self, 'cell') and self._worker is not None:
            self._worker.close()
        super().destroy_node()

    def _on_tick(self, now: float) -> None:
        """Say what is due; called in the physics thread."""
        with self._unless_shut_down():
            self._tell(now)

    def _on_picture(self, picture: Picture) -> None:
        """Publish a picture; called in the camera's thread."""
        with self._unless_shut_down():
            self._camera_publisher.publish(picture)

    @contextmanager
    def _unless_shut_down(self) -> Iterator[None]:
        """Pass over that nothing can be published: SIGTERM ends ROS before the threads."""
        try:
            yield
        except Exception:
            if self.context.ok():
                raise
            self.runner.halt()

    def _tell(self, now: float) -> None:
        self._clock_publisher.publish(now)
        self._joint_publisher.publish(self.cell, now)
        self._arm.tick(now)
        self._gripper.tick()
        self._ticks += 1
        if self._ticks % self._every['frames'] == 0:
            self._frame_publisher.publish_moving(self.cell, now)
        if self._ticks % self._every['ground_truth'] == 0:
            self._truth_publisher.publish(self.cell, now)
        # 15 Hz does not divide 100 Hz: pictures are taken at the first tick after they are due.
        due = int(self._ticks * self._rates.camera / self._rates.clock)
        if due > self._pictures:
            self._pictures = due
            if self._worker is not None and self._camera_publisher.wanted:
                self._worker.take(self.cell, now)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Set the table anew from the parameters `seed` and `scene`; the clock goes on."""
        try:
            with self.runner.lock:
                self._arm.abandon()
                self._gripper.abandon()
                self.runner.reset(self._seed(), self._scene())
                self._frame_publisher.publish_fixed(
                    self.cell, self.runner.time, camera=self._publish_camera
                )
            names = ', '.join(spec.name for spec in self.cell.objects)
            response.success, response.message = True, f'on the table: {names}'
        except FlowManipError as error:
            response.success, response.message = False, f'{error.name}: {error}'
        return response

    def _on_get_state(
        self, _: GetSimulationState.Request, response: GetSimulationState.Response
    ) -> GetSimulationState.Response:
        """Say what stands where; physics waits for less than a millisecond."""
        try:
            with self.runner.lock:
                response.state = self.cell.state()
            response.error_code, response.error_msg = response.NONE, ''
        except FlowManipError as error:
            response.error_code, response.error_msg = response.UNKNOWN, f'{error.name}: {error}'
        return response

    def _declare_writable(self, name: str, default: Any, doc: str) -> None:
        """Declare a parameter that may be set while the node runs."""
        self.declare_parameter(name, default, ParameterDescriptor(description=doc))
        self.parameters.value(name, default, doc)

    def _seed(self) -> int:
        return int(self.get_parameter('seed').value)

    def _scene(self) -> str:
        return str(self.get_parameter('scene').value)

    def _divider(self, name: str) -> int:
        """Return how many ticks lie between two publications."""
        rate = getattr(self._rates, name)
        if not 0 < rate <= self._rates.clock:
            raise ConfigurationError(
                f'rates.{name} is {rate} Hz, not within 0..{self._rates.clock} Hz of rates.clock'
            )
        return round(self._rates.clock / rate)


def main() -> None:
    """Run the node."""
    run_node(SimulationNode)
