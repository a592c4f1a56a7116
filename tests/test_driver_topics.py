# SPDX-License-Identifier: Apache-2.0
"""Topics of realsense2_camera, as its driver publishes them, remapped as the launch files do."""

from geometry_msgs.msg import TransformStamped
import numpy as np
import pytest
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from flow_manip_core.camera import CameraModel
from flow_manip_core.robot import load_rig
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_ros.conversions import (
    image_from_array,
    info_from_camera,
    make_header,
    msg_from_transform,
)
from flow_manip_ros.testing import ros
from flow_manip_task.ros.observing import Observer, ObservingConfig
from tf2_ros import StaticTransformBroadcaster

pytestmark = pytest.mark.ros

OPTICAL = 'camera_color_optical_frame'
DRIVER = {
    'color/image_raw': '/camera/camera/color/image_raw',
    'color/camera_info': '/camera/camera/color/camera_info',
    'depth/image_rect': '/camera/camera/aligned_depth_to_color/image_raw',
}
T_WORLD_LINK = make_transform([1.2, 0.0, 0.8], rotation_about([0.0, 0.0, 1.0], np.pi))
T_LINK_OPTICAL = make_transform([0.0, 0.015, 0.0], rotation_about([1.0, -1.0, 1.0], 2.0944))

__all__ = ['ros']


class Driver:
    """Publishes one frame as realsense2_camera does: reliably, depth in millimetres."""

    def __init__(self, node):
        self.node = node
        self.publishers = {
            name: node.create_publisher(CameraInfo if 'info' in name else Image, topic, 10)
            for name, topic in DRIVER.items()
        }
        self.broadcaster = StaticTransformBroadcaster(node)
        for parent, child, transform in (
            ('world', 'camera_link', T_WORLD_LINK),
            ('camera_link', OPTICAL, T_LINK_OPTICAL),
        ):
            message = TransformStamped(header=make_header(parent, 0.0), child_frame_id=child)
            message.transform = msg_from_transform(transform)
            self.broadcaster.sendTransform(message)
        self.counts = np.full((48, 64), 812, np.uint16)
        self.counts[:4] = 0
        node.create_timer(0.05, self.publish)

    def publish(self):
        header = make_header(OPTICAL, self.node.get_clock().now().nanoseconds * 1e-9)
        color = np.full((48, 64, 3), (1, 2, 3), np.uint8)
        camera = CameraModel(64, 48, 60.0, 60.0, 32.0, 24.0)
        self.publishers['color/image_raw'].publish(image_from_array(color, 'rgb8', header))
        self.publishers['color/camera_info'].publish(info_from_camera(camera, header))
        self.publishers['depth/image_rect'].publish(image_from_array(self.counts, '16UC1', header))


def test_the_drivers_topics_become_an_observation(ros):
    arguments = ['--ros-args']
    for name, topic in DRIVER.items():
        arguments += ['-r', f'cameras/scene/{name}:={topic}']
    node = ros.add(Node('task_node', context=ros.context, cli_args=arguments))
    observer = Observer(node, load_rig('tabletop'), ObservingConfig(timeout=10.0, tf_timeout=5.0))
    Driver(ros.node)
    observation = observer.observe(cancelled=lambda: False)
    assert observation.frame_id == 'world'
    assert (observation.color == (1, 2, 3)).all()
    assert np.isnan(observation.depth[:4]).all()
    np.testing.assert_allclose(observation.depth[4:], 0.812, atol=1e-6)
    np.testing.assert_allclose(
        observation.T_world_camera, T_WORLD_LINK @ T_LINK_OPTICAL, atol=1e-6
    )
    assert observation.joint_positions == {}
