# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_perception.tracking.small_motions import exp_motion, log_motion, turn_by


@pytest.mark.parametrize('size', [0.0, 1e-14, 1e-9, 1e-4, 0.2, 1.5, 3.1, 6.0])
def test_a_turn_is_scipys(size):
    for direction in np.random.default_rng(0).normal(size=(5, 3)):
        vector = size * direction / np.linalg.norm(direction)
        expected = Rotation.from_rotvec(vector).as_matrix()
        np.testing.assert_allclose(turn_by(vector), expected, atol=1e-12)


def test_a_motion_is_undone_by_its_logarithm():
    step = np.array([0.3, -0.2, 0.9, 0.01, 0.2, -0.3])
    np.testing.assert_allclose(log_motion(exp_motion(step)), step, atol=1e-12)
