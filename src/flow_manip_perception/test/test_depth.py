# SPDX-License-Identifier: Apache-2.0
"""The depth that came with a video."""

from dataclasses import replace

from dream_scenes import lifted_box, render
import numpy as np
import pytest

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import CancelledError, ConfigurationError, DepthCalibrationError
from flow_manip_perception.depth import DEPTH_ESTIMATORS
from flow_manip_perception.depth.sensor import SensorDepth


@pytest.fixture(scope='module')
def video():
    return render(lifted_box(3)).video


def sensor(**values):
    return create_backend(DEPTH_ESTIMATORS, {'backend': 'sensor', 'sensor': values}, None)


def test_depth_that_came_along_is_passed_on_unchanged(video):
    estimator = sensor()
    assert isinstance(estimator, SensorDepth)
    assert estimator.kind == 'metric'
    np.testing.assert_array_equal(estimator.estimate(video), video.depth)


def test_readings_that_are_no_depth_become_unknown(video):
    depth = video.depth.copy()
    depth[0, 0, :4] = [0.0, -1.0, np.inf, np.nan]
    found = sensor().estimate(replace(video, depth=depth))
    assert np.isnan(found[0, 0, :4]).all()
    assert np.isfinite(found[0, 0, 4:]).all()


def test_a_relative_depth_may_be_below_zero(video):
    depth = video.depth - np.float32(2.0)
    found = sensor(kind='relative').estimate(replace(video, depth=depth))
    np.testing.assert_array_equal(found, depth)


def test_a_video_without_depth_is_refused(video):
    with pytest.raises(DepthCalibrationError, match='without depth'):
        sensor().estimate(replace(video, depth=None))


def test_a_frame_with_next_to_no_depth_is_refused_by_number(video):
    depth = video.depth.copy()
    depth[2, 2:] = np.nan
    with pytest.raises(DepthCalibrationError, match=r'frame 2 of 3 has depth on 1\.7% .* 5\.0%'):
        sensor().estimate(replace(video, depth=depth))


def test_cancelling_stops_before_anything_is_read(video):
    with pytest.raises(CancelledError):
        sensor().estimate(video, cancelled=lambda: True)


def test_an_unknown_kind_of_depth_is_refused():
    with pytest.raises(ConfigurationError, match='metric, relative, disparity'):
        sensor(kind='inches')
