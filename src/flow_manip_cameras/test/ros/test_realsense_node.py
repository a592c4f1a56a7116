# SPDX-License-Identifier: Apache-2.0
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from flow_manip_core.errors import BackendError, StaleInputError
from flow_manip_ros import qos
from flow_manip_ros.conversions import color_from_image, depth_from_image, transform_from_msg
import tf2_ros

pytestmark = pytest.mark.ros
FRAME = 'scene_color_optical_frame'


def node_of(software, ros, **parameters):
    """Return a node whose device is librealsense's software device."""
    from flow_manip_cameras.realsense import RealSense
    from flow_manip_cameras.ros.realsense_node import RealsenseNode

    class Node(RealsenseNode):
        def open_camera(self):
            return RealSense(self._config, self._workcell, software.device)

    sizes = {'width': software.width, 'height': software.height, 'rate': software.rate}
    values = {f'realsense.{key}': value for key, value in {**sizes, **parameters}.items()}
    return ros.start(Node, values)


def test_frames_of_the_device_become_the_rigs_camera_topics(ros, software_camera):
    software = software_camera().start()
    colors, depths, infos = (
        ros.collect(kind, f'cameras/scene/{name}', qos.SENSOR)
        for kind, name in (
            (Image, 'color/image_raw'),
            (Image, 'depth/image_rect'),
            (CameraInfo, 'color/camera_info'),
        )
    )
    buffer = tf2_ros.Buffer(node=ros.node)
    listener = tf2_ros.TransformListener(buffer, ros.node)
    node = node_of(software, ros)
    ros.wait_until(lambda: len(colors) > 2 and len(depths) > 2 and infos)
    assert (color_from_image(colors[-1]) == software.color).all()
    assert depth_from_image(depths[-1])[60, 80] == pytest.approx(0.8, abs=1e-4)
    assert infos[-1].k[0] == 150.0
    ros.wait_until(lambda: buffer.can_transform('world', FRAME, colors[-1].header.stamp))
    found = buffer.lookup_transform('world', FRAME, colors[-1].header.stamp)
    expected = node._workcell.rig.camera.pose.matrix
    assert transform_from_msg(found.transform) == pytest.approx(expected, abs=1e-5)
    listener.unregister()
    node.stop()
    software.stop()
    node.tear_down()


def test_a_silent_device_is_reported_and_publishes_again_when_it_speaks(ros, software_camera):
    software = software_camera().start()
    colors = ros.collect(Image, 'cameras/scene/color/image_raw', qos.SENSOR)
    node = node_of(software, ros, timeout=0.2)
    ros.wait_until(lambda: colors)
    software.streams = (False, False)
    ros.wait_until(lambda: isinstance(node.failure, StaleInputError))
    seen = len(colors)
    software.streams = (True, True)
    ros.wait_until(lambda: len(colors) > seen + 2)
    node.stop()
    software.stop()
    node.tear_down()


def test_without_a_device_the_node_does_not_configure_and_says_what_to_do(ros, software_camera):
    import pyrealsense2 as rs

    from flow_manip_cameras.ros.realsense_node import RealsenseNode

    override = Parameter('realsense.serial', value='0')
    node = RealsenseNode(context=ros.context, parameter_overrides=[override])
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert isinstance(node.failure, BackendError)
    assert ('cable' if not len(rs.context().query_devices()) else 'serial') in str(node.failure)
    node.destroy_node()
