# SPDX-License-Identifier: Apache-2.0
"""Small and short videos; the big ones differ in size only."""

from collections import Counter
from dataclasses import replace
import threading

import numpy as np
import pytest

from flow_manip_core.camera import CameraModel, project_from
from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
    TaskNotSupportedError,
    VideoFailedError,
)
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import transform_points
from flow_manip_core.video import Video
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.tasks import task_named, TASKS
from flow_manip_mujoco.tasks.meaning import meant_step
from flow_manip_mujoco.video import SimulatedVideo
from flow_manip_mujoco.video.failures import draw_take, FAILURES, FailureWeights
from flow_manip_mujoco.video.picture import VideoDepthConfig
from flow_manip_mujoco.video.setting import carried_by, read_setting

ORANGE = {
    'orange_ball': (0.42, -0.2, 0.0),
    'blue_bowl': (0.5, 0.12, 0.0),
    'red_can': (0.6, -0.1, 0),
}
PUT = 'put the orange ball in the blue bowl'
FREE = tuple(name for name in FAILURES if name != 'wrong_axis')
COPY = {}  # that all generators restore states in: to build one takes most of a second
EXACT = VideoDepthConfig(flicker=0.0, smooth=0.0, edge_loss=0.0)


@pytest.fixture(scope='module')
def small():
    """Give a cell whose camera has a quarter of the pixels."""
    rig = load_rig('tabletop')
    rig = replace(rig, camera=replace(rig.camera, width=320, height=240))
    cell = SimulatedCell(Context(load_robot('franka'), rig))
    COPY['copy'] = SimulatedCell(cell.context)
    yield cell
    cell.close()


@pytest.fixture
def ball(small):
    small.reset(0, Scene(tuple(ORANGE), 0, ORANGE))
    return small


def generator(cell, failure='', **more):
    """Return a generator of good videos, or of videos with one kind of failure."""
    weights = FailureWeights(**{name: float(name == failure) for name in FAILURES})
    defaults = {'num_frames': 13, 'rest_frames': 2, 'noise': 0.0, 'depth': EXACT}
    config = SimulatedVideo.Config(
        good_rate=float(not failure), failures=weights, **(defaults | more)
    )
    made = SimulatedVideo(config, replace(cell.context, simulation=cell.state))
    made._cell = COPY['copy']
    return made


def one(cell, failure='', instruction=PUT, seed=0, **more):
    """Return a video and its truth."""
    made = generator(cell, failure, **more)
    (video,) = made.generate(cell.observe(), instruction, seed=seed)
    return video, made.truth(video)


@pytest.fixture
def good(ball):
    """Give the good video of the ball with its truth."""
    if 'good' not in COPY:
        COPY['good'] = one(ball)
    return COPY['good']


def is_orange(frames):
    """Say for (..., 3) which pixels show the ball: much red, half as much green, no blue."""
    r, g, b = np.moveaxis(frames.astype(int), -1, 0)
    return (r > 1.5 * g) & (g > 2 * b) & (g - b > 25)


def middles(frames):
    """Return (T, 2) where the orange pixels are in the middle, NaN where there are none."""
    found = [np.argwhere(is_orange(frame)) for frame in frames]
    return np.array([p.mean(axis=0)[::-1] if len(p) else [np.nan] * 2 for p in found])


def images_of(cell, poses, observation):
    """Return (T, 2) where the middle of the ball is seen at (T, 4, 4) poses."""
    centres = poses[:, :3, :3] @ [0, 0, 0.028] + poses[:, :3, 3]
    return project_from(observation.camera, observation.T_world_camera, centres)


# ---------------------------------------------------------------- good ones


def test_a_good_video_follows_the_reference_within_a_pixel(ball, good):
    video, truth = good
    assert truth.is_good
    reference = meant_step(ball, PUT).reference_motion(ball)
    np.testing.assert_allclose(truth.poses[-1], reference.poses[-1], atol=1e-6)
    np.testing.assert_allclose(truth.poses[0], ball.object_pose('orange_ball'), atol=1e-9)
    seen = middles(video.frames)[:10]  # the bowl's rim hides some of it at the end
    wanted = images_of(ball, truth.reference, ball.observe())[:10]
    assert np.linalg.norm(wanted[-1] - wanted[0]) > 40.0
    np.testing.assert_allclose(seen, wanted, atol=1.0)


