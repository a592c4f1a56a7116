# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from flow_manip_cameras.ros.recording_node import RecordingNode
from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    camera_from_info,
    color_from_image,
    depth_from_image,
    seconds_from_stamp,
    transform_from_msg,
)
import tf2_ros

pytestmark = pytest.mark.ros
FRAME = 'scene_color_optical_frame'


def collect(ros):
    return [
        ros.collect(kind, f'cameras/scene/{name}', qos.SENSOR)
        for kind, name in (
            (Image, 'color/image_raw'),
            (Image, 'depth/image_rect'),
            (CameraInfo, 'color/camera_info'),
        )
    ]


def test_a_recording_becomes_the_rigs_camera_topics(ros, tmp_path, make):
    written = make.described(tmp_path / 'r', count=1)
    colors, depths, infos = collect(ros)
    buffer = tf2_ros.Buffer(node=ros.node)
    listener = tf2_ros.TransformListener(buffer, ros.node)
    before = ros.node.get_clock().now().nanoseconds * 1e-9
    ros.start(RecordingNode, {'path': str(tmp_path / 'r'), 'rate': 50.0, 'rig': 'tabletop'})
    ros.wait_until(lambda: colors and depths and infos)
    color, depth, info = colors[0], depths[0], infos[0]
    assert color.header == depth.header == info.header
    assert color.header.frame_id == FRAME
    assert seconds_from_stamp(color.header.stamp) > before
    assert (color.encoding, depth.encoding) == ('rgb8', '32FC1')
    np.testing.assert_array_equal(color_from_image(color), written[0].color)
    known = written[0].depth > 0
    metres = depth_from_image(depth)
    np.testing.assert_allclose(metres[known], written[0].depth[known], atol=3e-4)
    assert np.isnan(metres[~known]).all()
    assert camera_from_info(info).fy == 31.0
    found = ros.wait_until(lambda: _lookup(buffer, color.header.stamp))
    pose = transform_from_msg(found.transform)
    np.testing.assert_allclose(pose[:3, 3], [0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(pose[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-6)
    listener.unregister()


def _lookup(buffer, stamp):
    try:
        return buffer.lookup_transform('world', FRAME, stamp)
    except tf2_ros.TransformException:
        return None


def test_a_moving_camera_sends_its_pose_with_every_frame(ros, tmp_path, make):
    written = make.handheld(tmp_path)
    colors, _, _ = collect(ros)
    buffer = tf2_ros.Buffer(node=ros.node)
    listener = tf2_ros.TransformListener(buffer, ros.node)
    ros.start(RecordingNode, {'path': str(tmp_path), 'rate': 20.0})
    ros.wait_until(lambda: len(colors) >= 6)
    at = {}
    for message in list(colors):
        found = _lookup(buffer, message.header.stamp)
        if found is not None:
            at[round(found.transform.translation.x, 3)] = True
    assert set(at) <= {round(float(f.T_world_camera[0, 3]), 3) for f in written}
    assert len(at) >= 2
    listener.unregister()


def test_without_loop_each_frame_comes_once(ros, tmp_path, make):
    make.described(tmp_path / 'r', count=4)
    colors, _, _ = collect(ros)
    node = ros.start(RecordingNode, {'path': str(tmp_path / 'r'), 'rate': 20.0, 'loop': False})
    ros.wait_until(lambda: node._timer is None)
    assert 1 <= len(colors) <= 4
    assert node.failure is None


def test_a_broken_frame_stops_playing_and_is_kept_as_the_failure(ros, tmp_path, make):
    make.handheld(tmp_path)
    (tmp_path / 'frame-000002.depth.png').write_bytes(b'none')
    node = ros.start(RecordingNode, {'path': str(tmp_path), 'rate': 50.0})
    ros.wait_until(lambda: node.failure is not None)
    assert isinstance(node.failure, InvalidInputError)
    assert 'frame-000002.depth.png' in str(node.failure)
    ros.wait_until(lambda: node._timer is None)


def test_a_recording_that_is_not_there_fails_to_configure(ros, tmp_path):
    node = RecordingNode(
        context=ros.context,
        parameter_overrides=[Parameter('path', value=str(tmp_path / 'none'))],
    )
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert isinstance(node.failure, ConfigurationError)
    node.destroy_node()


def test_the_node_can_be_stopped_and_started_again(ros, tmp_path, make):
    make.described(tmp_path / 'r', count=2)
    colors, _, _ = collect(ros)
    node = ros.start(RecordingNode, {'path': str(tmp_path / 'r'), 'rate': 50.0})
    ros.wait_until(lambda: colors)
    success = TransitionCallbackReturn.SUCCESS
    for step in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert getattr(node, f'trigger_{step}')() == success
    seen = len(colors)
    ros.wait_until(lambda: len(colors) > seen + 2)


def test_a_misspelt_parameter_is_refused(ros):
    override = Parameter('pth', value='somewhere')
    with pytest.raises(ConfigurationError, match="did you mean 'path'"):
        RecordingNode(context=ros.context, parameter_overrides=[override])
