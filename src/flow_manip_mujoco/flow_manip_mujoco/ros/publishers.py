# SPDX-License-Identifier: Apache-2.0
"""What the cell says about itself: clock, joints, frames, pictures, ground truth."""

from __future__ import annotations

from collections.abc import Mapping

from geometry_msgs.msg import TransformStamped
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from flow_manip_core.robot import CameraConfig, RobotConfig
from flow_manip_core.transforms import invert_transform, make_transform
from flow_manip_mujoco.cell import camera_model_of, SimulatedCell
from flow_manip_mujoco.panda import ARM_JOINTS, FINGER_JOINTS
from flow_manip_mujoco.runner import Picture
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    image_from_array,
    info_from_camera,
    make_header,
    msg_from_transform,
    stamp_from_seconds,
)
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

# Optical axes (x right, y down, z forward) in the camera's body axes (x forward, y left, z up),
# REP-103.
T_LINK_OPTICAL = make_transform(rotation=np.array([[0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0]]))

# Links that move, and what they hang on (franka_description).
_PARENTS = {
    **{f'panda_link{i}': f'panda_link{i - 1}' for i in range(1, 8)},
    'panda_leftfinger': 'panda_hand',
    'panda_rightfinger': 'panda_hand',
}


class ClockPublisher:
    """Publishes `/clock`."""

    def __init__(self, node: Node) -> None:
        """Start publishing through `node`."""
        # Reliable suits every subscriber, also those that ask for less.
        self._publisher = node.create_publisher(Clock, '/clock', QoSProfile(depth=10))

    def publish(self, now: float) -> None:
        """Tell the time [s]."""
        self._publisher.publish(Clock(clock=stamp_from_seconds(now)))


class JointPublisher:
    """Publishes `joint_states` as a joint_state_broadcaster does."""

    def __init__(self, node: Node) -> None:
        """Start publishing through `node`."""
        self._publisher = node.create_publisher(JointState, 'joint_states', QoSProfile(depth=10))
        self._names = [*ARM_JOINTS, *FINGER_JOINTS]

    def publish(self, cell: SimulatedCell, now: float) -> None:
        """Tell positions, velocities and efforts of arm and fingers."""
        torques = cell.arm_controller.torques(cell.data).tolist()
        message = JointState(header=make_header('', now), name=self._names)
        message.position = list(cell.joint_positions().values())
        message.velocity = list(cell.joint_velocities().values())
        message.effort = [*torques, *[cell.gripper_controller.status.effort] * 2]
        self._publisher.publish(message)


class DescriptionPublisher:
    """Publishes `robot_description` as a robot_state_publisher does."""

    def __init__(self, node: Node, robot: RobotConfig) -> None:
        """Publish the robot's URDF once, latched."""
        self._publisher = node.create_publisher(String, 'robot_description', qos.LATCHED)
        urdf = (robot.folder / robot.urdf).read_text(encoding='utf-8')
        self._publisher.publish(String(data=urdf))


class FramePublisher:
    """Publishes the robot's links and the camera to tf."""

    def __init__(self, node: Node) -> None:
        """Start publishing through `node`."""
        self._dynamic, self._static = TransformBroadcaster(node), StaticTransformBroadcaster(node)

    def publish_fixed(self, cell: SimulatedCell, now: float, *, camera: bool) -> None:
        """Tell what does not move: base, flange, hand, tool centre point and, if asked, camera."""
        rig, robot, poses = cell.context.rig, cell.context.robot, cell.link_poses()
        frames = [_frame(rig.frame_id, robot.base_frame, poses[robot.base_frame], now)]
        if camera:
            link, optical = f'{rig.camera.name}_link', f'{rig.camera.name}_color_optical_frame'
            T_world_link = cell.T_world_camera @ invert_transform(T_LINK_OPTICAL)
            frames.append(_frame(rig.frame_id, link, T_world_link, now))
            frames.append(_frame(link, optical, T_LINK_OPTICAL, now))
        for parent, child in (
            ('panda_link7', 'panda_link8'),
            ('panda_link8', 'panda_hand'),
            ('panda_hand', robot.tcp_frame),
        ):
            frames.append(_frame(parent, child, _relative(poses, parent, child), now))
        self._static.sendTransform(frames)

    def publish_moving(self, cell: SimulatedCell, now: float) -> None:
        """Tell where links and fingers are."""
        poses = cell.link_poses()
        self._dynamic.sendTransform(
            [
                _frame(parent, child, _relative(poses, parent, child), now)
                for child, parent in _PARENTS.items()
            ]
        )


class CameraPublisher:
    """Publishes one RGB-D camera, as far as anybody listens."""

    def __init__(self, node: Node, camera: CameraConfig) -> None:
        """Start publishing under ``cameras/<camera>``."""
        name = camera.name
        self._model = camera_model_of(camera)
        self._frame_id = f'{name}_color_optical_frame'
        base = f'cameras/{name}'
        self._color = node.create_publisher(Image, f'{base}/color/image_raw', qos.SENSOR)
        self._info = node.create_publisher(CameraInfo, f'{base}/color/camera_info', qos.SENSOR)
        self._depth = node.create_publisher(Image, f'{base}/depth/image_rect', qos.SENSOR)

    @property
    def wanted(self) -> bool:
        """True while there is a subscriber."""
        return any(p.get_subscription_count() for p in (self._color, self._info, self._depth))

    def publish(self, picture: Picture) -> None:
        """Send one picture; called in the camera's thread."""
        header = make_header(self._frame_id, picture.time)
        if self._color.get_subscription_count():
            self._color.publish(image_from_array(picture.color, 'rgb8', header))
        if self._depth.get_subscription_count():
            self._depth.publish(image_from_array(picture.depth, '32FC1', header))
        self._info.publish(info_from_camera(self._model, header))


class TruthPublisher:
    """Publishes where the objects really are. For tests: nothing else may listen."""

    def __init__(self, node: Node) -> None:
        """Start publishing under ``~/ground_truth``."""
        self._publisher = node.create_publisher(
            TFMessage, '~/ground_truth/poses', QoSProfile(depth=10)
        )

    def publish(self, cell: SimulatedCell, now: float) -> None:
        """Tell T_world_object of every object, its name as child frame."""
        if self._publisher.get_subscription_count():
            frame_id = cell.context.rig.frame_id
            poses = cell.object_poses().items()
            frames = [_frame(frame_id, name, pose, now) for name, pose in poses]
            self._publisher.publish(TFMessage(transforms=frames))


def _relative(poses: Mapping[str, NDArray], parent: str, child: str) -> NDArray[np.float64]:
    """Return T_parent_child."""
    return invert_transform(poses[parent]) @ poses[child]


def _frame(parent: str, child: str, transform: NDArray, now: float) -> TransformStamped:
    return TransformStamped(
        header=make_header(parent, now),
        child_frame_id=child,
        transform=msg_from_transform(transform),
    )
