# SPDX-License-Identifier: Apache-2.0
"""From object flow to the motion of the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from flow_manip_core.errors import DegenerateFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.rigid import fit_rigid_transforms
from flow_manip_planning.flow_to_poses.consensus import Consensus, find_consensus
from flow_manip_planning.flow_to_poses.denoising import denoise_poses, PoseNoise, SeriesSmoother
from flow_manip_planning.flow_to_poses.joints import choose_joint, JointFit, PartPoses
from flow_manip_planning.flow_to_poses.motion import Array, FitReport, ObjectMotion
from flow_manip_planning.flow_to_poses.settings import FIRST, FitConfig
from flow_manip_planning.flow_to_poses.smoothing import fill_gaps, slowed_times
from flow_manip_planning.flow_to_poses.steps import LINE, NOISE_IN_SPREAD, Steps
from flow_manip_planning.flow_to_poses.turnless import without_turn

LEAST_SHAPE = 0.05  # share of the spread across an axis that is the object's at least


def fit_motion(flow: ObjectFlow, config: FitConfig | None = None) -> ObjectMotion:
    """Find out how an object moves, and whether as a part on a joint.

    Robust rigid fits of all steps, gaps interpolated and named in the report, a joint where the
    evidence is for one, the noise of the points smoothed away, and no faster than the limits.
    Points so near to one line that they do not tell its turn about itself give a motion without
    such a turn, and the report names the axis.

    Args:
        flow: of one object, two steps or more.
        config: defaults if left out.

    Raises:
        DegenerateFlowError: one step only, or the last or too many steps have no rigid motion; the
            message has the step and the numbers.
    """
    config = FitConfig() if config is None else config
    if flow.num_steps < 2:
        raise DegenerateFlowError(f'the flow has {flow.num_steps} step, motion needs two')
    points, weights = _tracked(flow, config)
    rng = np.random.default_rng(config.seed)
    fit = _fit_first if config.mode == FIRST else _fit_adjacent
    steps = fit(points, weights, config, rng)
    if config.mode == FIRST and _is_refused(steps, config):
        steps = without_turn(points, weights, steps, config)
    _refuse_if_unknown(steps, config)
    seen = weights[0] > 0
    start = points[0, seen]
    center = 0.5 * (start.min(axis=0) + start.max(axis=0))
    if config.robust:
        center = np.median(start, axis=0)
    times = flow.times - flow.times[0]
    poses = fill_gaps(times, steps.poses, steps.good, center)
    part = _part(points[0], steps, poses, config)
    chosen: JointFit | None = None
    evidence: dict[str, float] = {}
    if config.joints and flow.num_steps > 2:
        chosen, evidence = choose_joint(part, config)
    poses = _smooth(times, part, steps, chosen, config)
    slowed = slowed_times(times, poses, center, config.max_speed, config.max_turn_rate)
    report = FitReport(
        inliers=np.where(steps.good, steps.inliers.sum(axis=1), 0),
        residuals=np.where(steps.good, steps.residuals, np.inf),
        failed_steps=tuple(sorted(steps.failed)),
        mode=config.mode,
        evidence=evidence,
        reasons=steps.failed,
        noise=float(np.sqrt((steps.noise[steps.good][1:] ** 2).mean())),
        num_points=points.shape[1],
        slowed=float(slowed[-1] - times[-1]),
        undetermined=steps.undetermined,
    )
    return ObjectMotion(slowed, poses, None if chosen is None else chosen.joint, report)


def _smooth(
    times: Array, part: PartPoses, steps: Steps, chosen: JointFit | None, config: FitConfig
) -> Array:
    """Smooth free poses, or the values of the joint, whose poses then lie on it exactly."""
    smoothed = config.smoothing > 0 and len(times) > 3
    noise = _pose_noise(part, steps, config) if smoothed else None
    if chosen is None:
        return part.poses if noise is None else denoise_poses(times, part.poses, noise)
    values = PchipInterpolator(times[steps.good], chosen.values[steps.good])(times)
    if noise is not None:
        smoother = SeriesSmoother(times, steps.good, accumulated=noise.accumulated)
        off = np.array([noise.position / part.lever(chosen.joint)])
        values = smoother.smooth(values[:, None], off)[:, 0]
    return chosen.joint.poses(values - values[0])


def _pose_noise(part: PartPoses, steps: Steps, config: FitConfig) -> PoseNoise:
    """Return how far each pose is off, from what the agreeing points are off.

    Half of the variance between two steps is either's own. About an axis a turn moves points by
    what they are away from it, of which noise is a part and tells nothing.
    """
    good = steps.good.copy()
    good[0] = False
    variance = 0.5 * float((steps.noise[good] ** 2).mean())
    count = float(np.median(steps.inliers[good].sum(axis=1)))
    values, axes = np.linalg.eigh(part.scatter)
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    across = values.sum() - values
    shape = np.maximum(across - 2.0 * variance, LEAST_SHAPE * across)
    turn = np.sqrt(variance * across / count) / np.maximum(shape, np.finfo(float).tiny)
    if steps.undetermined is not None:
        turn[2] = np.inf  # the longest axis
    return PoseNoise(
        center=part.center,
        axes=axes,
        position=config.smoothing * float(np.sqrt(variance / count)),
        turn=config.smoothing * turn,
        known=steps.good,
        accumulated=config.mode != FIRST,
    )


def _tracked(flow: ObjectFlow, config: FitConfig) -> tuple[Array, Array]:
    """Return (T, N, 3) finite points and (T, N) confidences, 0 where hidden; trimmed."""
    weights = np.where(flow.visible, flow.confidence, 0.0).astype(np.float64)
    points = flow.points.astype(np.float64)
    if not np.isfinite(points).all():
        points[weights == 0] = 0.0
    if config.trim_percent <= 0:
        return points, weights
    kept = trimmed_by_motion(points, weights, config.trim_percent)
    return points[:, kept], weights[:, kept]


def trimmed_by_motion(points: Array, weights: Array, percent: float) -> NDArray[np.intp]:
    """Return which points move neither least nor most (3DFlowAction's filter before its fit).

    Args:
        points: (T, N, 3) [m].
        weights: (T, N), 0 where hidden.
        percent: of the points that are dropped at either end.

    Returns:
        indices of points whose distance between the first and the last step at which they are seen
        is between the two percentiles.
    """
    seen = weights > 0
    first = seen.argmax(axis=0)
    last = len(seen) - 1 - seen[::-1].argmax(axis=0)
    index = np.arange(points.shape[1])
    way = np.linalg.norm(points[last, index] - points[first, index], axis=1)
    twice = seen.sum(axis=0) > 1
    if not twice.any():
        return np.flatnonzero(twice)
    low, high = np.percentile(way[twice], [percent, 100.0 - percent])
    return np.flatnonzero(twice & (way >= low) & (way <= high))


def _fit(
    source: Array, target: Array, weights: Array, config: FitConfig, rng: np.random.Generator
) -> Consensus:
    """Fit all steps, by consensus or by least squares on every point."""
    if config.robust:
        return find_consensus(source, target, weights, config, rng)
    fits = fit_rigid_transforms(source, target, weights)
    return Consensus(fits, weights > 0, fits.residuals / np.sqrt(3.0))


def _fit_first(
    points: Array, weights: Array, config: FitConfig, rng: np.random.Generator
) -> Steps:
    """Fit every step to the first: errors do not add up, but points must be seen at the start."""
    both = weights[1:] * weights[0]
    found = _fit(points[0], points[1:], both, config, rng)
    failed, unsure = _failures(points[0], both, found, config)
    steps = _start(points, weights)
    steps.poses[1:], steps.inliers[1:] = found.fits.transforms, found.inliers
    steps.residuals[1:], steps.noise[1:] = found.fits.residuals, found.noise
    steps.failed = {step + 1: reason for step, reason in failed.items()}
    steps.unsure = frozenset(step + 1 for step in unsure)
    return steps


def _fit_adjacent(
    points: Array, weights: Array, config: FitConfig, rng: np.random.Generator
) -> Steps:
    """Fit every step to the one before and accumulate: points may come and go.

    A step that fails is skipped: the next is fitted to the last that did not.
    """
    both = weights[1:] * weights[:-1]
    found = _fit(points[:-1], points[1:], both, config, rng)
    failed, _ = _failures(points[:-1], both, found, config)
    steps = _start(points, weights)
    last = 0
    for step in range(1, len(points)):
        index, link, reason = step - 1, found, failed.get(step - 1)
        if last != step - 1:
            pair = weights[step : step + 1] * weights[last]
            link = _fit(points[last], points[step : step + 1], pair, config, rng)
            index, reason = 0, _failures(points[last], pair, link, config)[0].get(0)
        if reason is not None:
            steps.failed[step] = reason
            continue
        steps.poses[step] = link.fits.transforms[index] @ steps.poses[last]
        steps.inliers[step], steps.noise[step] = link.inliers[index], link.noise[index]
        steps.residuals[step] = link.fits.residuals[index]
        last = step
    return steps


def _start(points: Array, weights: Array) -> Steps:
    """Return steps of which the first is known: identity, no error."""
    num_steps = len(points)
    inliers = np.zeros(weights.shape, dtype=bool)
    inliers[0] = weights[0] > 0
    residuals = np.full(num_steps, np.inf)
    residuals[0] = 0.0
    return Steps(np.tile(np.eye(4), (num_steps, 1, 1)), inliers, residuals, np.zeros(num_steps))


def _failures(
    source: Array, weights: Array, found: Consensus, config: FitConfig
) -> tuple[dict[int, str], set[int]]:
    """Say which steps do not determine the motion, and why; and for which that is a turn."""
    seen, agree = np.count_nonzero(weights, axis=1), found.inliers.sum(axis=1)
    spread = _spread(source, weights)
    turn_error = _turn_errors(source, found)
    limit = np.radians(config.max_turn_error_degrees)
    # One test per line, for all steps, in the order in which they explain a failure.
    too_few = seen < config.min_points
    line = spread[:, 1] <= LINE**2 * spread[:, 2]
    lonely = agree < np.maximum(config.min_points, config.min_inlier_share * seen)
    loose = found.fits.residuals > config.max_residual
    unknown = ~found.fits.determined
    unsure = ~(turn_error < limit)
    reasons = {}
    for step in np.flatnonzero(too_few | line | lonely | loose | unknown | unsure):
        if too_few[step]:
            reason = f'{seen[step]} visible points, {config.min_points} are needed'
        elif line[step]:
            reason = f'its {seen[step]} points are on one line'
        elif lonely[step]:
            reason = f'only {agree[step]} of {seen[step]} points follow one rigid motion'
        elif unknown[step]:
            reason = f'its {agree[step]} agreeing points are on one line, or mirrored'
        elif loose[step]:
            reason = (
                f'the points are {found.fits.residuals[step]:.3f} m from any rigid motion, limit '
                f'{config.max_residual:.3f} m'
            )
        else:
            reason = (
                f'the rotation is uncertain by {np.degrees(turn_error[step]):.0f} degrees, limit '
                f'{config.max_turn_error_degrees:.0f}'
            )
        reasons[int(step)] = reason
    turns = (line | unknown | unsure) & ~too_few & ~lonely
    return reasons, set(np.flatnonzero(turns).tolist())


def _spread(source: Array, weights: Array) -> Array:
    """Return (T, 3) variances of weighted points along their axes, smallest first [m^2]."""
    w = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    if source.ndim == 2:
        center = w @ source
        products = (source[:, :, None] * source[:, None]).reshape(-1, 9)
        second = (w @ products).reshape(-1, 3, 3)
    else:
        center = np.einsum('tn,tnc->tc', w, source)
        second = (w[..., None] * source).swapaxes(1, 2) @ source
    return np.maximum(np.linalg.eigvalsh(second - center[:, :, None] * center[:, None]), 0.0)


def _turn_errors(source: Array, found: Consensus) -> Array:
    """Return (T,) standard errors of the rotation about the axis that is known worst [rad].

    About the longest axis of the points, whose spread across it holds the noise beside the shape.
    """
    spread = _spread(source, found.inliers.astype(np.float64))
    variance = np.where(found.fits.determined, found.noise, 1.0) ** 2
    across = spread[:, 0] + spread[:, 1] - NOISE_IN_SPREAD * variance
    information = found.inliers.sum(axis=1) * across
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(information > 0, np.sqrt(variance / information), np.inf)


def _is_refused(steps: Steps, config: FitConfig) -> bool:
    """Say whether interpolation would be invention."""
    last = len(steps.poses) - 1
    return last in steps.failed or len(steps.failed) > config.max_failed_share * last


def _refuse_if_unknown(steps: Steps, config: FitConfig) -> None:
    """Raise DegenerateFlowError where interpolation would be invention."""
    if not _is_refused(steps, config):
        return
    num_steps, failed = len(steps.poses), sorted(steps.failed)
    worst = failed[-1] if failed[-1] == num_steps - 1 else failed[0]
    raise DegenerateFlowError(
        f'at step {worst} of {num_steps} {steps.failed[worst]}; {len(failed)} of '
        f'{num_steps - 1} steps have no rigid motion, limit '
        f'{config.max_failed_share:.0%} and never the last'
    )


def _part(points: Array, steps: Steps, poses: Array, config: FitConfig) -> PartPoses:
    """Say what a joint has to explain, and how well.

    A rigid fit to n points with noise s moves them by 6 s^2 / n in the mean square. The noise is
    half the first step's and half the step's own; accumulated, it adds up to a drift.
    """
    weights = steps.inliers[1:].mean(axis=0)
    total = weights.sum()
    center = weights @ points / total
    away = points - center
    count = np.maximum(steps.inliers.sum(axis=1), 1)
    variance = np.where(steps.good, 6.0 * steps.noise**2 / count, 0.0)
    typical = variance[steps.good][1:].mean()
    first = config.mode == FIRST
    drift = 0.0 if first else typical * len(poses) / 2.0
    return PartPoses(
        poses=poses,
        center=center,
        scatter=(weights[:, None] * away).T @ away / total,
        noise=np.sqrt(0.5 * variance),
        shared=float(np.sqrt(0.5 * typical)) if first else 0.0,
        drift=float(np.sqrt(drift + config.systematic_error**2)),
        known=steps.good,
    )
