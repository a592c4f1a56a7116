# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

from flow_manip_msgs.msg import ObjectFlow as ObjectFlowMsg
from geometry_msgs.msg import Pose
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import FlowEncoding, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_ros import conversions as c

pytestmark = pytest.mark.ros
HEADER = c.make_header('world', 12.5)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def make_observation():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 2, (48, 64)).astype(np.float32)
    depth[3, 4] = np.nan
    return Observation(
        color=rng.integers(0, 255, (48, 64, 3), dtype=np.uint8),
        depth=depth,
        camera=CameraModel(64, 48, 60.0, 61.0, 31.5, 23.5),
        T_world_camera=make_transform([1, 2, 3], rotation_about([1, 1, 0], 0.4)),
        stamp=12.5,
        joint_positions={'a': 1.0, 'b': -2.0},
    )


def make_flow():
    rng = np.random.default_rng(0)
    return ObjectFlow(
        points=rng.normal(size=(4, 5, 3)),
        confidence=rng.uniform(size=(4, 5)),
        times=np.arange(4.0),
        object='red cube',
        source='test',
        point_ids=np.array([9, 7, 5, 3, 1]),
        score=0.5,
        stamp=12.5,
        contact=np.array([0.5, -0.1, 0.2]),
    )


def make_plan():
    times = np.array([0.0, 0.5, 1.0])
    values = np.random.default_rng(0).normal(size=(3, 2))
    trajectory = Trajectory(('a', 'b'), times, values, values * 2, values * 3)
    grasp = Grasp(make_transform([0.5, 0, 0.1], rotation_about([1, 0, 0], np.pi)), 0.04, 0.9, 0.06)
    segments = (
        PlanSegment('approach', trajectory),
        PlanSegment('grasp', gripper_width=0.01, gripper_effort=20.0, expect_object=True),
        PlanSegment('follow', trajectory, holding=True, goal_tolerance=0.03),
    )
    return Plan(
        'franka', grasp, segments, np.tile(np.eye(4), (3, 1, 1)), times, object='cube', stamp=3.25
    )


def test_an_observation_survives_the_wire():
    observation = make_observation()
    back = c.observation_from_msg(over_the_wire(c.msg_from_observation(observation)))
    np.testing.assert_array_equal(back.color, observation.color)
    np.testing.assert_array_equal(back.depth, observation.depth)
    np.testing.assert_allclose(back.T_world_camera, observation.T_world_camera, atol=1e-12)
    assert back.camera == observation.camera
    assert back.joint_positions == observation.joint_positions
    assert (back.frame_id, back.stamp) == ('world', 12.5)


@pytest.mark.parametrize('encoding', list(FlowEncoding))
def test_a_flow_survives_the_wire_in_every_encoding(encoding):
    flow = make_flow()
    back = c.flow_from_msg(over_the_wire(c.msg_from_flow(flow, encoding)))
    np.testing.assert_allclose(back.points, flow.points, atol=1e-6)
    np.testing.assert_array_equal(back.confidence, flow.confidence)
    np.testing.assert_array_equal(back.point_ids, flow.point_ids)
    assert (back.object, back.source, back.score, back.stamp) == ('red cube', 'test', 0.5, 12.5)
    np.testing.assert_array_equal(back.contact, flow.contact)
    without = over_the_wire(c.msg_from_flow(replace(flow, contact=None), encoding))
    assert c.flow_from_msg(without).contact is None


def test_a_plan_survives_the_wire():
    plan = make_plan()
    back = c.plan_from_msg(over_the_wire(c.msg_from_plan(plan)))
    np.testing.assert_allclose(
        back.segments[2].trajectory.accelerations, plan.segments[2].trajectory.accelerations
    )
    np.testing.assert_allclose(back.grasp.T_world_tcp, plan.grasp.T_world_tcp, atol=1e-12)
    assert back.segments[1] == plan.segments[1]
    assert back.segments[2].holding
    assert back.grasp.opening == pytest.approx(0.06)
    assert (back.robot, back.object, back.stamp) == ('franka', 'cube', 3.25)


def test_a_mask_survives_the_wire():
    pixels = np.zeros((48, 64), bool)
    pixels[10:12, 5:9] = True
    message = c.msg_from_mask(Mask(pixels, 'cube', 0.75), HEADER)
    back = c.mask_from_msg(over_the_wire(message))
    np.testing.assert_array_equal(back.pixels, pixels)
    assert (message.box.x_offset, message.box.width, back.label, back.score) == (
        5,
        4,
        'cube',
        0.75,
    )


def test_driver_depth_in_millimetres_becomes_metres_with_holes():
    pixels = np.array([[0, 1500]], np.uint16)
    depth = c.depth_from_image(c.image_from_array(pixels, '16UC1', HEADER))
    assert np.isnan(depth[0, 0])
    assert depth[0, 1] == pytest.approx(1.5)


@pytest.mark.parametrize('value', [np.nan, np.inf, 0.0, -1.0])
def test_depth_that_means_nothing_becomes_unknown(value):
    image = c.image_from_array(np.array([[value]], np.float32), '32FC1', HEADER)
    assert np.isnan(c.depth_from_image(image)).all()


def test_padded_rows_and_channel_order_are_understood():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    padded = np.zeros((2, 16), np.uint8)
    padded[:, :12] = rgb[:, :, ::-1].reshape(2, 12)
    image = Image(height=2, width=4, step=16, encoding='bgr8', data=padded.tobytes())
    np.testing.assert_array_equal(c.color_from_image(image), rgb)


def test_big_endian_depth_is_understood():
    image = Image(height=1, width=1, step=2, encoding='16UC1', is_bigendian=1, data=b'\x05\xdc')
    assert c.depth_from_image(image)[0, 0] == pytest.approx(1.5)


@pytest.mark.parametrize(
    'fields',
    [
        {'encoding': 'yuv422'},
        {'step': 2},
        {'data': b'\x00'},
        {'width': 0},
        {'width': 2**31, 'height': 2**31},
    ],
)
def test_images_that_lie_about_their_size_are_refused(fields):
    good = {'height': 2, 'width': 2, 'step': 6, 'encoding': 'rgb8', 'data': bytes(12)}
    with pytest.raises(InvalidInputError):
        c.color_from_image(Image(**{**good, **fields}))


@pytest.mark.parametrize(
    'fields',
    [
        {'num_steps': 0},
        {'num_points': 6},
        {'num_steps': 2**32 - 1, 'num_points': 2**32 - 1},
        {'encoding': 9},
        {'times': [0.0, 0.0, 1.0, 2.0]},
        {'points': [float('nan')] * 60, 'confidence': [1.0] * 20},
    ],
)
def test_flows_that_make_no_sense_are_refused(fields):
    message = c.msg_from_flow(make_flow())
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(InvalidInputError):
        c.flow_from_msg(message)


def test_poses_that_are_not_rigid_are_refused():
    pose = Pose()
    pose.orientation.w = 0.0
    with pytest.raises(InvalidInputError, match='rigid'):
        c.transform_from_pose(pose)


def test_a_distorted_camera_is_refused():
    info = c.info_from_camera(make_observation().camera, HEADER)
    info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(InvalidInputError, match='distortion'):
        c.camera_from_info(info)
    with pytest.raises(InvalidInputError):
        c.camera_from_info(CameraInfo())


def test_an_empty_message_of_any_kind_is_refused_not_a_crash():
    with pytest.raises(InvalidInputError):
        c.flow_from_msg(ObjectFlowMsg())
