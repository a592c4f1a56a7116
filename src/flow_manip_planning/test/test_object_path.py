# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.transforms import make_transform, rotation_about, transform_distance
from flow_manip_planning.flow_to_poses import fit_motion, FitConfig
from flow_manip_planning.object_path import ObjectPath, resample_path, rests_at_end
from flow_manip_planning.surroundings import fill_columns, Surroundings


def poses_of(steps=20, turn=1.0):
    share = np.linspace(0, 1, steps)
    return np.array(
        [make_transform([0.2 * s, 0, 0.1 * s], rotation_about([0, 0, 1], turn * s)) for s in share]
    )


def flow_of(poses, seed=0, points=None):
    if points is None:
        points = 0.03 * np.random.default_rng(seed).normal(size=(60, 3))
    return flow_from_transforms(points, poses, np.arange(len(poses)) * 0.1)


def path_of(flow, smoothing=0.0):
    return ObjectPath.of(fit_motion(flow, FitConfig(smoothing=smoothing, max_speed=10.0)))


def test_the_motion_of_a_clean_flow_is_recovered():
    path = path_of(flow_of(poses_of()))
    np.testing.assert_allclose(path.poses, poses_of(), atol=1e-5)
    assert path.times[0] == 0.0
    assert path.joint is None


def test_between_two_steps_at_rest_an_object_rests_and_speed_never_jumps():
    share = np.concatenate([np.linspace(0, 1, 9), np.ones(6), np.linspace(1, 0, 9)])
    poses = np.array(
        [make_transform([0.2 * s, 0, 0], rotation_about([0, 1, 0], s)) for s in share]
    )
    path = ObjectPath(np.arange(len(share)) * 0.125, poses)
    at = np.linspace(0, path.times[-1], 2000)
    dense = path.at(at, np.array([0.05, 0.0, 0.1]))
    x = dense[:, 0, 3] + dense[:, 0, :3] @ [0.05, 0.0, 0.1]
    resting = (at > path.times[8]) & (at < path.times[13])
    np.testing.assert_allclose(x[resting], x[resting][0], atol=1e-9)
    turns = np.arccos(np.clip((np.trace(dense[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1))
    for values in (x, turns[5:-5]):
        speed = np.diff(values) / (at[1] - at[0])
        assert np.abs(np.diff(speed)).max() < 0.05 * np.abs(speed).max()


def test_half_a_turn_in_one_step_goes_along_its_arc():
    poses = np.array([make_transform(), make_transform([0, 0, 0], rotation_about([0, 0, 1], 3.1))])
    halfway = ObjectPath(np.array([0.0, 1.0]), poses).at(np.array([0.5]), np.zeros(3))[0]
    np.testing.assert_allclose(halfway[:3, :3], rotation_about([0, 0, 1], 1.55), atol=1e-5)


def test_resampling_bounds_every_step_and_keeps_the_flows_own_poses():
    path = path_of(flow_of(poses_of(5, 2.0)))
    dense = resample_path(path, np.array([0.1, 0, 0]), 0.01, 0.05)
    for a, b in zip(dense.poses[:-1], dense.poses[1:]):
        metres, radians = transform_distance(a, b)
        assert radians < 0.0501
        assert metres < 0.0301
    kept = np.isin(np.round(dense.times, 9), np.round(path.times, 9))
    np.testing.assert_allclose(dense.poses[kept], path.poses, atol=1e-9)


def test_between_steps_a_part_stays_on_its_hinge():
    hinge = np.array([0.4, 0.3, 0.0])
    turns = [rotation_about([0, 0, 1], angle) for angle in np.linspace(0, 1.5, 8)]
    poses = np.array([make_transform(hinge - R @ hinge, R) for R in turns])
    path = path_of(flow_of(poses))
    assert path.joint.kind == 'revolute'
    dense = resample_path(path, np.zeros(3), 0.01, 0.05)
    assert len(dense.times) > 40
    away = np.array([T[:3, :3] @ hinge + T[:3, 3] - hinge for T in dense.poses])
    assert np.abs(away).max() < 1e-4


def test_between_steps_the_middle_of_a_turning_object_goes_straight():
    center = np.array([0.5, 0.1, 0.0])
    poses = []
    for s in np.linspace(0, 1, 4):
        R = rotation_about([0, 0, 1], 1.2 * s)
        poses.append(make_transform(center - R @ center + [0, 0.2 * s, 0.1 * s**2], R))
    dense = resample_path(ObjectPath(np.arange(4.0), np.array(poses)), center, 0.01, 0.05)
    assert np.abs(dense.poses[:, :3, :3] @ center + dense.poses[:, :3, 3] - center)[
        :, 0
    ].max() == pytest.approx(0.0, abs=1e-12)


def test_one_step_one_place_and_soft_things_do_not_determine_rigid_motion():
    with pytest.raises(DegenerateFlowError, match='1 step'):
        path_of(flow_of(poses_of(1)))
    with pytest.raises(DegenerateFlowError, match='on one line'):
        path_of(flow_of(poses_of(), points=np.tile([0.01, 0.02, 0.0], (10, 1))))
    flow = flow_of(poses_of())
    torn = flow.points.copy()
    torn[-1] = np.random.default_rng(0).normal(size=torn[-1].shape)
    with pytest.raises(DegenerateFlowError, match='step 19 of 20 only'):
        path_of(replace(flow, points=torn))


def cube(z=0.0):
    side = np.linspace(-0.02, 0.02, 9)
    return np.stack(np.meshgrid(0.5 + side, side, z + 0.02 + side), axis=-1).reshape(-1, 3)


@pytest.mark.parametrize(('up', 'released'), [(0.0, True), (0.03, True), (0.06, False)])
def test_the_object_is_released_only_near_the_table(up, released):
    path = path_of(flow_of(np.array([np.eye(4), make_transform([0.1, 0, up])])))
    scene = Surroundings(0.0, np.empty((0, 3)), cube(), 0.008)
    assert rests_at_end(path, cube(), scene, 0.04) is released


def test_the_surface_of_what_is_below_counts_as_support():
    side = np.linspace(-0.06, 0.06, 60)
    top = np.stack(np.meshgrid(0.6 + side, side, [0.1]), axis=-1).reshape(-1, 3)
    scene = Surroundings(0.0, fill_columns(top, 0.0, 0.008), cube(), 0.008)
    end = make_transform([0.1, 0, 0.11])
    path = path_of(flow_of(np.array([np.eye(4), end])))
    assert rests_at_end(path, cube(), scene, 0.04)


@pytest.mark.parametrize(
    ('shift', 'released'),
    [((0.0, 0.0, 0.0), True), ((0.0, 0.05, 0.0), False), ((0.0, 0.0, 0.1), False)],
)
def test_a_ring_is_released_only_where_it_is_around_a_bar(shift, released):
    angle = np.linspace(0, 2 * np.pi, 80)
    ring = np.column_stack([0.02 * np.cos(angle), 0 * angle, 0.32 + 0.02 * np.sin(angle)])
    ring += [0.4, 0.0, 0.0]
    bar = np.column_stack([np.full(11, 0.504), np.linspace(-0.04, 0.04, 11), np.full(11, 0.324)])
    scene = Surroundings(0.0, bar, ring, 0.008)
    end = make_transform(np.array([0.1, 0.0, 0.0]) + np.array(shift))
    path = path_of(flow_of(np.array([np.eye(4), end])))
    assert rests_at_end(path, ring, scene, 0.04) is released


def test_what_ends_as_it_was_is_released_wherever_that_is():
    # It hung there by itself before: what carries it is too close to it to be told from it.
    nothing, ring = np.empty((0, 3)), cube() + np.array([0.0, 0.0, 0.3])
    scene = Surroundings(0.0, nothing, ring, 0.008)
    for shift, released in ((0.004, True), (0.05, False)):
        end = make_transform([0.0, shift, 0.0])
        path = path_of(flow_of(np.array([np.eye(4), end])))
        assert rests_at_end(path, ring, scene, 0.04) is released
