# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.plan import Trajectory
from flow_manip_core.transforms import (
    interpolate_transforms,
    invert_transform,
    is_rigid,
    make_transform,
    quaternion_from_transform,
    rotation_about,
    transform_distance,
    transform_from_quaternion,
)


@pytest.fixture
def transforms():
    rng = np.random.default_rng(0)
    rotations = Rotation.random(8, random_state=rng).as_matrix()
    return np.array([make_transform(rng.normal(size=3), r) for r in rotations])


def test_inverting_twice_changes_nothing(transforms):
    np.testing.assert_allclose(
        invert_transform(invert_transform(transforms)), transforms, atol=1e-12
    )
    np.testing.assert_allclose(
        invert_transform(transforms) @ transforms, np.tile(np.eye(4), (8, 1, 1)), atol=1e-12
    )


def test_quaternions_are_xyzw_and_round_trip(transforms):
    assert quaternion_from_transform(np.eye(4)).tolist() == [0, 0, 0, 1]
    for transform in transforms:
        back = transform_from_quaternion(transform[:3, 3], quaternion_from_transform(transform))
        np.testing.assert_allclose(back, transform, atol=1e-12)


def test_half_way_between_two_poses_is_half_the_way_and_half_the_turn():
    end = make_transform([2, 0, 0], rotation_about([0, 0, 1], 1.0))
    middle = interpolate_transforms([0, 1], [np.eye(4), end], [0.5])[0]
    distance, angle = transform_distance(middle, np.eye(4))
    assert (distance, angle) == (pytest.approx(1.0), pytest.approx(0.5))


def test_a_mirror_and_a_scale_are_not_rigid():
    assert is_rigid(np.eye(4))
    assert not is_rigid(np.diag([1, 1, -1, 1]))
    assert not is_rigid(np.diag([2, 2, 2, 1]))
    assert not is_rigid(np.full((4, 4), np.nan))


def test_sampling_a_trajectory_follows_its_velocities():
    times = np.linspace(0, 1, 11)
    positions, velocities = np.sin(times)[:, None], np.cos(times)[:, None]
    trajectory = Trajectory(('a',), times, positions, velocities, -positions)
    for time in np.linspace(0, 1, 57):
        assert trajectory.sample(time)[0] == pytest.approx(np.sin(time), abs=1e-5)
    assert trajectory.sample(5.0)[0] == pytest.approx(np.sin(1.0))
    assert trajectory.duration == pytest.approx(1.0)
