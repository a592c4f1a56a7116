# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import DegenerateFlowError, InvalidInputError
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.rigid import (
    fit_flow_transforms,
    fit_rigid_transform,
    fit_rigid_transforms,
)
from flow_manip_core.transforms import make_transform, rotation_about, transform_points


def random_transform(rng):
    return make_transform(rng.normal(size=3), Rotation.random(random_state=rng).as_matrix())


@pytest.mark.parametrize('num_points', [3, 4, 200])
def test_recovers_a_known_motion(num_points):
    rng = np.random.default_rng(0)
    T_target_source = random_transform(rng)
    source = rng.normal(size=(num_points, 3))
    target = transform_points(T_target_source, source)
    np.testing.assert_allclose(fit_rigid_transform(source, target), T_target_source, atol=1e-9)


def test_agrees_with_scipy_on_noisy_weighted_points():
    rng = np.random.default_rng(1)
    source = rng.normal(size=(50, 3))
    target = transform_points(random_transform(rng), source) + rng.normal(scale=0.05, size=(50, 3))
    weights = rng.uniform(0.1, 1.0, 50)
    fitted = fit_rigid_transform(source, target, weights)
    w = weights / weights.sum()
    expected, _ = Rotation.align_vectors(target - w @ target, source - w @ source, weights)
    np.testing.assert_allclose(fitted[:3, :3], expected.as_matrix(), atol=1e-9)


def test_a_point_of_weight_zero_may_be_anywhere():
    rng = np.random.default_rng(2)
    T_target_source = random_transform(rng)
    source = rng.normal(size=(10, 3))
    target = transform_points(T_target_source, source)
    target[4] = np.nan
    weights = np.ones(10)
    weights[4] = 0
    np.testing.assert_allclose(
        fit_rigid_transform(source, target, weights), T_target_source, atol=1e-9
    )


