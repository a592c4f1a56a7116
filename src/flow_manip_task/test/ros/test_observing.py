# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_ros.conversions import info_from_camera, make_header
from flow_manip_task.ros.observing import _rectified

pytestmark = pytest.mark.ros
CAMERA = CameraModel(64, 48, 50.0, 50.0, 31.5, 23.5)


def test_a_drivers_distorted_image_is_straightened():
    info = info_from_camera(CAMERA, make_header('camera', 0.0))
    d = np.array([-0.4, 0.1, 0.0, 0.0, 0.0])
    info.d = d.tolist()
    # Where a point of the world appears through the lens, and where it should without one.
    straight, ray = np.array([54.0, 40.0]), np.array([(54 - 31.5) / 50, (40 - 23.5) / 50, 1.0])
    bent, _ = cv2.projectPoints(ray[None], np.zeros(3), np.zeros(3), CAMERA.matrix, d)
    u, v = np.round(bent.ravel()).astype(int)
    assert np.hypot(u - straight[0], v - straight[1]) > 2
    color, depth = np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 2.0, np.float32)
    color[v - 1 : v + 2, u - 1 : u + 2], depth[v - 1 : v + 2, u - 1 : u + 2] = 255, 1.0
    color, depth, camera = _rectified(color, depth, info)
    assert color[40, 54].min() > 100
    assert depth[40, 54] == 1.0
    assert camera == CAMERA


def test_an_image_without_distortion_is_left_alone():
    info = info_from_camera(CAMERA, make_header('camera', 0.0))
    color, depth = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32)
    assert _rectified(color, depth, info)[0] is color
