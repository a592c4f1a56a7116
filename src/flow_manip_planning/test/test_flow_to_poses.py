# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, DegenerateFlowError
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.rigid import fit_rigid_transforms
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.flow_to_poses import fit_motion, FitConfig
from flow_manip_planning.flow_to_poses.fit import trimmed_by_motion

CENTER = np.array([0.5, 0.1, 0.1])
STEPS = 41
SHARE = np.linspace(0, 1, STEPS)
SHARE = SHARE**2 * (3 - 2 * SHARE)


def carried(delta, lift=0.0, turn=0.0, axis=(0, 0, 1), steps=STEPS):
    """Poses of an object that goes by `delta` over an arc and turns about its middle."""
    share = np.linspace(0, 1, steps)
    share = share**2 * (3 - 2 * share)
    poses = []
    for s in share:
        R = rotation_about(axis, turn * s)
        end = CENTER + s * np.asarray(delta) + [0, 0, lift * np.sin(np.pi * s)]
        poses.append(make_transform(end - R @ CENTER, R))
    return np.array(poses)


def turned(angle, axis, point):
    """Poses of a part on a hinge."""
    rotations = [rotation_about(axis, angle * s) for s in SHARE]
    return np.array([make_transform(point - R @ point, R) for R in rotations])


def flow_of(poses, num_points=150, noise=0.0, outliers=0.0, seed=0, size=0.06):
    """The flow of a cube's inside, with noise in every step and outliers after the first."""
    rng = np.random.default_rng(seed)
    points = CENTER + size * rng.uniform(-0.5, 0.5, (num_points, 3))
    flow = flow_from_transforms(points, poses, 0.1 * np.arange(len(poses)))
    moved = flow.points + noise * rng.normal(size=flow.points.shape)
    wrong = rng.random(moved.shape[:2]) < outliers
    wrong[0] = False
    moved[wrong] = rng.uniform(-0.5, 1.0, (wrong.sum(), 3))
    return replace(flow, points=moved)


def errors_of(poses, truth):
    """How far the middle is off [m] and how far the turn [degrees]."""
    middle = [T[:, :3, :3] @ CENTER + T[:, :3, 3] for T in (poses, truth)]
    traces = np.einsum('tij,tij->t', poses[:, :3, :3], truth[:, :3, :3])
    angle = np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))
    return np.linalg.norm(middle[0] - middle[1], axis=1), angle


def hide(flow, steps, points=slice(None)):
    confidence = flow.confidence.copy()
    confidence[steps, points] = 0.1
    moved = flow.points.copy()
    moved[confidence < 0.5] = np.nan
    return replace(flow, points=moved, confidence=confidence)


PICK = carried([0.1, 0.2, 0.02], lift=0.12, turn=0.5)
PLAIN = FitConfig(smoothing=0.0, joints=False)


def test_a_clean_motion_is_recovered_exactly():
    motion = fit_motion(flow_of(PICK), PLAIN)
    metres, degrees = errors_of(motion.poses, PICK)
    assert metres.max() < 1e-6
    assert degrees.max() < 0.05
    np.testing.assert_array_equal(motion.poses[0], np.eye(4))
    assert motion.joint is None
    assert motion.report.failed_steps == ()
    assert (motion.report.inliers == 150).all()
    assert motion.report.residuals.max() < 1e-6


@pytest.mark.parametrize('seed', range(3))
def test_forty_percent_of_outliers_cost_next_to_nothing(seed):
    clean = flow_of(PICK, num_points=400, noise=0.001, seed=seed)
    flow = flow_of(PICK, num_points=400, noise=0.001, outliers=0.4, seed=seed)
    right = (flow.points == clean.points).all(axis=2)
    assert right[1:].mean() == pytest.approx(0.6, abs=0.02)
    best = fit_rigid_transforms(flow.points[0], flow.points, right)
    everything = fit_rigid_transforms(flow.points[0], flow.points)
    motion = fit_motion(flow, PLAIN)
    errors = [
        [np.sqrt((e**2).mean()) for e in errors_of(poses, PICK)]
        for poses in (motion.poses, best.transforms, everything.transforms)
    ]
    assert errors[0][0] < 1.1 * errors[1][0]
    assert errors[0][1] < 1.1 * errors[1][1]
    assert errors[2][0] > 100 * errors[0][0]
    np.testing.assert_allclose(motion.report.inliers[1:], right[1:].sum(axis=1), rtol=0.1)


