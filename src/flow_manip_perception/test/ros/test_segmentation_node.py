# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

pytest.importorskip('rclpy')

from flow_manip_msgs.msg import InstanceMasks
from flow_manip_msgs.srv import Segment

from flow_manip_core.observation import Observation
from flow_manip_perception.ros.segmentation_node import SegmentationNode
from flow_manip_ros import qos
from flow_manip_ros.conversions import mask_from_msg, msg_from_observation

pytestmark = pytest.mark.ros


@pytest.fixture
def observed(scene, shapes):
    scene.add(shapes['plate']((0.5, 0.15, 0)), 'white')
    number = scene.add(shapes['box']((0.5, -0.1, 0), (0.04, 0.04, 0.04), 0.3), 'red')
    observation, label = scene.render(noise=0.0005)
    return observation, label == number


def ask(ros, observation, phrase):
    request = Segment.Request(observation=msg_from_observation(observation), phrase=phrase)
    return ros.call(Segment, 'segment', request)


def test_answers_with_the_mask_and_shows_it(ros, observed):
    observation, truth = observed
    ros.start(SegmentationNode, {'robot': 'franka', 'rig': 'tabletop', 'backend': 'tabletop'})
    shown = ros.collect(InstanceMasks, 'perception/scene/masks', qos.LATCHED)
    response = ask(ros, observation, 'the red cube')
    assert response.error_code == response.NONE
    found = mask_from_msg(response.mask).pixels
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    assert sorted(response.seen) == ['red cube', 'white plate']
    ros.wait_until(lambda: shown)
    assert shown[0].masks[0].label == 'red cube'


def test_failures_are_reported_by_their_codes(ros, observed):
    observation, _ = observed
    ros.start(SegmentationNode)
    response = ask(ros, observation, 'the green cube')
    assert response.error_code == response.OBJECT_ABSENT
    assert 'red cube' in response.error_msg
    assert sorted(response.seen) == ['red cube', 'white plate']
    assert ask(ros, observation, 'thing').error_code == response.OBJECT_AMBIGUOUS
    assert ask(ros, observation, 'the xyzzy').error_code == response.PHRASE_NOT_UNDERSTOOD
    blind = Observation(
        observation.color,
        np.full_like(observation.depth, np.nan),
        observation.camera,
        observation.T_world_camera,
    )
    response = ask(ros, blind, 'the red cube')
    assert response.error_code == response.NO_SUPPORT
    assert list(response.seen) == []


def test_an_image_that_does_not_fit_is_invalid_input(ros, observed):
    ros.start(SegmentationNode)
    request = Segment.Request(observation=msg_from_observation(observed[0]), phrase='cube')
    request.observation.color.data = request.observation.color.data[:1000]
    response = ros.call(Segment, 'segment', request)
    assert response.error_code == response.INVALID_INPUT


def test_a_misspelt_parameter_is_refused(ros):
    with pytest.raises(Exception, match="did you mean 'min_height'"):
        ros.start(SegmentationNode, {'tabletop.min_hieght': 0.01})
