# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_control.point_tracks import PointTracksConfig, PosesFromPoints
from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.tracking import TrackedPoints
from flow_manip_core.transforms import (
    make_transform,
    rotation_about,
    transform_distance,
    transform_points,
)

START = np.array([0.5, 0.1, 0.05]) + np.random.default_rng(0).uniform(-0.03, 0.03, (60, 3))
TURN = rotation_about((0.3, 1, 0.2), 0.4)
MOTION = make_transform([0.1, -0.05, 0.2] - TURN @ [0.5, 0, 0], TURN)


class Points:
    """Gives what a test sets."""

    def __init__(self):
        self.move(np.eye(4), 0.0)

    def move(self, motion, stamp=1.0, noise=0.0, wrong=0, unseen=0):
        rng = np.random.default_rng(1)
        points = transform_points(motion, START) + noise * rng.normal(size=START.shape)
        points[:wrong] += rng.uniform(0.05, 0.2, (wrong, 3))
        confidence = np.ones(len(START))
        if unseen:
            points[-unseen:], confidence[-unseen:] = np.nan, 0.0
        self.now = TrackedPoints(stamp, points, confidence)

    def points(self, now):
        return self.now


@pytest.fixture
def tracks():
    points = Points()
    tracker = PosesFromPoints(points)
    np.testing.assert_allclose(tracker.pose(0.0).pose, np.eye(4), atol=1e-9)
    return points, tracker


@pytest.mark.parametrize(
    ('trouble', 'metres', 'degrees'),
    [({}, 1e-9, 1e-5), ({'noise': 0.002}, 0.002, 3.0), ({'wrong': 12}, 1e-6, 1e-3),
     ({'unseen': 40}, 1e-9, 1e-5), ({'noise': 0.002, 'wrong': 8, 'unseen': 20}, 0.003, 4.0)],
)  # fmt: skip
def test_points_that_move_together_are_a_pose(tracks, trouble, metres, degrees):
    points, tracker = tracks
    points.move(MOTION, stamp=3.5, **trouble)
    tracked = tracker.pose(4.0)
    middle = START.mean(axis=0)
    off = transform_points(tracked.pose, middle) - transform_points(MOTION, middle)
    assert np.linalg.norm(off) < metres
    assert np.degrees(transform_distance(tracked.pose, MOTION)[1]) < degrees
    assert tracked.stamp == 3.5


@pytest.mark.parametrize('trouble', [{'unseen': 55}, {'wrong': 30}, {'noise': 0.02}])
def test_points_that_are_too_few_or_disagree_are_none(tracks, trouble):
    points, tracker = tracks
    points.move(MOTION, **trouble)
    assert tracker.pose(1.0) is None


def test_points_on_a_line_are_none(tracks):
    points, _ = tracks
    line = np.linspace(0, 0.1, 30)[:, None] * [1.0, 2.0, 0.5]
    points.now = TrackedPoints(0.0, line, np.ones(30))
    assert PosesFromPoints(points).pose(0.0) is None


def test_other_points_start_anew(tracks):
    points, tracker = tracks
    points.now = TrackedPoints(2.0, START[:30] + 0.4, np.ones(30))
    np.testing.assert_allclose(tracker.pose(2.0).pose, np.eye(4), atol=1e-9)


def test_what_is_no_track_is_refused():
    with pytest.raises(InvalidInputError, match='belong together'):
        TrackedPoints(0.0, START, np.ones(3))
    with pytest.raises(InvalidInputError, match='not finite'):
        TrackedPoints(0.0, START * np.nan, np.ones(len(START)))
    with pytest.raises(ConfigurationError):
        PointTracksConfig(min_points=2)