def test_outliers_do_not_bend_accumulated_motion():
    flow = flow_of(PICK, num_points=400, noise=0.001, outliers=0.4)
    motion = fit_motion(flow, replace(PLAIN, mode='adjacent'))
    metres, degrees = errors_of(motion.poses, PICK)
    # Errors of 0.4 degrees per step add up with the root of the steps; a mistaken step would tear.
    assert metres.max() < 0.005
    assert degrees.max() < 5.0
    assert motion.report.inliers[5:] / 400 == pytest.approx(0.36, abs=0.08)


def test_noise_of_a_centimetre_costs_no_more_than_least_squares_on_all_points():
    flow = flow_of(PICK, noise=0.01)
    robust, plain = (fit_motion(flow, replace(PLAIN, robust=r)) for r in (True, False))
    errors = [np.sqrt((errors_of(m.poses, PICK)[0] ** 2).mean()) for m in (robust, plain)]
    assert errors[0] < 1.15 * errors[1]
    # Both the first step's and the step's own noise are between the points.
    assert robust.report.noise == pytest.approx(0.01 * np.sqrt(2), rel=0.1)


def test_the_same_flow_gives_the_same_motion():
    flow = flow_of(PICK, noise=0.003, outliers=0.3)
    one, other = fit_motion(flow), fit_motion(flow)
    np.testing.assert_array_equal(one.poses, other.poses)


def test_points_that_stay_behind_as_one_body_are_outvoted():
    truth = carried([0, 0.3, 0], lift=0.1)
    for seed in range(3):
        flow = flow_of(truth, num_points=200, noise=0.001, seed=seed)
        points = flow.points.copy()
        points[:, :80] = flow_of(0 * truth + np.eye(4), 200, 0.001, seed=seed).points[:, :80]
        motion = fit_motion(replace(flow, points=points), PLAIN)
        metres, _ = errors_of(motion.poses, truth)
        # Bodies are told apart from one and a half inlier distances on; before, both count.
        apart = np.linalg.norm(truth[:, :3, 3], axis=1)
        assert (metres < 0.002 + apart).all()
        assert metres[apart > 1.5 * PLAIN.inlier_distance].max() < 0.001
        assert motion.report.inliers[-1] == 120


def test_trimming_drops_the_points_that_move_least_and_most():
    points = np.zeros((3, 10, 3))
    points[2, :, 0] = [0, 0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.6]
    weights = np.ones((3, 10))
    assert trimmed_by_motion(points, weights, 15.0).tolist() == [2, 3, 4, 5, 6, 7]
    weights[1:, 3] = 0.0
    assert 3 not in trimmed_by_motion(points, weights, 15.0)
    flow = flow_of(PICK, num_points=100)
    assert fit_motion(flow, replace(PLAIN, trim_percent=10.0)).report.num_points == 80