def test_it_begins_with_what_the_camera_sees_and_ends_at_rest(ball, good):
    video, _ = good
    seen = ball.observe()
    assert np.abs(video.frames[0].astype(int) - seen.color).mean() < 0.05
    assert (video.frames[-1] == video.frames[-2]).all()
    assert (video.frames.shape, video.times[-1]) == ((13, 240, 320, 3), 12 / 16)
    assert (video.source, video.prompt, video.camera_poses) == ('simulated', PUT, None)


QUICK = ('put', 'hang_mug', 'open_oven', 'open_drawer')


@pytest.mark.parametrize(
    'name',
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ('put', *TASKS)],
)
def test_in_every_task_the_end_looks_as_if_the_object_were_there(small, name):
    trial = task_named(name).make_trial(2)
    trial.reset(small)
    video, truth = one(small, instruction=trial.instruction, num_frames=9)
    step = trial.steps[0]
    assert truth.body == truth.moved == step.body
    poses = step.reference_motion(small).poses
    if step.body in small.fixture_joints():
        part = small.model.joint(step.body)
        value = _joint_value(small, step.body, poses[-1])
        small.data.qpos[part.qposadr[0]] = value
        picture = small.picture()
    else:
        picture = small.picture_of({step.body: poses[-1]})
    assert np.abs(video.frames[-1].astype(int) - picture).mean() < 0.05
    lasting = np.abs(video.frames[4].astype(int) - video.frames[0]).max(axis=2) > 30
    assert lasting.sum() > 30, 'something moves'


def _joint_value(cell, body, pose):
    """Return the joint value of a fixture's part at a (4, 4) pose, by trying."""
    for fixture in cell.fixtures:
        for part in fixture.moving:
            if fixture.body_name(part.name) == body:
                root = cell.body_pose(fixture.name)
                values = np.linspace(*part.joint.range, 4001)
                gaps = [np.abs(root @ part.joint.transform(v) - pose).max() for v in values]
                return values[int(np.argmin(gaps))]
    raise AssertionError(body)


def test_the_same_seed_gives_the_same_videos_however_many_are_asked_for(ball):
    made = generator(ball, noise=2.0, depth=VideoDepthConfig())
    seen = ball.observe()
    first, second = made.generate(seen, PUT, num_videos=2, seed=5)
    (again,) = generator(ball, noise=2.0, depth=VideoDepthConfig()).generate(seen, PUT, seed=5)
    assert (first.frames == again.frames).all()
    np.testing.assert_array_equal(first.depth, again.depth)
    assert (first.seed, second.seed) == (5, 6)
    assert np.abs(first.frames.astype(int) - second.frames).max() > 5
    assert made.truth(first).depth_shift != made.truth(second).depth_shift


def test_the_live_cell_is_left_as_it_is_and_may_be_used_meanwhile(ball):
    before, state = ball.picture(), ball.state()
    light = [ball.model.light(i).dir.copy() for i in range(ball.model.nlight)]
    made = generator(ball, 'morphs')
    running = made.generate(ball.observe(), PUT, num_videos=2)
    next(running)
    ball.step(5)
    running.close()
    assert ball.time == pytest.approx(0.01)
    ball.restore(state)
    np.testing.assert_array_equal(ball.picture(), before)
    for i, direction in enumerate(light):
        np.testing.assert_array_equal(ball.model.light(i).dir, direction)


def test_videos_may_be_made_in_any_thread(ball):
    seen, caught, videos = ball.observe(), [], []
    made = generator(ball)

    def work(seed):
        try:
            videos.append((seed, next(made.generate(seen, PUT, seed=seed)).frames))
        except Exception as error:
            caught.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    ball.observe()
    for thread in threads:
        thread.join()
    assert not caught
    assert len({frames.tobytes() for _, frames in videos}) == 1, 'no noise: all good are the same'


