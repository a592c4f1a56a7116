# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

pytest.importorskip('rclpy')

from flow_manip_msgs.msg import PointTracks
from flow_manip_msgs.srv import StartTracking
from geometry_msgs.msg import PoseStamped, TransformStamped
from moving_box import CAMERA, carried, render
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Empty

from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import (
    invert_transform,
    make_transform,
    rotation_about,
    transform_distance,
)
from flow_manip_perception.ros.tracking_node import TrackingNode
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    image_from_array,
    info_from_camera,
    make_header,
    msg_from_mask,
    msg_from_observation,
    msg_from_transform,
    stamp_from_seconds,
    transform_from_pose,
)
import tf2_ros

pytestmark = pytest.mark.ros

FRAME = 'scene_color_optical_frame'
T_WORLD_CAMERA = make_transform([0.2, -0.4, 0.9], rotation_about([1, 0.3, 0], 2.2))
NUM_FRAMES, BEGUN = 8, 100.0


class FakeCamera:
    """Publishes a clip and where the camera stands."""

    def __init__(self, ros, scene):
        self.scene = scene
        self._publishers = [
            ros.node.create_publisher(kind, f'cameras/scene/{name}', qos.SENSOR)
            for kind, name in (
                (Image, 'color/image_raw'),
                (Image, 'depth/image_rect'),
                (CameraInfo, 'color/camera_info'),
            )
        ]
        self._broadcaster = tf2_ros.StaticTransformBroadcaster(ros.node)
        message = TransformStamped(transform=msg_from_transform(T_WORLD_CAMERA))
        message.header.frame_id, message.child_frame_id = 'world', FRAME
        message.header.stamp = stamp_from_seconds(0.0)
        self._broadcaster.sendTransform(message)

    def connected(self):
        return all(p.get_subscription_count() for p in self._publishers)

    def show(self, index, stamp):
        header = make_header(FRAME, stamp)
        color = image_from_array(self.scene.video.frames[index], 'rgb8', header)
        depth = image_from_array(self.scene.depth[index], '32FC1', header)
        for publisher, message in zip(
            self._publishers, (color, depth, info_from_camera(CAMERA, header))
        ):
            publisher.publish(message)


def request_for(scene, num_points=60, pixels=None):
    observation = Observation(
        scene.video.frames[0],
        scene.depth[0],
        CAMERA,
        T_WORLD_CAMERA,
        frame_id='world',
        stamp=BEGUN,
    )
    mask = Mask(scene.masks[0] if pixels is None else pixels, 'red box')
    message = msg_from_observation(observation)
    return StartTracking.Request(
        observation=message,
        mask=msg_from_mask(mask, message.color.header),
        num_points=num_points,
    )


@pytest.fixture(scope='module')
def scene():
    return render(carried(NUM_FRAMES, shift=0.05, turn=0.3))


def test_a_moved_object_is_followed_and_its_motion_published(ros, scene):
    ros.start(TrackingNode, {'robot': 'franka', 'rig': 'tabletop'})
    camera = FakeCamera(ros, scene)
    poses = ros.collect(PoseStamped, 'perception/scene/tracked_pose', qos.SENSOR)
    tracks = ros.collect(PointTracks, 'perception/scene/tracks', qos.SENSOR)
    first = ros.call(StartTracking, 'tracking_node/start', request_for(scene))
    assert first.error_code == first.NONE, first.error_msg
    assert len(first.point_ids) == 60
    ros.wait_until(camera.connected)
    for index in range(1, NUM_FRAMES):
        camera.show(index, BEGUN + 0.2 * index)
        ros.wait_until(lambda expected=index: len(tracks) >= expected)
    ros.wait_until(lambda: len(poses) == NUM_FRAMES - 1)
    assert poses[-1].header.frame_id == 'world'
    assert poses[-1].header.stamp == stamp_from_seconds(BEGUN + 0.2 * (NUM_FRAMES - 1))
    in_camera = scene.poses[-1] @ invert_transform(scene.poses[0])
    truth = T_WORLD_CAMERA @ in_camera @ invert_transform(T_WORLD_CAMERA)
    box = T_WORLD_CAMERA @ scene.poses[0]
    away, turned = transform_distance(transform_from_pose(poses[-1].pose) @ box, truth @ box)
    assert away < 0.006
    assert turned < np.radians(5)
    newest = tracks[-1]
    assert (newest.num_steps, newest.num_points) == (NUM_FRAMES, 60)
    assert list(newest.point_ids) == list(first.point_ids)
    assert newest.times[-1] == 0.0
    second = ros.call(StartTracking, 'tracking_node/start', request_for(scene, 30))
    assert not set(second.point_ids) & set(first.point_ids)


def test_the_camera_is_listened_to_from_a_start_to_a_reset(ros, scene):
    ros.start(TrackingNode)
    camera = FakeCamera(ros, scene)
    tracks = ros.collect(PointTracks, 'perception/scene/tracks', qos.SENSOR)
    assert not camera.connected()
    ros.call(StartTracking, 'tracking_node/start', request_for(scene))
    ros.wait_until(camera.connected)
    camera.show(1, BEGUN - 0.5)  # older than the start: left out
    camera.show(1, BEGUN + 0.5)
    ros.wait_until(lambda: tracks)
    assert tracks[0].num_steps == 2
    ros.call(Empty, 'tracking_node/reset', Empty.Request())
    ros.wait_until(lambda: not camera.connected())
    again = ros.call(StartTracking, 'tracking_node/start', request_for(scene))
    ros.wait_until(camera.connected)
    camera.show(3, BEGUN + 2.0)
    ros.wait_until(lambda: len(tracks) > 1)
    assert len(tracks) == 2
    assert tracks[1].num_steps == 2
    assert list(tracks[1].point_ids) == list(again.point_ids)


def test_an_object_without_depth_is_refused_and_ends_what_was_followed(ros, scene):
    node = ros.start(TrackingNode)
    ros.call(StartTracking, 'tracking_node/start', request_for(scene))
    nothing = np.zeros_like(scene.masks[0])
    nothing[0, :3] = True
    response = ros.call(StartTracking, 'tracking_node/start', request_for(scene, pixels=nothing))
    assert response.error_code == response.TOO_FEW_POINTS
    assert '3 pixels' in response.error_msg
    assert node._target is None
    request = request_for(scene)
    request.observation.color.data = request.observation.color.data[:100]
    response = ros.call(StartTracking, 'tracking_node/start', request)
    assert response.error_code == response.INVALID_INPUT
