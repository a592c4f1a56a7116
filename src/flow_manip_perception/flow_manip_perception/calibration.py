# SPDX-License-Identifier: Apache-2.0
"""Estimated depth to metres: one calibration per clip, from its first frame and the sensor.

What the published systems do, each under its name: 'median' (NovaFlow: the ratio of the medians),
'scale' (Dream2Flow's released code: least squares without a shift), 'scale_shift' (Dream2Flow's
text), 'affine_ransac' (NovaPlan: an affine map found by consensus). An estimate of inverse depth
is fitted as inverse depth, with weights that make the error one of depth.

A calibration that cannot be trusted is refused with the numbers, never passed on with a warning:
see `CalibrationConfig` for the limits. What no limit can see: a majority of pixels that agree on
another scale and shift.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    ConfigurationError,
    DepthCalibrationError,
    InvalidInputError,
)
from flow_manip_perception.depth import KINDS

METHODS = ('none', 'median', 'scale', 'scale_shift', 'affine_ransac')
REGIONS = ('image', 'mask')
CORRELATED = 121.0  # [px] neighbours that err alike count as one reading
SAMPLE = 2000  # pixels that vote on hypotheses
Array = NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationConfig:
    """How an estimate becomes metres, and when it may not.

    Attributes:
        method: 'none' (the estimate is in metres already), 'median', 'scale', 'scale_shift' or
            'affine_ransac'.
        region: 'image', or 'mask' for the object's mask only.
        erosion: side of the square that the mask is eroded by [px] (Dream2Flow: 11).
        min_depth: nearer readings of the sensor are not used [m] (NovaPlan: 0.6).
        max_depth: farther readings of the sensor are not used [m].
        min_region: connected regions with fewer pixels are not used (NovaPlan: 50).
        iterations: hypotheses of the consensus.
        inlier_band: a pixel agrees within this [m] (NovaPlan: 0.15).
        strata: layers of equal thickness in depth that vote alike and are checked one by one.
        seed: of the consensus.
        min_pixels: with both depths.
        min_inliers: share of the pixels that must agree.
        max_residual: root mean square over those that agree [m].
        max_bias: median error of any layer of depth that things can move into [m].
        reach: things may come this much nearer or go this much farther than the region [m].
        min_range: of depth within reach that a shift is read from [m].
        max_uncertainty: what depth may be off by at the ends of `reach` [m].
    """

    method: str = field(default='affine_ransac', metadata={'doc': f'One of {METHODS}'})
    region: str = field(default='image', metadata={'doc': 'image or mask'})
    erosion: int = field(default=11, metadata={'doc': 'Erosion of the mask [px]'})
    min_depth: float = field(default=0.05, metadata={'doc': 'Nearest sensor reading used [m]'})
    max_depth: float = field(default=3.0, metadata={'doc': 'Farthest sensor reading used [m]'})
    min_region: int = field(default=50, metadata={'doc': 'Smaller connected regions are dropped'})
    iterations: int = field(default=1000, metadata={'doc': 'Hypotheses of the consensus'})
    inlier_band: float = field(default=0.02, metadata={'doc': 'A pixel agrees within [m]'})
    strata: int = field(default=8, metadata={'doc': 'Layers of depth that vote alike'})
    seed: int = field(default=0, metadata={'doc': 'Seed of the consensus'})
    min_pixels: int = field(default=200, metadata={'doc': 'Pixels with both depths'})
    min_inliers: float = field(default=0.6, metadata={'doc': 'Share of pixels that agree'})
    max_residual: float = field(default=0.015, metadata={'doc': 'RMS of those that agree [m]'})
    max_bias: float = field(default=0.015, metadata={'doc': 'Median error of any layer [m]'})
    reach: float = field(default=0.3, metadata={'doc': 'Motion nearer or farther [m]'})
    min_range: float = field(default=0.05, metadata={'doc': 'Depth range to read a shift [m]'})
    max_uncertainty: float = field(default=0.015, metadata={'doc': 'Error at reach [m]'})

    def __post_init__(self) -> None:
        """Refuse unknown names and limits without meaning."""
        if self.method not in METHODS or self.region not in REGIONS:
            raise ConfigurationError(
                f"calibration method '{self.method}', region '{self.region}'; known: "
                f'{", ".join(METHODS)}; {", ".join(REGIONS)}'
            )
        positive = ('max_depth', 'iterations', 'inlier_band', 'strata', 'min_pixels')
        for name in (*positive, 'max_residual', 'max_bias', 'max_uncertainty'):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f'calibration: {name} is {getattr(self, name)}')
        if not 0 < self.min_inliers <= 1 or not 0 <= self.min_depth < self.max_depth:
            raise ConfigurationError(
                f'calibration: min_inliers {self.min_inliers}, depths {self.min_depth} to '
                f'{self.max_depth} m'
            )


@dataclass(frozen=True)
class DepthCalibration:
    """How one clip's estimate becomes depth, and how well that fits the sensor.

    Attributes:
        kind: of the estimate, see `DepthEstimator`; 'disparity' means inverse depth =
            scale * estimate + shift, everything else depth = scale * estimate + shift.
        scale: above 0.
        shift: [m], or [1/m] for a disparity.
        inlier_share: of the region's pixels that agree within the band.
        residual: root mean square over those [m].
        num_pixels: of the region with both depths.
        method: that found it.
        bias: largest median error of a layer of depth [m].
        uncertainty: what depth may be off by at the ends of the reach [m]; 0 where no shift is
            possible.
    """

    kind: str
    scale: float
    shift: float
    inlier_share: float
    residual: float
    num_pixels: int
    method: str = 'none'
    bias: float = 0.0
    uncertainty: float = 0.0

    def apply(self, estimate: NDArray) -> NDArray[np.float32]:
        """Turn an estimate of any shape into depth [m], NaN where unknown or not in front."""
        # A clip is millions of pixels; 24 bits are a thousand times finer than any depth.
        value = np.asarray(np.multiply(estimate, np.float32(self.scale), dtype=np.float32))
        value += np.float32(self.shift)
        with np.errstate(invalid='ignore'):
            value[~(value > 0)] = np.nan
        if self.kind == 'disparity':
            np.divide(np.float32(1.0), value, out=value)
        return value


def to_depth(estimate: NDArray, kind: str, scale: float | Array, shift: float | Array) -> Array:
    """Return depth [m], NaN where it is unknown or not in front of the camera."""
    value = np.asarray(estimate, dtype=np.float64) * scale + shift
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.where(value > 0, 1.0 / value if kind == 'disparity' else value, np.nan)


def calibrate(
    estimate: NDArray,
    reference: NDArray,
    config: CalibrationConfig,
    mask: NDArray | None = None,
    *,
    kind: str = 'relative',
) -> DepthCalibration:
    """Find scale and shift that carry the first frame's estimate onto the sensor's depth.

    Args:
        estimate: (H, W) of the first frame, NaN where unknown.
        reference: (H, W) the sensor's depth of the same view [m], NaN or 0 where unknown.
        config: method and limits.
        mask: (H, W) bool, the object; needed for the region 'mask'.
        kind: of the estimate: 'metric', 'relative' or 'disparity'.

    Raises:
        InvalidInputError: shapes disagree, an unknown kind, or no mask where one is needed.
        DepthCalibrationError: the result cannot be trusted; the message has the numbers.
    """
    _check_input(estimate, reference, config, mask, kind)
    both = _both_known(estimate, reference, config)
    region = both
    if mask is not None and config.region == 'mask':
        region = both & _eroded(mask, config.erosion)
    if (count := int(region.sum())) < config.min_pixels:
        raise DepthCalibrationError(
            f'{count} pixels of the {config.region} have both depths, {config.min_pixels} are '
            'needed'
        )
    x, z = estimate[region].astype(np.float64), reference[region].astype(np.float64)
    scale, shift = _fit(x, z, kind, config)
    if not np.isfinite([scale, shift]).all() or scale <= 0:
        raise DepthCalibrationError(
            f'{config.method} gives scale {scale:.4g} and shift {shift:.4g} over {count} pixels; '
            'a scale is above 0'
        )
    residuals = np.abs(to_depth(x, kind, scale, shift) - z)
    agree = residuals <= config.inlier_band
    error = np.abs(to_depth(x, kind, scale, shift) - z)
    agree = error <= config.inlier_band
    around = _Surroundings.within_reach(
        estimate[both], reference[both], z, kind, scale, shift, config
    )
    found = DepthCalibration(
        kind=kind,
        scale=scale,
        shift=shift,
        inlier_share=float(agree.mean()),
        residual=float(np.sqrt((error[agree] ** 2).mean())) if agree.any() else np.inf,
        num_pixels=count,
        method=config.method,
        bias=around.layer_bias(config),
        uncertainty=around.uncertainty(z, config) if _may_shift(kind, config) else 0.0,
    )
    _refuse_beyond_limits(found, around, config)
    return found


@dataclass(frozen=True)
class _Surroundings:
    """All pixels at depths that the object can move to, also where only the mask was fitted.

    A shift that a small object cannot show is seen around it.

    Attributes:
        z: (K,) the sensor's depth [m].
        error: (K,) of the calibrated estimate [m]; NaN where that lies behind the camera.
        agree: (K,) True within the band.
    """

    z: Array
    error: Array
    agree: NDArray[np.bool_]

    @classmethod
    def within_reach(
        cls,
        x: NDArray,
        z: NDArray,
        region: Array,
        kind: str,
        scale: float,
        shift: float,
        config: CalibrationConfig,
    ) -> _Surroundings:
        """Keep the pixels that lie within reach of the region's depth."""
        low, high = np.percentile(region, [1, 99])
        near = (z >= low - config.reach) & (z <= high + config.reach)
        depth = z[near].astype(np.float64)
        error = to_depth(x[near], kind, scale, shift) - depth
        with np.errstate(invalid='ignore'):
            return cls(depth, error, np.abs(error) <= config.inlier_band)

    @property
    def extent(self) -> float:
        """Range of depth of the pixels that agree [m]."""
        inside = self.z[self.agree]
        return float(np.ptp(np.percentile(inside, [2, 98]))) if len(inside) > 1 else 0.0

    def layer_bias(self, config: CalibrationConfig) -> float:
        """Return the largest median error of a layer of depth [m]."""
        low, high = np.percentile(self.z, [1, 99])
        place = (self.z - low) / max(high - low, 1e-9) * config.strata
        layer = np.clip(place, 0, config.strata - 1).astype(int)
        worst = 0.0
        for number in range(config.strata):
            members = self.error[layer == number]
            if len(members) >= config.min_pixels / 4:
                # Behind the camera is wrong by more than anything else.
                middle = np.median(np.where(np.isfinite(members), members, -np.inf))
                worst = max(worst, float(abs(middle)))
        return worst

    def uncertainty(self, region: Array, config: CalibrationConfig) -> float:
        """Return what the depth may be off by at the ends of the reach [m].

        The errors of the pixels that agree are continued to there by a line and by a parabola
        (what is left by a map without shift, and by one that is no straight line); what that gives
        and its standard error add up.
        """
        z, error = self.z[self.agree], self.error[self.agree]
        if len(z) < 4 or z.std() < 1e-6:
            return float('inf')
        low, high = np.percentile(region, [1, 99])
        ends = np.array([max(low - config.reach, 0.0), high + config.reach])
        independent = max(len(z) / CORRELATED, 1.0)
        middle, spread = z.mean(), z.std()
        worst = 0.0
        for degree in (1, 2):
            basis = np.vander((z - middle) / spread, degree + 1)
            at = np.vander((ends - middle) / spread, degree + 1)
            inverse = np.linalg.pinv(basis.T @ basis / len(z))
            curve = inverse @ (basis.T @ error / len(z))
            rest = float((error - basis @ curve).std())
            doubt = rest * np.sqrt(np.einsum('ei,ij,ej->e', at, inverse, at) / independent)
            worst = max(worst, float((np.abs(at @ curve) + doubt).max()))
        return worst