def test_what_stands_on_the_thing_moves_along_and_nothing_else(small):
    places = {'white_plate': (0.45, 0.1, 0.0), 'red_cube': (0.62, -0.1, 0.0)}
    small.reset(0, Scene(tuple(places), 0, places))
    joint = small.data.joint('red_cube')
    joint.qpos[:3] = [0.45, 0.1, 0.0065]
    small.step(100)
    assert carried_by(small)['white_plate'] == ('red_cube',)
    assert carried_by(small)['red_cube'] == ()
    made = generator(small)
    (video,) = made.generate(small.observe(), 'lift the white plate')
    assert made.truth(video).moved == 'white_plate'
    cubes = made.true_masks(video, 'red_cube')
    rows = [np.argwhere(mask)[:, 0].mean() for mask in cubes]
    assert rows[-1] < rows[0] - 15, 'the cube rises with the plate'


def test_a_camera_of_another_size_and_middle_is_drawn_as_it_is(ball):
    seen = ball.observe()
    camera = CameraModel(200, 160, 210.0, 190.0, 120.0, 70.0)
    other = replace(
        seen,
        camera=camera,
        color=np.zeros((160, 200, 3), np.uint8),
        depth=np.ones((160, 200), np.float32),
    )
    made = generator(ball)
    (video,) = made.generate(other, PUT)
    truth = made.truth(video)
    centre = transform_points(truth.poses[0], np.array([0, 0, 0.028]))
    wanted = project_from(camera, seen.T_world_camera, centre)
    np.testing.assert_allclose(middles(video.frames)[0], wanted, atol=1.0)


def test_the_robot_may_be_left_out_and_a_hand_be_drawn(ball, good):
    shown, _ = good
    hidden, _ = one(ball, show_robot=False)
    assert np.abs(shown.frames[0].astype(int) - hidden.frames[0]).max() > 60
    made = generator(ball, hand=True, hand_frames=4, num_frames=17)
    (video,) = made.generate(ball.observe(), PUT)
    np.testing.assert_array_equal(video.frames[0], shown.frames[0])
    truth, masks = made.truth(video), made.true_masks(video)
    np.testing.assert_allclose(truth.poses[4], truth.poses[0])
    assert np.linalg.norm(truth.poses[6, :3, 3] - truth.poses[0, :3, 3]) > 0.01
    skin = np.abs(video.frames[8].astype(int) - shown.frames[0]).max(axis=2) > 40
    assert (skin & ~masks[8] & ~masks[0]).sum() > 200
    assert masks[8].sum() < masks[0].sum(), 'fingers hide some of the ball'


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize('name', FREE)
def test_a_failure_is_named_by_the_truth_and_ends_unlike_the_good_one(ball, good, name):
    video, truth = one(ball, name, seed=3)
    assert truth.failure == name
    right = good[0].frames
    assert (video.frames[0] == right[0]).all(), 'the first frame is the observation'
    differing = np.abs(video.frames[-1].astype(int) - right[-1]).max(axis=2) > 25
    assert differing.sum() > 40


def test_what_morphs_changes_its_size_and_colour(ball):
    made = generator(ball)
    good = made.true_masks(next(made.generate(ball.observe(), PUT)))
    made = generator(ball, 'morphs')
    for video in made.generate(ball.observe(), PUT, num_videos=2):
        masks = made.true_masks(video)
        ratio = masks[-1].sum() / good[-1].sum()
        assert ratio > 1.3 or ratio < 0.75
        colour = [video.frames[i][masks[i]].mean(axis=0) for i in (0, -1)]
        assert np.linalg.norm(colour[1] - colour[0]) > 20


