# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.transforms import transform_distance
from flow_manip_mujoco.disturbances import (
    DisturbanceConfig,
    DISTURBANCES,
    make_disturbance,
    MovedTarget,
    Push,
    Slip,
)
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.object_tracker import SimulatedTracker, TrackerConfig
from flow_manip_mujoco.tasks.placement import is_at_rest, is_upright

SCENE = Scene(('red_cube', 'white_plate', 'blue_box'))


@pytest.fixture
def table(cell):
    cell.reset(4, SCENE)
    return cell


def seconds(cell, count):
    cell.step(round(count / cell.timestep))


def moved(cell, name, start):
    return float(np.linalg.norm(cell.object_pose(name)[:3, 3] - start[:3, 3]))


def test_nothing_happens_before_the_part_of_the_plan_that_it_waits_for(table):
    start = table.object_pose('red_cube')
    push = make_disturbance('push', table, 'red_cube', 'white_plate', seed=1)
    push.begin_segment(holding=True, duration=1.0)
    seconds(table, 1.5)
    assert push.happened_at is None
    assert moved(table, 'red_cube', start) < 1e-3


@pytest.mark.parametrize('seed', range(4))
def test_a_push_sends_the_object_some_centimetres_over_the_table(table, seed):
    start = table.object_pose('red_cube')
    push = make_disturbance('push', table, 'red_cube', None, seed)
    push.begin_segment(holding=False, duration=1.0)
    seconds(table, 2.0)
    assert 0.2 <= push.happened_at <= 0.8 + 2 * table.timestep
    assert 0.02 < moved(table, 'red_cube', start) < 0.15
    assert is_at_rest(table, 'red_cube')
    assert 'was knocked with' in push.description
    assert not table.data.xfrc_applied.any(), 'whoever pushed has gone'


@pytest.mark.parametrize('seed', range(4))
def test_a_target_is_dragged_flat_on_the_table_to_a_free_place(table, seed):
    start, cube = table.object_pose('white_plate'), table.object_pose('red_cube')
    drag = make_disturbance('moved_target', table, 'red_cube', 'white_plate', seed)
    drag.begin_segment(holding=True, duration=1.0)
    seconds(table, 2.5)
    way = moved(table, 'white_plate', start)
    wanted = float(drag.description.split()[-2])
    assert 0.08 <= wanted <= 0.14
    assert way == pytest.approx(wanted, abs=0.01)
    assert is_at_rest(table, 'white_plate')
    assert is_upright(table, 'white_plate', 0.02)
    assert transform_distance(start, table.object_pose('white_plate'))[1] < 0.1
    assert moved(table, 'red_cube', cube) < 1e-3
    assert not table.data.xfrc_applied.any()


def test_slipping_fingers_open_for_a_moment_and_close_again(table):
    table.gripper_controller.move(0.0, 30.0, table.model)
    seconds(table, 1.5)
    assert table.gripper_controller.status.width < 0.002
    slip = make_disturbance('slip', table, 'red_cube', None, seed=2)
    slip.begin_segment(holding=True, duration=1.0)
    widest, begun = 0.0, table.time
    while table.time < begun + 2.0:
        table.step()
        widest = max(widest, table.gripper_controller.status.width)
    assert slip.happened_at is not None
    assert widest > 0.01
    assert table.gripper_controller.status.width < 0.002


def test_a_disturbance_happens_once_and_the_same_seed_the_same_way(table):
    def run():
        table.reset(4, SCENE)
        drag = make_disturbance('moved_target', table, 'red_cube', 'white_plate', seed=3)
        for _ in range(2):
            drag.begin_segment(holding=True, duration=1.0)
            seconds(table, 2.0)
        return drag.happened_at, table.object_pose('white_plate')

    (first, pose), (again, same) = run(), run()
    assert first == again < 1.0
    np.testing.assert_array_equal(pose, same)


