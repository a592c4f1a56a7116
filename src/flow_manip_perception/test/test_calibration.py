# SPDX-License-Identifier: Apache-2.0
"""Estimated depth to metres: recovered, or refused with numbers."""

from dream_scenes import lifted_box, render
import numpy as np
import pytest

from flow_manip_core.errors import ConfigurationError, DepthCalibrationError, InvalidInputError
from flow_manip_perception.calibration import calibrate, CalibrationConfig

SCALE, SHIFT = 2.5, 0.15
AFFINE = ('scale_shift', 'affine_ransac')
ALL = ('median', 'scale', *AFFINE)


@pytest.fixture(scope='module')
def dream():
    return render(lifted_box(2))


@pytest.fixture(scope='module')
def truth(dream):
    return dream.video.depth[0].astype(float)


@pytest.fixture(scope='module')
def mask(dream):
    return dream.masks[0]


def told(depth, kind='relative', scale=SCALE, shift=SHIFT):
    return ((1 / depth if kind == 'disparity' else depth) - shift) / scale


def config(method, **values):
    return CalibrationConfig(method=method, **values)


def spoilt(estimate, share, seed=0):
    """Replace a share of the pixels by anything."""
    rng = np.random.default_rng(seed)
    hit = rng.uniform(size=estimate.shape) < share
    return np.where(hit, rng.uniform(estimate.min(), estimate.max(), estimate.shape), estimate)


@pytest.mark.parametrize('kind', ['relative', 'metric', 'disparity'])
@pytest.mark.parametrize('method', AFFINE)
def test_scale_and_shift_are_recovered(truth, method, kind):
    found = calibrate(told(truth, kind), truth, config(method), kind=kind)
    assert found.kind == kind
    assert found.scale == pytest.approx(SCALE, rel=1e-4)
    assert found.shift == pytest.approx(SHIFT, abs=1e-4)
    assert found.inlier_share == 1.0
    assert found.residual < 1e-4
    assert found.num_pixels == truth.size
    np.testing.assert_allclose(found.apply(told(truth, kind)), truth, atol=1e-4)


@pytest.mark.parametrize('kind', ['relative', 'disparity'])
@pytest.mark.parametrize('method', ALL)
def test_a_mere_scale_is_recovered_by_every_method(truth, method, kind):
    found = calibrate(told(truth, kind, shift=0.0), truth, config(method), kind=kind)
    assert found.scale == pytest.approx(SCALE, rel=1e-3)
    assert found.shift == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize('method', ['median', 'scale'])
def test_a_method_without_shift_refuses_a_shift(truth, method):
    with pytest.raises(DepthCalibrationError, match='a layer of depth is off by'):
        calibrate(told(truth), truth, config(method))


@pytest.mark.parametrize('method', ['median', 'scale'])
def test_a_shift_that_the_mask_cannot_show_is_seen_around_it(truth, mask, method):
    """The object's own depth fits; where it will be carried to does not."""
    with pytest.raises(DepthCalibrationError):
        calibrate(told(truth), truth, config(method, region='mask', erosion=3), mask)


def test_consensus_bears_outliers_that_spoil_least_squares(truth):
    estimate = spoilt(told(truth), 0.3)
    found = calibrate(estimate, truth, config('affine_ransac'))
    assert found.scale == pytest.approx(SCALE, rel=1e-3)
    assert found.shift == pytest.approx(SHIFT, abs=2e-3)
    assert 0.65 < found.inlier_share < 0.8
    with pytest.raises(DepthCalibrationError, match='agree within'):
        calibrate(estimate, truth, config('scale_shift'))


def test_noise_is_averaged(truth):
    noisy = truth * (1 + 0.004 * np.random.default_rng(0).normal(size=truth.shape))
    found = calibrate(told(noisy), truth, config('affine_ransac'))
    assert found.scale == pytest.approx(SCALE, rel=0.01)
    assert 0.002 < found.residual < 0.006
    assert 0.0 < found.uncertainty < 0.01


def test_too_many_outliers_are_refused_with_both_shares(truth):
    with pytest.raises(DepthCalibrationError, match=r'5\d\.\d% of 19200 .* 60% are needed'):
        calibrate(spoilt(told(truth), 0.5), truth, config('affine_ransac'))


def test_two_halves_that_disagree_are_refused(truth):
    estimate = told(truth)
    estimate[:, :80] = told(1.4 * truth[:, :80] + 0.1)
    with pytest.raises(DepthCalibrationError):
        calibrate(estimate, truth, config('affine_ransac'))