def test_the_wrong_object_moves_and_the_right_one_rests(ball):
    made = generator(ball, 'wrong_object')
    (video,) = made.generate(ball.observe(), PUT, seed=1)
    truth = made.truth(video)
    assert truth.moved != truth.body == 'orange_ball'
    assert (truth.poses == truth.poses[0]).all()
    seen = middles(video.frames)
    assert np.nanmax(np.linalg.norm(seen - seen[0], axis=1)) < 2.0
    other = made.true_masks(video, truth.moved)
    rows = [np.argwhere(m).mean(axis=0) for m in (other[0], other[-1])]
    assert np.linalg.norm(rows[1] - rows[0]) > 30


def test_a_second_one_appears_and_the_first_stays(ball):
    video, truth = one(ball, 'hallucinated')
    count = is_orange(video.frames).sum(axis=(1, 2))
    assert count[-1] > 1.5 * count[0]
    assert np.isnan(truth.ghost[0]).all()
    assert np.isfinite(truth.ghost[-1]).all()


def test_what_vanishes_is_seen_no_more(ball):
    video, truth = one(ball, 'vanishes')
    seen = is_orange(video.frames).any(axis=(1, 2))
    np.testing.assert_array_equal(seen, truth.visible)
    assert seen[0]
    assert not seen[-1]


def test_the_wrong_direction_leads_elsewhere(ball):
    made = generator(ball, 'wrong_direction', num_frames=9)
    for video in made.generate(ball.observe(), PUT, num_videos=4):
        truth = made.truth(video)
        way, right = (p[-1, :2, 3] - p[0, :2, 3] for p in (truth.poses, truth.reference))
        assert np.degrees(np.arccos(way @ right / np.linalg.norm(way) ** 2)) > 75


@pytest.mark.parametrize(
    ('name', 'failure'),
    [
        ('open_oven', 'wrong_axis'),
        ('open_drawer', 'wrong_axis'),
        ('close_cabinet', 'wrong_direction'),
        ('open_drawer', 'wrong_direction'),
    ],
)
def test_a_door_or_drawer_leaves_its_joint(small, name, failure):
    trial = TASKS[name].make_trial(1)
    trial.reset(small)
    good, _ = one(small, instruction=trial.instruction, num_frames=9)
    made = generator(small, failure, num_frames=9)
    for video in made.generate(small.observe(), trial.instruction, num_videos=3):
        truth = made.truth(video)
        assert truth.failure == failure
        np.testing.assert_allclose(truth.poses[0], truth.reference[0], atol=1e-9)
        corners = np.array([[0.1, 0.1, 0.1], [0.1, -0.1, 0.2], [0.0, 0.0, 0.0]])
        ends = [transform_points(p[-1], corners) for p in (truth.poses, truth.reference)]
        assert np.linalg.norm(ends[0] - ends[1], axis=1).max() > 0.05
        differing = np.abs(video.frames[-1].astype(int) - good.frames[-1]).max(axis=2) > 20
        assert differing.sum() > 200


def test_a_drifting_and_a_zooming_camera_move_the_whole_picture(ball, good):
    still, _ = good
    for name in ('camera_zooms', 'camera_drifts'):
        video, truth = one(ball, name)
        corner = (slice(None), slice(100, 160), slice(0, 60))
        changed = np.abs(video.frames[corner].astype(int) - still.frames[corner]).mean(
            axis=(1, 2, 3)
        )
        assert changed[-1] > 3.0, name
        np.testing.assert_allclose(truth.poses, truth.reference)
        assert (abs(np.log(truth.zoom[-1])) > 0.15) == (name == 'camera_zooms')
    # What is known of the camera explains where the ball is.
    seen = middles(video.frames)
    centre = truth.poses[6, :3, 3] + [0.0, 0.0, 0.028]
    wanted = project_from(ball.observe().camera, truth.camera_poses[6], centre)
    np.testing.assert_allclose(seen[6], wanted, atol=1.0)


def test_at_a_cut_everything_jumps(ball):
    for video in generator(ball, 'jump_cut').generate(ball.observe(), PUT, num_videos=3):
        steps = np.abs(np.diff(video.frames.astype(int), axis=0)).mean(axis=(1, 2, 3))
        assert np.sort(steps)[-1] > 4 * np.sort(steps)[-2]