def _may_shift(kind: str, config: CalibrationConfig) -> bool:
    """Say whether depth could be off by a shift: only metres without a fitted one cannot."""
    return kind != 'metric' or config.method in ('scale_shift', 'affine_ransac')


def _check_input(
    estimate: NDArray,
    reference: NDArray,
    config: CalibrationConfig,
    mask: NDArray | None,
    kind: str,
) -> None:
    """Check that images belong together."""
    if kind not in KINDS:
        raise InvalidInputError(f"depth kind '{kind}'; known: {', '.join(KINDS)}")
    shapes = {np.shape(a) for a in (estimate, reference, mask) if a is not None}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise InvalidInputError(f'estimate, reference and mask are {sorted(shapes)}')
    if config.region == 'mask' and mask is None:
        raise InvalidInputError("calibration on the region 'mask' needs a mask")


def _both_known(estimate: NDArray, reference: NDArray, config: CalibrationConfig) -> NDArray:
    """Return (H, W) True where both depths are, in range, and not a speck."""
    with np.errstate(invalid='ignore'):
        both = np.isfinite(estimate) & (reference >= max(config.min_depth, 1e-6))
        both &= reference <= config.max_depth
    if config.min_region > 1:
        _, label, stats, _ = cv2.connectedComponentsWithStats(both.astype(np.uint8))
        large = stats[:, cv2.CC_STAT_AREA] >= config.min_region
        large[0] = False
        both = large[label]
    return both