def test_a_mirrored_step_is_reported_and_bridged():
    flow = flow_of(PICK)
    points = flow.points.copy()
    points[20] = points[20].mean(axis=0) + 3 * (points[20] - points[20].mean(axis=0)) * [-1, 1, 1]
    motion = fit_motion(replace(flow, points=points), PLAIN)
    assert motion.report.failed_steps == (20,)
    assert 'follow one rigid motion' in motion.report.reasons[20]
    assert motion.report.inliers[20] == 0
    assert np.isinf(motion.report.residuals[20])
    metres, degrees = errors_of(motion.poses, PICK)
    assert metres[20] < 0.002
    assert degrees[20] < 1.0
    assert np.linalg.det(motion.poses[:, :3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize('mode', ['first', 'adjacent'])
def test_hidden_steps_are_named_and_interpolated_at_the_middle_of_the_object(mode):
    flow = hide(flow_of(PICK), [7, 8, 20], slice(3, None))
    motion = fit_motion(flow, replace(PLAIN, mode=mode))
    assert motion.report.failed_steps == (7, 8, 20)
    assert '3 visible points, 6 are needed' in motion.report.reasons[8]
    metres, degrees = errors_of(motion.poses, PICK)
    assert metres.max() < 0.002
    assert degrees.max() < 0.5


def test_points_that_come_and_go_are_followed_from_step_to_step():
    flow = flow_of(PICK)
    points = np.arange(150)
    for step in range(STEPS):
        flow = hide(flow, step, np.abs(points - 150 * step / STEPS) > 40)
    with pytest.raises(DegenerateFlowError, match='visible points'):
        fit_motion(flow, PLAIN)
    motion = fit_motion(flow, replace(PLAIN, mode='adjacent'))
    assert errors_of(motion.poses, PICK)[0].max() < 1e-4


def test_a_flow_without_its_last_step_is_refused():
    with pytest.raises(DegenerateFlowError, match='at step 40 of 41 0 visible points'):
        fit_motion(hide(flow_of(PICK), 40))


def test_a_flow_that_is_mostly_hidden_is_refused():
    flow = hide(flow_of(PICK), np.arange(10, 30))
    with pytest.raises(DegenerateFlowError, match='20 of 40 steps have no rigid motion'):
        fit_motion(flow)
    assert fit_motion(flow, replace(PLAIN, max_failed_share=0.6)).report.failed_steps


@pytest.mark.parametrize(('noise', 'metres', 'degrees'), [(0, 1e-6, 0.01), (0.001, 0.002, 1.5)])
@pytest.mark.parametrize('robust', [True, False])
def test_points_on_one_line_go_without_a_turn_about_it(noise, metres, degrees, robust):
    rng = np.random.default_rng(2)
    axis = np.array([1.0, 0.0, 0.0])
    line = CENTER + np.linspace(-0.05, 0.05, 60)[:, None] * axis
    truth = carried([0.1, 0.2, 0.02], lift=0.12, turn=1.2, axis=[0, 0.6, 0.8])
    flow = flow_from_transforms(line, truth, 0.1 * np.arange(STEPS))
    flow = replace(flow, points=flow.points + noise * rng.normal(size=flow.points.shape))
    motion = fit_motion(flow, replace(PLAIN, robust=robust, smoothing=1.0))
    assert abs(motion.report.undetermined @ axis) > 0.999
    assert motion.report.failed_steps == ()
    assert errors_of(motion.poses, truth)[0].max() < metres
    assert angle_between(motion.poses[-1, :3, :3] @ axis, truth[-1, :3, :3] @ axis) < degrees
    steps = motion.poses[1:, :3, :3] @ motion.poses[:-1, :3, :3].swapaxes(1, 2)
    turns = np.stack([steps[:, 2, 1] - steps[:, 1, 2], steps[:, 0, 2] - steps[:, 2, 0],
                      steps[:, 1, 0] - steps[:, 0, 1]], axis=1)  # fmt: skip
    along = np.einsum('tc,tc->t', turns, motion.poses[1:, :3, :3] @ axis)
    assert np.degrees(np.abs(along)).max() < 0.1


def test_outliers_do_not_bend_the_way_of_a_line():
    rng = np.random.default_rng(3)
    line = CENTER + np.linspace(-0.05, 0.05, 200)[:, None] * [0.0, 1.0, 0.0]
    flow = flow_from_transforms(line, PICK, 0.1 * np.arange(STEPS))
    points = flow.points + 0.003 * rng.normal(size=flow.points.shape)
    wrong = rng.random(points.shape[:2]) < 0.3
    wrong[0] = False
    points[wrong] = rng.uniform(-0.5, 1.0, (wrong.sum(), 3))
    motion = fit_motion(replace(flow, points=points))
    assert motion.report.undetermined is not None
    assert errors_of(motion.poses, PICK)[0].max() < 0.003
    np.testing.assert_allclose(motion.report.inliers[1:], 140, atol=25)


def test_points_that_tell_no_direction_either_are_refused():
    flow = flow_of(PICK, num_points=40, noise=0.01, size=0.004)
    with pytest.raises(DegenerateFlowError, match=r'(direction|rotation).* is uncertain by'):
        fit_motion(flow)
    slender = CENTER + np.linspace(-0.05, 0.05, 60)[:, None] * [1, 0, 0]
    flow = flow_from_transforms(slender, PICK, 0.1 * np.arange(STEPS))
    with pytest.raises(DegenerateFlowError, match='at step 40 of 41 0 visible points'):
        fit_motion(hide(flow, 40))


def test_a_thing_whose_turn_shows_is_not_left_without_it():
    motion = fit_motion(flow_of(PICK, num_points=250, noise=0.01))
    assert motion.report.undetermined is None


def test_what_does_not_move_as_one_body_is_refused():
    flow = flow_of(PICK)
    points = flow.points.copy()
    points[-1] = np.random.default_rng(0).normal(size=points[-1].shape)
    with pytest.raises(DegenerateFlowError, match=r'step 40 of 41 only \d+ of 150 points'):
        fit_motion(replace(flow, points=points))
    with pytest.raises(DegenerateFlowError, match=r'points are \d\.\d+ m from any rigid motion'):
        fit_motion(replace(flow, points=points), FitConfig(robust=False))


def test_one_step_is_no_motion():
    with pytest.raises(DegenerateFlowError, match='1 step'):
        fit_motion(flow_of(PICK[:1]))


def test_confidence_weighs():
    flow = flow_of(carried([0, 0.2, 0]), num_points=40)
    points, confidence = flow.points.copy(), flow.confidence.copy()
    points[1:, :20, 0] += 0.01
    confidence[:, :20] = 0.51
    motion = fit_motion(
        replace(flow, points=points, confidence=confidence), replace(PLAIN, robust=False)
    )
    off = (motion.poses[-1, :3, :3] @ CENTER + motion.poses[-1, :3, 3] - CENTER)[0]
    assert off == pytest.approx(0.01 * 0.51**2 / (1 + 0.51**2), rel=0.25)


def test_haste_is_slowed_and_the_rest_passes_as_before():
    flow = flow_of(carried([0, 0.4, 0], turn=0.5))
    calm = fit_motion(flow, FitConfig(max_speed=10.0, max_turn_rate=50.0))
    np.testing.assert_allclose(calm.times, flow.times, atol=1e-12)
    assert calm.report.slowed == 0.0
    slow = fit_motion(flow, FitConfig(max_speed=0.1, max_turn_rate=0.15))
    np.testing.assert_array_equal(slow.poses, calm.poses)
    middle = slow.poses[:, :3, :3] @ CENTER + slow.poses[:, :3, 3]
    steps = np.diff(slow.times)
    speed = np.linalg.norm(np.diff(middle, axis=0), axis=1) / steps
    _, degrees = errors_of(slow.poses[1:], slow.poses[:-1])
    assert speed.max() < 0.1 * 1.02
    assert np.radians(degrees / steps).max() < 0.15 * 1.02
    assert slow.report.slowed == pytest.approx(slow.times[-1] - flow.times[-1])
    assert steps[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ('values', 'match'),
    [
        ({'mode': 'second'}, "'second'"),
        ({'inlier_distance': 0.0}, 'inlier_distance'),
        ({'trim_percent': 50.0}, 'trim_percent'),
        ({'samples': 1}, 'samples'),
    ],
)
def test_parameters_that_cannot_work_are_refused(values, match):
    with pytest.raises(ConfigurationError, match=match):
        FitConfig(**values)


# Joints.

NOISES = [(0.0, 0.0, 100), (0.003, 0.4, 300), (0.01, 0.0, 150), (0.01, 0.2, 60)]


def angle_between(a, b):
    return np.degrees(np.arccos(np.clip(abs(np.dot(a, b)), 0, 1)))


@pytest.mark.parametrize(('noise', 'outliers', 'num_points'), NOISES)
def test_a_drawer_is_a_slide(noise, outliers, num_points):
    truth = carried([-0.15, 0.02, 0.0])
    motion = fit_motion(flow_of(truth, num_points, noise, outliers))
    joint = motion.joint
    assert joint.kind == 'prismatic'
    direction = np.array([-0.15, 0.02, 0.0]) / np.hypot(0.15, 0.02)
    assert joint.axis @ direction > 0
    assert angle_between(joint.axis, direction) < 0.05 + 300 * noise
    assert joint.range[1] == pytest.approx(np.hypot(0.15, 0.02), abs=0.0005 + 0.5 * noise)
    assert abs(joint.range[0]) < 0.001 + 0.3 * noise
    assert joint.residual < 1e-4 + 0.7 * noise
    np.testing.assert_array_equal(motion.poses[:, :3, :3], np.tile(np.eye(3), (STEPS, 1, 1)))
    assert errors_of(motion.poses, truth)[0].max() < 0.001 + 0.6 * noise


@pytest.mark.parametrize(('noise', 'outliers', 'num_points'), NOISES)
@pytest.mark.parametrize(
    ('angle', 'axis', 'point'),
    [
        (1.2, [0, 0, 1], [0.6, 0.4, 0.1]),
        (-1.0, [0, 1, 0], [0.62, 0.1, 0.02]),
        (2.8, [0, 0, 1], [0.5, 0.3, 0.1]),
    ],
)
def test_a_door_and_a_lid_are_hinges(noise, outliers, num_points, angle, axis, point):
    truth = turned(angle, axis, np.array(point))
    motion = fit_motion(flow_of(truth, num_points, noise, outliers))
    joint = motion.joint
    assert joint.kind == 'revolute'
    assert np.sign(joint.axis @ axis) == np.sign(angle)
    assert angle_between(joint.axis, axis) < 0.1 + 500 * noise
    away = joint.point - point
    assert np.linalg.norm(away - (away @ axis) * np.array(axis)) < 0.001 + 2.0 * noise
    assert joint.range[1] == pytest.approx(abs(angle), abs=0.005 + 15 * noise)
    metres, _ = errors_of(motion.poses, truth)
    assert metres.max() < 0.001 + 0.8 * noise
    # The poses lie on the joint exactly.
    np.testing.assert_allclose(joint.poses(joint.values(motion.poses)), motion.poses, atol=1e-9)


@pytest.mark.parametrize(('noise', 'outliers', 'num_points'), NOISES)
def test_an_object_that_is_picked_and_placed_is_on_no_joint(noise, outliers, num_points):
    rng = np.random.default_rng(5)
    for seed in range(6):
        delta = np.append(rng.uniform(-0.25, 0.25, 2), rng.uniform(-0.02, 0.1))
        truth = carried(delta, lift=rng.uniform(0.05, 0.15), turn=rng.uniform(-1.5, 1.5))
        motion = fit_motion(flow_of(truth, num_points, noise, outliers, seed=seed))
        assert motion.joint is None, motion.joint


def test_a_push_that_turns_the_object_on_its_way_is_on_no_joint():
    for noise in (0.0, 0.003, 0.01):
        truth = carried([0.1, 0.2, 0.0], turn=0.6)
        assert fit_motion(flow_of(truth, noise=noise)).joint is None


def test_a_door_seen_by_its_handle_alone_is_a_hinge():
    truth = turned(1.2, [0, 0, 1], np.array([0.6, 0.4, 0.0]))
    joint = fit_motion(flow_of(truth, 40, 0.002, size=0.03)).joint
    assert joint.kind == 'revolute'
    assert angle_between(joint.axis, [0, 0, 1]) < 4.0
    assert np.linalg.norm((joint.point - [0.6, 0.4, 0])[:2]) < 0.01


def shaken_as_one(flow, metres, radians, seed=0):
    """The flow of a tracker that fits the thing as a whole, anew at every step."""
    rng = np.random.default_rng(seed)
    points = flow.points.copy()
    for step in range(1, flow.num_steps):
        middle = points[step].mean(axis=0)
        R = rotation_about(rng.normal(size=3), radians * rng.normal())
        points[step] = (points[step] - middle) @ R.T + middle + metres * rng.normal(size=3)
    return replace(flow, points=points)


@pytest.mark.parametrize('seed', [0, 1])
def test_a_door_whose_points_shake_together_is_a_hinge(seed):
    truth = turned(1.2, [0, 0, 1], np.array([0.6, 0.3, 0.0]))
    joint = fit_motion(shaken_as_one(flow_of(truth, size=0.2), 0.002, 0.02, seed)).joint
    assert joint.kind == 'revolute'
    assert angle_between(joint.axis, [0, 0, 1]) < 2.0
    carry = carried([0.2, 0.1, 0.0], lift=0.1, turn=0.5)
    assert fit_motion(shaken_as_one(flow_of(carry), 0.002, 0.02, seed)).joint is None


def test_what_hardly_moves_is_on_no_joint():
    assert fit_motion(flow_of(carried([0.01, 0, 0]), noise=0.003)).joint is None
    assert fit_motion(flow_of(carried([0, 0, 0]), noise=0.003)).joint is None


def test_a_joint_with_hidden_steps_passes_through_them():
    truth = turned(1.2, [0, 0, 1], np.array([0.6, 0.4, 0.1]))
    motion = fit_motion(hide(flow_of(truth), np.arange(10, 16)))
    assert motion.joint.kind == 'revolute'
    assert motion.report.failed_steps == tuple(range(10, 16))
    assert errors_of(motion.poses, truth)[0].max() < 0.003


def test_evidence_says_what_was_compared():
    report = fit_motion(flow_of(carried([-0.15, 0, 0]))).report
    assert report.evidence['prismatic'] < report.evidence['free'] - 10
    report = fit_motion(flow_of(PICK)).report
    assert report.evidence['free'] < report.evidence['revolute'] - 10
    assert fit_motion(flow_of(PICK), PLAIN).report.evidence == {}


def test_accumulated_fits_find_the_joint_too():
    truth = turned(1.2, [0, 0, 1], np.array([0.6, 0.4, 0.1]))
    motion = fit_motion(flow_of(truth, 300, 0.002), FitConfig(mode='adjacent'))
    assert motion.joint.kind == 'revolute'
    assert angle_between(motion.joint.axis, [0, 0, 1]) < 3.0


def test_two_steps_are_enough_for_a_motion_and_too_few_for_a_joint():
    motion = fit_motion(flow_of(carried([0.1, 0, 0], steps=2)))
    assert motion.joint is None
    assert motion.poses.shape == (2, 4, 4)


def test_a_flow_of_nan_where_hidden_is_no_problem():
    flow = hide(flow_of(PICK), slice(1, None), slice(0, 50))
    assert isinstance(flow, ObjectFlow)
    assert errors_of(fit_motion(flow, PLAIN).poses, PICK)[0].max() < 1e-5