def test_what_stops_short_does_not_arrive(ball):
    video, truth = one(ball, 'stops_short')
    way, wanted = (p[:, :3, 3] - p[0, :3, 3] for p in (truth.poses, truth.reference))
    assert np.linalg.norm(way[-1]) < 0.8 * np.linalg.norm(wanted[-1])
    seen = middles(video.frames)
    gap = seen[-1] - images_of(ball, truth.reference, ball.observe())[-1]
    assert np.linalg.norm(gap) > 8.0


def test_flicker_changes_every_frame_s_brightness(ball, good):
    video, _ = one(ball, 'flickers')
    still, _ = good
    levels = [v.frames[:, :60].mean(axis=(1, 2, 3)) for v in (video, still)]
    assert levels[0].std() > 8.0
    assert levels[1].std() < 1.0


def test_failures_come_as_often_as_configured(ball):
    setting = setting_of(ball)
    weights = dict.fromkeys(FAILURES, 1.0) | {'flickers': 3.0, 'vanishes': 0.0}
    rng = np.random.default_rng(0)
    found = Counter(draw_take(setting, 0.46, weights, rng).failure for _ in range(2000))
    assert found[''] / 2000 == pytest.approx(0.46, abs=0.035)
    assert found['vanishes'] == found['wrong_axis'] == 0  # a ball has no hinge
    bad = 2000 - found['']
    assert found['flickers'] / bad == pytest.approx(3 / 11, abs=0.04)
    assert found['stops_short'] / bad == pytest.approx(1 / 11, abs=0.03)


def setting_of(cell, instruction=PUT):
    step = meant_step(cell, instruction)
    pixels = dict.fromkeys(cell.body_names, 500)
    share = np.clip(np.arange(13) / 10, 0, 1)
    return read_setting(cell, step, share, cell.T_world_camera, pixels, carried_by(cell))


def test_a_goal_image_makes_good_videos_more_likely(ball):
    config = SimulatedVideo.Config()
    made = SimulatedVideo(config, replace(ball.context, simulation=ball.state))
    without, with_goal = made._chances(False), made._chances(True)
    assert (without[0], with_goal[0]) == (0.15, 0.46)
    for name in FAILURES:
        rarer = name in ('wrong_direction', 'stops_short')
        assert with_goal[1][name] == (0.25 if rarer else 1.0) * without[1][name]
    seen = ball.observe()
    made = generator(ball, 'vanishes', good_rate_with_goal_image=1.0)
    (video,) = made.generate(seen, PUT, goal_image=seen.color)
    assert made.truth(video).is_good
    with pytest.raises(InvalidInputError, match='goal image'):
        next(made.generate(seen, PUT, goal_image=seen.color[:100]))


# ---------------------------------------------------------------- depth


def test_depth_is_the_truth_up_to_its_scale_and_shift(ball, good):
    video, truth = good
    seen = ball.observe()
    known = (video.depth[0] - truth.depth_shift) / truth.depth_scale[0]
    np.testing.assert_allclose(known, seen.depth, atol=2e-3)
    made = generator(ball, num_frames=9)
    more = list(made.generate(seen, PUT, num_videos=4))
    scales = [made.truth(v).depth_scale[0] for v in more]
    assert np.ptp(scales) > 0.1
    assert all(0.6 <= s <= 1.6 for s in scales)


def test_depth_has_holes_at_edges_only_and_flickers_as_configured(ball):
    depth = VideoDepthConfig(flicker=0.01, smooth=0.004, edge_loss=0.5)
    video, truth = one(ball, depth=depth)
    assert 0.002 < np.isnan(video.depth).mean() < 0.15
    assert not np.isnan(video.depth[:, 150:200, 5:60]).any(), 'bare table'
    flicker = truth.depth_scale / truth.depth_scale[0]
    assert 0.003 < flicker.std() < 0.03
    error = (video.depth[0] - truth.depth_shift) / truth.depth_scale[0] - ball.observe().depth
    assert 0.001 < np.nanstd(error) < 0.008