def test_what_did_not_happen_in_one_plan_may_in_the_next(table):
    push = make_disturbance('push', table, 'red_cube', None, seed=1)
    push.begin_segment(holding=False, duration=100.0)
    push.end()
    seconds(table, 1.0)
    assert push.happened_at is None
    push.begin_segment(holding=False, duration=0.1)
    seconds(table, 0.2)
    assert push.happened_at is not None


def test_a_reset_ends_every_disturbance(table):
    drag = make_disturbance('moved_target', table, 'red_cube', 'white_plate', seed=3)
    drag.begin_segment(holding=True, duration=0.0)
    table.reset(4, SCENE)
    start = table.object_pose('white_plate')
    seconds(table, 1.0)
    assert drag.happened_at is None
    assert moved(table, 'white_plate', start) < 1e-3


def test_what_cannot_be_disturbed_is_refused(table):
    assert {cls.kind for cls in (Slip, Push, MovedTarget)} == set(DISTURBANCES)
    with pytest.raises(InvalidInputError, match="no disturbance 'flood'"):
        make_disturbance('flood', table, 'red_cube', None, 0)
    with pytest.raises(InvalidInputError, match='needs a target'):
        make_disturbance('moved_target', table, 'red_cube', None, 0)
    with pytest.raises(InvalidInputError, match='bolted'):
        make_disturbance('push', table, 'green_cube', None, 0)
    with pytest.raises(InvalidInputError, match="no body 'green_cube'"):
        Slip(table, 'green_cube', 0, DisturbanceConfig())


def test_a_perfect_tracker_says_the_truth_at_its_rate(table):
    tracker = SimulatedTracker(table, 'red_cube', TrackerConfig(rate=10.0))
    begun = table.time
    stamps = set()
    for _ in range(100):
        table.step(round(0.01 / table.timestep))
        tracked = tracker.pose(table.time)
        stamps.add(tracked.stamp)
        np.testing.assert_allclose(tracked.pose, table.object_pose('red_cube'), atol=1e-4)
    assert len(stamps) == 10
    assert min(stamps) > begun


def test_a_late_tracker_says_what_was(table):
    tracker = SimulatedTracker(table, 'red_cube', TrackerConfig(rate=100.0, latency=0.2))
    begun = table.time
    for _ in range(40):
        tracked = tracker.pose(table.time)
        if table.time < begun + 0.19:
            assert tracked is None
        table.step(round(0.01 / table.timestep))
    assert tracked.stamp == pytest.approx(table.time - 0.2, abs=0.021)


def test_noise_and_drop_outs_are_as_large_as_configured_and_repeat(table):
    config = TrackerConfig(rate=1000.0, noise_metres=0.01, noise_degrees=2.0, dropout=0.3, seed=5)

    def sample():
        tracker = SimulatedTracker(table, 'red_cube', config)
        poses = {p.stamp: p.pose for i in range(1500) if (p := tracker.pose(i * 0.001))}
        return np.array(list(poses.values()))

    poses, truth = sample(), table.object_pose('red_cube')
    assert 0.66 < len(poses) / 1500 < 0.74
    np.testing.assert_allclose((poses[:, :3, 3] - truth[:3, 3]).std(axis=0), 0.01, rtol=0.1)
    turns = np.degrees([transform_distance(truth, pose)[1] for pose in poses])
    assert np.sqrt((turns**2).mean()) == pytest.approx(2.0 * np.sqrt(3), rel=0.1)
    np.testing.assert_array_equal(poses, sample())


def test_what_is_no_tracker_is_refused(table):
    with pytest.raises(ConfigurationError):
        TrackerConfig(rate=0.0)
    with pytest.raises(InvalidInputError):
        SimulatedTracker(table, 'green_cube')


def test_the_body_under_a_mask_is_the_one_that_most_of_it_shows(table):
    mask = table.object_mask('red_cube')
    assert table.body_under(mask) == 'red_cube'
    assert table.body_under(type(mask)(~mask.pixels, 'the rest')) is None