def test_a_curved_estimate_is_refused(truth):
    with pytest.raises(DepthCalibrationError):
        calibrate(truth**2.5, truth, config('affine_ransac'))


@pytest.mark.parametrize('method', AFFINE)
def test_an_estimate_upside_down_is_refused(truth, method):
    with pytest.raises(DepthCalibrationError, match='scale'):
        calibrate(-told(truth), truth, config(method))


@pytest.mark.parametrize('method', ALL)
def test_an_estimate_that_is_the_same_everywhere_is_refused(truth, method):
    with pytest.raises(DepthCalibrationError):
        calibrate(np.full_like(truth, 0.7), truth, config(method))


@pytest.mark.parametrize('method', ALL)
def test_a_flat_view_shows_no_shift_and_is_refused(method):
    flat = 0.8 + 0.004 * np.random.default_rng(0).uniform(size=(120, 160))
    with pytest.raises(DepthCalibrationError, match=r'depth ranges over 0.00'):
        calibrate(told(flat, shift=0.0), flat, config(method))


def test_metres_need_no_range_to_be_scaled():
    flat = 0.8 + 0.004 * np.random.default_rng(0).uniform(size=(120, 160))
    found = calibrate(flat / 1.1, flat, config('median'), kind='metric')
    assert found.scale == pytest.approx(1.1, rel=1e-3)


def test_too_few_pixels_are_refused_by_number(truth, mask):
    holes = np.where(np.arange(truth.size).reshape(truth.shape) < 120, truth, np.nan)
    with pytest.raises(DepthCalibrationError, match=r'120 pixels of the image .* 200 are needed'):
        calibrate(told(truth), holes, config('affine_ransac'))


def test_specks_of_depth_are_not_used(truth):
    rows, columns = np.indices(truth.shape)
    specks = np.where((rows % 4 == 0) & (columns % 4 == 0), truth, np.nan)
    with pytest.raises(DepthCalibrationError, match='0 pixels'):
        calibrate(told(truth), specks, config('affine_ransac'))


def test_large_holes_do_no_harm(truth):
    holes = truth.copy()
    holes[20:70, 30:130] = np.nan
    estimate = told(truth)
    estimate[80:, :50] = np.nan
    found = calibrate(estimate, holes, config('affine_ransac'))
    assert found.scale == pytest.approx(SCALE, rel=1e-3)
    assert found.num_pixels == int((np.isfinite(estimate) & np.isfinite(holes)).sum())


def test_the_border_of_the_mask_is_left_out(truth, mask):
    """Estimates smear at the border; eroded by eleven pixels, little of this box is left."""
    counts = [
        calibrate(
            told(truth, shift=0.0),
            truth,
            config('scale', region='mask', erosion=side, min_pixels=20),
            mask,
        ).num_pixels
        for side in (1, 3, 7)
    ]
    assert counts[0] == mask.sum()
    assert counts[0] > counts[1] > counts[2] > 20


def test_no_method_checks_that_metres_are_metres(truth):
    found = calibrate(truth, truth, config('none'), kind='metric')
    assert (found.scale, found.shift) == (1.0, 0.0)
    with pytest.raises(DepthCalibrationError, match=r'0.0% of 19200 pixels agree'):
        calibrate(1.3 * truth, truth, config('none'), kind='metric')


def test_what_comes_out_behind_the_camera_is_unknown(truth):
    found = calibrate(told(truth), truth, config('affine_ransac'))
    depth = found.apply(np.array([told(1.0), told(-0.2), np.nan]))
    assert depth[0] == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(depth[1:]).all()


def test_the_same_input_gives_the_same_calibration(truth):
    estimate = spoilt(told(truth), 0.3)
    first, second = (calibrate(estimate, truth, config('affine_ransac')) for _ in range(2))
    assert first == second


def test_images_that_do_not_belong_together_are_refused(truth, mask):
    with pytest.raises(InvalidInputError):
        calibrate(truth[:50], truth, config('scale'))
    with pytest.raises(InvalidInputError, match='needs a mask'):
        calibrate(truth, truth, config('scale', region='mask'))
    with pytest.raises(InvalidInputError, match='inches'):
        calibrate(truth, truth, config('scale'), kind='inches')


@pytest.mark.parametrize(
    'values',
    [
        {'method': 'magic'},
        {'region': 'half'},
        {'inlier_band': 0.0},
        {'min_inliers': 1.5},
        {'min_depth': 4.0},
    ],
)
def test_parameters_without_meaning_are_refused(values):
    with pytest.raises(ConfigurationError):
        CalibrationConfig(**values)