def test_mirrored_points_never_give_a_reflection():
    rng = np.random.default_rng(3)
    source = rng.normal(size=(30, 3))
    fitted = fit_rigid_transform(source, source * [1, 1, -1])
    assert np.linalg.det(fitted[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize('points', [np.arange(5.0)[:, None] * [1, 2, 3], np.ones((4, 3))])
def test_points_on_one_line_do_not_fix_a_rotation(points):
    with pytest.raises(DegenerateFlowError, match='on one line'):
        fit_rigid_transform(points, points)


def test_two_points_do_not_fix_a_rotation():
    with pytest.raises(DegenerateFlowError, match='2 weighted points'):
        fit_rigid_transform(np.eye(3)[:2], np.eye(3)[:2])


def test_shapes_that_disagree_are_refused():
    with pytest.raises(InvalidInputError, match='do not belong together'):
        fit_rigid_transform(np.zeros((4, 3)), np.zeros((5, 3)))


def test_a_flow_of_a_turning_object_gives_back_its_transforms():
    rng = np.random.default_rng(4)
    angles = np.linspace(0, 1.0, 6)
    transforms = [make_transform([a, 0, 0.1 * a], rotation_about([0, 0, 1], a)) for a in angles]
    flow = flow_from_transforms(rng.normal(scale=0.05, size=(40, 3)), transforms, angles)
    fitted, residuals = fit_flow_transforms(flow)
    np.testing.assert_allclose(fitted, transforms, atol=1e-5)
    assert residuals.max() < 1e-6


def test_a_flow_that_hides_its_points_names_the_step():
    points = np.random.default_rng(5).normal(size=(3, 5, 3))
    confidence = np.ones((3, 5))
    confidence[2, 1:] = 0.0
    flow = ObjectFlow(points=points, confidence=confidence, times=np.arange(3.0))
    with pytest.raises(DegenerateFlowError, match='flow step 2 of 3'):
        fit_flow_transforms(flow)


def many_motions(rng, num_steps=12, num_points=40, noise=0.0):
    """Points far from the origin, their motions, and where they come to."""
    source = np.array([0.6, -0.3, 0.2]) + rng.normal(scale=0.05, size=(num_points, 3))
    transforms = np.array([random_transform(rng) for _ in range(num_steps)])
    target = np.einsum('tij,nj->tni', transforms[:, :3, :3], source) + transforms[:, None, :3, 3]
    return source, transforms, target + noise * rng.normal(size=target.shape)


@pytest.mark.parametrize('shared', [True, False])
def test_fitting_all_steps_at_once_equals_fitting_one_by_one(shared):
    rng = np.random.default_rng(6)
    source, _, target = many_motions(rng, noise=0.01)
    if not shared:
        source = source + rng.normal(scale=0.002, size=target.shape)
    weights = rng.uniform(size=target.shape[:2]) * (rng.uniform(size=target.shape[:2]) > 0.3)
    fits = fit_rigid_transforms(source, target, weights)
    assert fits.determined.all()
    for step, w in enumerate(weights):
        points = source if shared else source[step]
        expected = fit_rigid_transform(points, target[step], w)
        np.testing.assert_allclose(fits.transforms[step], expected, atol=1e-9)
        squared = ((transform_points(expected, points) - target[step]) ** 2).sum(axis=1)
        assert fits.residuals[step] == pytest.approx(np.sqrt(np.average(squared, weights=w)))
        assert fits.num_points[step] == (w > 0).sum()


def test_hidden_points_may_be_anything_in_some_steps():
    source, transforms, target = many_motions(np.random.default_rng(7))
    weights = np.ones(target.shape[:2])
    target[3, 5:], weights[3, 5:] = np.nan, 0.0
    target[4, 7], weights[4, 7] = np.inf, 0.0
    fits = fit_rigid_transforms(source, target, weights)
    np.testing.assert_allclose(fits.transforms, transforms, atol=1e-9)
    weights[4, 7] = 0.1
    with pytest.raises(InvalidInputError, match='not finite'):
        fit_rigid_transforms(source, target, weights)


def test_steps_that_fix_no_rotation_are_marked_and_the_others_fitted():
    source, transforms, target = many_motions(np.random.default_rng(8))
    weights = np.ones(target.shape[:2])
    weights[2, 2:] = 0.0  # two points
    weights[5] = 0.0  # none
    target[7] = target[7, :1]  # all in one place
    target[9] = target[9, :1] + np.linspace(0, 0.1, len(source))[:, None]  # a line
    fits = fit_rigid_transforms(source, target, weights)
    assert np.flatnonzero(~fits.determined).tolist() == [2, 5, 7, 9]
    assert np.isinf(fits.residuals[~fits.determined]).all()
    good = fits.determined
    np.testing.assert_allclose(fits.transforms[good], transforms[good], atol=1e-9)
    np.testing.assert_array_equal(fits.transforms[2], np.eye(4))


def test_mirrored_steps_never_give_a_reflection():
    source, _, target = many_motions(np.random.default_rng(9))
    target[1:] *= [1, 1, -1]
    fits = fit_rigid_transforms(source, target)
    np.testing.assert_allclose(np.linalg.det(fits.transforms[:, :3, :3]), 1.0)
    assert fits.residuals[0] < 1e-7
    assert fits.residuals[1:].min() > 0.03


def test_a_mirror_image_that_two_rotations_fit_alike_is_not_determined():
    source = np.array([[0.1, 0, 0], [-0.1, 0, 0], [0, 0.05, 0], [0, -0.05, 0], [0, 0, 0.05],
                       [0, 0, -0.05]])  # fmt: skip
    fits = fit_rigid_transforms(source, source[None] * [1, 1, -1])
    assert not fits.determined[0]


@pytest.mark.parametrize(
    ('source', 'weights'), [((5, 3), (2, 6)), ((4, 3), (2, 5)), ((3, 5, 3), (2, 5))]
)
def test_batches_of_other_shapes_are_refused(source, weights):
    with pytest.raises(InvalidInputError, match='do not belong together'):
        fit_rigid_transforms(np.zeros(source), np.zeros((2, 5, 3)), np.zeros(weights))


def test_negative_weights_are_refused():
    with pytest.raises(InvalidInputError, match='negative'):
        fit_rigid_transforms(np.zeros((5, 3)), np.zeros((1, 5, 3)), np.full((1, 5), -1.0))
