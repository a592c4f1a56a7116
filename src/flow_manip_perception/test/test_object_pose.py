# SPDX-License-Identifier: Apache-2.0
"""A thing's motion out of its points."""

import numpy as np
import pytest

from flow_manip_core.transforms import (
    make_transform,
    rotation_about,
    transform_distance,
    transform_points,
)
from flow_manip_perception.tracking.object_pose import find_object_motion, ObjectPoseConfig

MOTION = make_transform([0.05, -0.1, 0.2], rotation_about([0.2, 1, 0.5], 0.7))


def points(seed, count=80):
    rng = np.random.default_rng(seed)
    before = np.array([0.5, 0.1, 0.05]) + rng.uniform(-0.04, 0.04, (count, 3))
    return before, transform_points(MOTION, before) + 0.001 * rng.normal(size=(count, 3)), rng


@pytest.mark.parametrize('seed', range(5))
def test_a_motion_is_found_among_wrong_and_unknown_points(seed):
    before, now, rng = points(seed)
    now[:30] += rng.uniform(0.03, 0.2, (30, 3))
    now[30:35] = np.nan
    confidence = np.ones(80)
    confidence[35:40], now[35:40] = 0.0, 9.0
    found = find_object_motion(before, now, confidence, ObjectPoseConfig())
    middle = make_transform([0.5, 0.1, 0.05])
    away, turned = transform_distance(found.motion @ middle, MOTION @ middle)
    assert away < 0.001
    assert turned < 0.02
    assert found.num_agreeing == 40
    assert found.share == pytest.approx(40 / 70)
    assert 0.0005 < found.residual < 0.003


def test_no_motion_is_made_up_where_points_do_not_agree():
    before, now, rng = points(0)
    config = ObjectPoseConfig()
    assert find_object_motion(before, now, np.full(80, 0.4), config) is None
    assert find_object_motion(before[:7], now[:7], np.ones(7), config) is None
    scattered = now + rng.uniform(-0.2, 0.2, now.shape)
    assert find_object_motion(before, scattered, np.ones(80), config) is None
    line = np.outer(np.linspace(0, 0.1, 20), [1.0, 2.0, 0.5])
    assert find_object_motion(line, transform_points(MOTION, line), np.ones(20), config) is None
