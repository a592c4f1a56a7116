# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from visualization_msgs.msg import Marker

from flow_manip_core.camera import CameraModel
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Observation
from flow_manip_ros.markers import cloud_from_observation, flow_markers

pytestmark = pytest.mark.ros


def test_a_cloud_holds_the_known_pixels_with_their_colours():
    color = np.zeros((2, 2, 3), np.uint8)
    color[0, 0] = [255, 128, 1]
    depth = np.array([[1.0, np.nan], [np.nan, 2.0]], np.float32)
    camera = CameraModel(2, 2, 1.0, 1.0, 0.0, 0.0)
    cloud = cloud_from_observation(Observation(color, depth, camera, np.eye(4)))
    data = np.frombuffer(bytes(cloud.data), dtype=[('xyz', '<f4', 3), ('rgb', '<u4')])
    assert (cloud.width, cloud.point_step) == (2, 16)
    np.testing.assert_allclose(data['xyz'], [[0, 0, 1], [2, 2, 2]])
    assert data['rgb'][0] == 0xFF8001


def test_hidden_points_are_not_drawn_and_old_drawings_are_removed():
    confidence = np.ones((3, 2))
    confidence[1, 0] = 0
    flow = ObjectFlow(np.zeros((3, 2, 3)), confidence, np.arange(3.0))
    markers = flow_markers([flow], ['best']).markers
    assert markers[0].action == Marker.DELETEALL
    assert len(markers[1].points) == len(markers[1].colors) == 4
    assert markers[2].text == 'best'
