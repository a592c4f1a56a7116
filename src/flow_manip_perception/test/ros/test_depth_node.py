# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip('rclpy')

from flow_manip_msgs.srv import EstimateDepth

from flow_manip_core.observation import Observation
from flow_manip_perception.depth import never
from flow_manip_perception.ros.depth_node import DepthNode
from flow_manip_ros.conversions import depth_from_image, msg_from_observation

pytestmark = pytest.mark.ros

SCALE, SHIFT = 2.5, -0.4


class Crooked:
    """Gives the depth that came along, at a scale and shift that a calibration has to find."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        noise: float = 0.0

    def __init__(self, config, context):
        self.kind = 'relative'
        self._noise = config.noise

    def estimate(self, video, *, cancelled=never):
        rng = np.random.default_rng(0)
        depth = (video.depth - SHIFT) / SCALE
        return (depth + self._noise * rng.normal(size=depth.shape)).astype(np.float32)


@pytest.fixture
def observation(scene, shapes):
    scene.add(shapes['box']((0.5, -0.1, 0), (0.1, 0.1, 0.2)), 'red')
    return scene.render(noise=0.0005)[0]


def ask(ros, observation):
    request = EstimateDepth.Request(observation=msg_from_observation(observation))
    return ros.call(EstimateDepth, 'estimate_depth', request)


def test_the_scale_and_shift_of_an_estimate_are_found_and_taken_out(ros, observation):
    ros.start(DepthNode, {'backend': f'{__name__}:Crooked'})
    response = ask(ros, observation)
    assert response.error_code == response.NONE, response.error_msg
    assert response.scale == pytest.approx(SCALE, rel=0.01)
    assert response.shift == pytest.approx(SHIFT, abs=0.01)
    assert response.inlier_share > 0.9
    assert response.residual < 0.005
    depth = depth_from_image(response.depth)
    assert np.nanmedian(np.abs(depth - observation.depth)) < 0.003


def test_the_sensors_own_depth_is_its_own_calibration(ros, observation):
    ros.start(DepthNode, {'calibration.method': 'none'})
    response = ask(ros, observation)
    assert response.error_code == response.NONE, response.error_msg
    assert (response.scale, response.shift) == (1.0, 0.0)


def test_an_estimate_that_does_not_fit_is_refused_by_its_code(ros, observation):
    ros.start(DepthNode, {'backend': f'{__name__}:Crooked', f'{__name__}:Crooked.noise': 0.3})
    response = ask(ros, observation)
    assert response.error_code == response.DEPTH_CALIBRATION
    assert response.error_msg
    assert response.depth.width == 0


def test_an_image_without_depth_is_refused(ros, observation):
    ros.start(DepthNode)
    blind = Observation(
        observation.color,
        np.full_like(observation.depth, np.nan),
        observation.camera,
        observation.T_world_camera,
    )
    response = ask(ros, blind)
    assert response.error_code == response.DEPTH_CALIBRATION


def test_a_mask_that_no_request_has_is_refused_at_the_start(ros):
    with pytest.raises(Exception, match='a request has none'):
        ros.start(DepthNode, {'calibration.region': 'mask'})
