# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import DegenerateFlowError, InvalidInputError
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.rigid import fit_flow_transforms, fit_rigid_transform
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