def _eroded(mask: NDArray, side: int) -> NDArray:
    """Return the mask without its border: estimates smear there."""
    if side <= 1:
        return mask.astype(bool)
    kernel = np.ones((side, side), np.uint8)
    # What goes on beyond the image is no border of the object.
    return cv2.erode(mask.astype(np.uint8), kernel, borderValue=1) > 0


def _fit(x: Array, z: Array, kind: str, config: CalibrationConfig) -> tuple[float, float]:
    """Return scale and shift by the configured method."""
    # Where y is inverse depth, a small error of y is one of z squared times as much in depth.
    y, w = (1.0 / z, z**4) if kind == 'disparity' else (z, np.ones_like(z))
    if config.method == 'none':
        return 1.0, 0.0
    if config.method == 'median':
        middle = float(np.median(x))
        return (float(np.median(y)) / middle if middle else np.nan), 0.0
    if config.method == 'scale':
        power = float((w * x) @ x)
        return (float((w * x) @ y) / power if power else np.nan), 0.0
    if config.method == 'scale_shift':
        return _line(x, y, w)
    return _consensus(x, y, z, w, kind, config)


def _line(x: Array, y: Array, w: Array) -> tuple[float, float]:
    """Return slope and offset by weighted least squares; NaN where x does not vary."""
    total = w.sum()
    x_middle, y_middle = (w @ x) / total, (w @ y) / total
    spread = float(w @ (x - x_middle) ** 2)
    if not spread > 1e-12 * total * max(x_middle**2, 1e-30):
        return np.nan, np.nan
    slope = float(w @ ((x - x_middle) * (y - y_middle))) / spread
    return slope, float(y_middle - slope * x_middle)