def test_without_depth_and_with_camera_poses_if_told_so(ball):
    video, truth = one(ball, 'camera_drifts', with_depth=False, with_camera_poses=True)
    assert video.depth is None
    np.testing.assert_allclose(video.camera_poses, truth.camera_poses)


# ---------------------------------------------------------------- truth


def test_the_truth_is_found_for_thinned_videos_and_refused_for_others(ball):
    made = generator(ball, 'stops_short', noise=2.0)
    (video,) = made.generate(ball.observe(), PUT)
    assert made.truth(video.thinned(5)) is made.truth(video)
    other = Video(255 - video.frames, video.times)
    with pytest.raises(InvalidInputError, match='not known'):
        made.truth(other)
    with pytest.raises(InvalidInputError, match='no body'):
        made.true_masks(video, 'golden_calf')


def test_points_are_carried_as_the_video_shows(ball, good):
    video, truth = good
    points = ball.object_mask('orange_ball').points(ball.observe())[::10]
    paths = truth.carry(points, video.times[[0, 6, 12]])
    np.testing.assert_allclose(paths[0], points, atol=1e-9)
    shift = truth.poses[6, :3, 3] - truth.poses[0, :3, 3]
    np.testing.assert_allclose(paths[1] - points, np.tile(shift, (len(points), 1)), atol=1e-6)


def test_masks_are_those_of_the_pictures(ball):
    made = generator(ball)
    (video,) = made.generate(ball.observe(), PUT)
    masks = made.true_masks(video)
    np.testing.assert_array_equal(masks[0], ball.object_mask('orange_ball').pixels)
    orange = is_orange(video.frames)
    shared = (masks & orange).sum() / (masks | orange).sum()
    assert shared > 0.85


# ---------------------------------------------------------------- refusals


def test_it_stops_when_asked_to(ball):
    made, calls = generator(ball), []

    def cancelled():
        calls.append(None)
        return len(calls) > 10

    with pytest.raises(CancelledError, match='frame'):
        list(made.generate(ball.observe(), PUT, num_videos=3, cancelled=cancelled))
    assert len(calls) == 11


def test_progress_goes_from_nought_to_one(ball):
    told = []
    made = generator(ball, num_frames=9)
    list(made.generate(ball.observe(), PUT, num_videos=2, on_progress=lambda *a: told.append(a)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert told[0][0] == 'drawing video 1 of 2'


def test_it_needs_a_simulation(ball):
    with pytest.raises(BackendError, match='simulated cell'):
        SimulatedVideo(SimulatedVideo.Config(), ball.context)


def test_words_without_a_motion_and_things_out_of_sight_are_refused(ball):
    made, seen = generator(ball), ball.observe()
    with pytest.raises(TaskNotSupportedError):
        next(made.generate(seen, 'sing a song'))
    away = seen.T_world_camera.copy()
    away[:3, :3] = away[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    with pytest.raises(VideoFailedError, match='sight'):
        next(made.generate(replace(seen, T_world_camera=away), PUT))


def test_where_no_failure_can_be_had_it_says_so(ball):
    with pytest.raises(ConfigurationError, match='can be had'):
        one(ball, 'wrong_axis')


@pytest.mark.parametrize(
    'values',
    [
        {'num_frames': 5},
        {'rest_frames': 40},
        {'hand': True, 'hand_frames': 35},
        {'good_rate': 1.2},
        {'rate': 0.0},
        {'noise': -1.0},
        {'goal_image_weight': -0.5},
    ],
)
def test_a_configuration_out_of_range_is_refused(values):
    with pytest.raises(ConfigurationError):
        SimulatedVideo.Config(**values)
    with pytest.raises(ConfigurationError):
        FailureWeights(morphs=-1.0)
    with pytest.raises(ConfigurationError):
        VideoDepthConfig(scale=(0.0, 1.0))