def _consensus(
    x: Array, y: Array, z: Array, w: Array, kind: str, config: CalibrationConfig
) -> tuple[float, float]:
    """Return scale and shift that most pixels agree on, refined on those.

    Pairs of pixels propose, a sample with as many pixels from every layer of depth votes: a table
    that fills the view does not outvote what stands on it. NovaPlan's affine consensus.
    """
    rng = np.random.default_rng(config.seed)
    sample = _stratified(z, config.strata, rng)
    xs, ys, zs = x[sample], y[sample], z[sample]
    first, second = rng.integers(len(sample), size=(2, config.iterations))
    with np.errstate(divide='ignore', invalid='ignore'):
        scales = (ys[second] - ys[first]) / (xs[second] - xs[first])
        shifts = ys[first] - scales * xs[first]
    usable = np.isfinite(scales) & (scales > 0)
    if not usable.any():
        return np.nan, np.nan
    scales, shifts = scales[usable], shifts[usable]
    with np.errstate(invalid='ignore'):
        away = np.abs(to_depth(xs, kind, scales[:, None], shifts[:, None]) - zs)
        best = int((away <= config.inlier_band).sum(axis=1).argmax())
    scale, shift = float(scales[best]), float(shifts[best])
    for _ in range(5):
        with np.errstate(invalid='ignore'):
            agree = np.abs(to_depth(x, kind, scale, shift) - z) <= config.inlier_band
        refined = _line(x[agree], y[agree], w[agree]) if agree.sum() > 2 else (np.nan, np.nan)
        if not np.isfinite(refined).all() or np.allclose(refined, (scale, shift), rtol=1e-9):
            break
        scale, shift = refined
    return scale, shift


def _stratified(z: Array, strata: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return indices of a sample with as many pixels of every layer of depth."""
    low, high = np.percentile(z, [1, 99])
    layer = np.clip((z - low) / max(high - low, 1e-9) * strata, 0, strata - 1).astype(int)
    share = SAMPLE // strata
    picks = []
    for number in range(strata):
        members = np.flatnonzero(layer == number)
        if len(members):
            picks.append(rng.choice(members, min(share, len(members)), replace=False))
    return np.concatenate(picks)


def _refuse_beyond_limits(
    found: DepthCalibration, around: _Surroundings, config: CalibrationConfig
) -> None:
    """Raise with all that is beyond its limit."""
    problems = []
    if found.inlier_share < config.min_inliers:
        problems.append(
            f'{found.inlier_share:.1%} of {found.num_pixels} pixels agree within '
            f'{config.inlier_band:g} m, {config.min_inliers:.0%} are needed'
        )
    if found.residual > config.max_residual:
        problems.append(f'residual {found.residual:.4f} m, limit {config.max_residual:g} m')
    if found.bias > config.max_bias:
        problems.append(
            f'a layer of depth is off by {found.bias:.4f} m, limit {config.max_bias:g} m'
        )
    if found.uncertainty > config.max_uncertainty:
        problems.append(
            f'uncertain by {found.uncertainty:.4f} m {config.reach:g} m away, limit '
            f'{config.max_uncertainty:g} m'
        )
    if _may_shift(found.kind, config) and around.extent < config.min_range:
        problems.append(
            f'depth ranges over {around.extent:.3f} m, a shift shows from {config.min_range:g} m'
        )
    if problems:
        raise DepthCalibrationError(
            f'{found.method} (scale {found.scale:.4g}, shift {found.shift:.4g}): '
            + '; '.join(problems)
        )
