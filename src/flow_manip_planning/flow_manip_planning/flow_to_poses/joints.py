# SPDX-License-Identifier: Apache-2.0
"""Hinges and slides from the poses of a part, and whether there is one.

Models are compared as in Sturm, Stachniss and Burgard 2011 ("A probabilistic framework for
learning kinematic models of articulated objects"): each explains the fitted poses up to errors of
known size, and the Bayesian information criterion (Schwarz 1978) charges for its parameters. A
joint pays for one number per step. Free motion pays for six per step, or for fewer where it leaves
the joint in a slow bow: what a carried object does that goes nearly straight or nearly round.

Errors are not independent from step to step: the first step's noise is in all of them, and tracks
drift. So misfits are judged by frequency (cosine transform), with the spectrum that such errors
have: fast ones against the noise of the points and the jitter that all of them share, slow ones
against the drift.

Motion alone cannot tell a straight lift from a slide, nor an object that is turned in the air from
a hinge: `Joint` means that the motion is that of a joint. Whether something guides the object is
for those who see the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.optimize import least_squares

from flow_manip_planning.flow_to_poses.motion import (
    Array,
    FREE,
    Joint,
    joint_poses,
    PRISMATIC,
    REVOLUTE,
)
from flow_manip_planning.flow_to_poses.settings import FitConfig
from flow_manip_planning.flow_to_poses.smoothing import about
from flow_manip_planning.kinematics import rotation_vectors

MIN_TURN = np.radians(5.0)  # less is within what tracking gets wrong
ITERATIONS = 12
TELLING_STEPS = 12  # from which fast errors can be told from slow ones
MAX_JITTER = 0.005  # [m] of all points together; more is motion
DRIFT_LENGTH = 0.25  # of the flow: errors farther apart in time are independent


@dataclass(frozen=True)
class PartPoses:
    """Fitted poses of a part, to be explained by a joint.

    Attributes:
        poses: (T, 4, 4) T_world_start, the first identity.
        center: (3,) middle of its points at the start [m].
        scatter: (3, 3) mean square of its points about the middle [m^2].
        noise: (T,) how far a pose is off, independently, root mean square over the points [m].
        shared: how far all poses after the first are off together [m].
        drift: slow error of the poses [m].
        known: (T,) False where a pose is not from points.
    """

    poses: Array
    center: Array
    scatter: Array
    noise: Array
    shared: float
    drift: float
    known: NDArray[np.bool_]

    def lever(self, joint: Joint) -> float:
        """Return how far the points move per unit of a joint, root mean square [m] or 1."""
        if joint.kind == PRISMATIC:
            return 1.0
        away = joint.point - self.center
        across = np.trace(self.scatter) - joint.axis @ self.scatter @ joint.axis
        return float(np.sqrt(away @ away + across))

    @property
    def errors(self) -> Array:
        """(T,) how far a pose is off in all [m]."""
        return np.sqrt(self.noise**2 + self.shared**2 + self.drift**2)

    @property
    def spectrum(self) -> Array:
        """Variances of the cosine coefficients of the errors of the known steps after the first.

        White noise, an offset that all share, and a first-order autoregressive drift [m^2].
        """
        count = int(self.known.sum()) - 1
        decay = np.exp(-1.0 / max(DRIFT_LENGTH * count, 1.0))
        drift = (1 - decay**2) / (
            1 - 2 * decay * np.cos(np.pi * np.arange(count) / count) + decay**2
        )
        variance = (self.noise[self.known][1:] ** 2).mean() + self.drift**2 * drift
        variance[0] += count * self.shared**2
        return variance

    def offsets(self, explained: Array) -> Array:
        """Return (T, 12) whose squares sum to the mean squared distance of the points.

        Args:
            explained: (T, 4, 4) poses to compare with.
        """
        away = about(self.poses, self.center) - about(explained, self.center)
        values, vectors = np.linalg.eigh(self.scatter)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        turned = (away[:, :3, :3] @ root).reshape(len(away), 9)
        return np.concatenate([turned, away[:, :3, 3]], axis=1)


@dataclass(frozen=True)
class JointFit:
    """A joint that explains a part's poses as well as one of its kind can.

    Attributes:
        joint: kind, axis, point, range and residual.
        values: (T,) of the joint since the start [rad or m].
        criterion: Bayesian information criterion, smaller is better.
        deviation: the same for this joint with the best slow deviation from it.
    """

    joint: Joint
    values: Array
    criterion: float
    deviation: float


def choose_joint(part: PartPoses, config: FitConfig) -> tuple[JointFit | None, dict[str, float]]:
    """Return the joint that the evidence is for, None for free motion; and the evidence."""
    slide, hinge = fit_prismatic(part), fit_revolute(part)
    fits = [fit for fit in (slide, hinge) if fit is not None]
    observations = 6 * (int(part.known.sum()) - 1)
    free = observations * np.log(max(observations, 2))
    evidence = {FREE: float(min([free, *(fit.deviation for fit in fits)]))}
    evidence |= {fit.joint.kind: fit.criterion for fit in fits}
    best, needed = None, evidence[FREE] - config.joint_evidence
    for fit in fits:
        # The slide comes first: a hinge with a distant axis must be better, not as good.
        if fit.criterion < needed and _moves(fit.joint, part, config):
            best, needed = fit, fit.criterion - config.joint_evidence
    return best, evidence


def fit_prismatic(part: PartPoses) -> JointFit | None:
    """Fit a slide: the main direction of the middle's way, without turning.

    Returns:
        None if nothing moves.
    """
    moved = about(part.poses, part.center)[:, :3, 3] - part.center
    weighted = np.where(part.known[:, None], moved, 0.0) / part.errors[:, None]
    _, spread, directions = np.linalg.svd(weighted, full_matrices=False)
    if not spread[0] > 0:
        return None
    return _joint_fit(part, PRISMATIC, directions[0], np.zeros(3), moved @ directions[0], 2)


def fit_revolute(part: PartPoses) -> JointFit | None:
    """Fit a hinge: least squares on axis and point, the angles follow from them.

    Returns:
        None if nothing turns.
    """
    rotations = part.poses[part.known][:, :3, :3]
    moved = about(part.poses[part.known], part.center)[:, :3, 3] - part.center
    turns = rotation_vectors(rotations)
    if np.linalg.norm(turns, axis=1).max() < MIN_TURN:
        return None
    axis = np.linalg.eigh(turns.T @ turns)[1][:, 2]
    # A point of the hinge stays: (I - R) p = u, in which p along the axis does not matter.
    lever = (np.eye(3) - rotations).reshape(-1, 3)
    point = np.linalg.lstsq(lever, moved.ravel(), rcond=1e-3)[0]
    side = np.linalg.svd(axis[None])[2][1:]

    def hinge(x: Array) -> tuple[Array, Array]:
        direction = axis + x[:2] @ side
        direction = direction / np.linalg.norm(direction)
        at = point + x[2:] @ side
        return direction, at - (at @ direction) * direction

    def errors(x: Array) -> Array:
        direction, at = hinge(x)
        angles = _angles(part, direction, at)
        explained = joint_poses(REVOLUTE, direction, part.center + at, angles)
        scaled = part.offsets(explained) / part.errors[:, None]
        return scaled[part.known].ravel()

    solution = least_squares(errors, np.zeros(4), x_scale='jac', ftol=1e-7, max_nfev=ITERATIONS)
    direction, at = hinge(solution.x)
    return _joint_fit(part, REVOLUTE, direction, at, _angles(part, direction, at), 4)


def _angles(part: PartPoses, axis: Array, point: Array) -> Array:
    """Return the (T,) angles about a hinge that explain the poses best.

    Args:
        part: the poses.
        axis: (3,) unit.
        point: (3,) on the axis, from the part's middle.
    """
    rotations = part.poses[:, :3, :3]
    moved = about(part.poses, part.center)[:, :3, 3] - part.center
    # Mean of (where a point went)(where it was)^T, both from the hinge.
    products = rotations @ part.scatter - (moved - point)[:, :, None] * point
    skew = np.stack(
        [
            products[:, 2, 1] - products[:, 1, 2],
            products[:, 0, 2] - products[:, 2, 0],
            products[:, 1, 0] - products[:, 0, 1],
        ],
        axis=1,
    )
    cosine = np.trace(products, axis1=1, axis2=2) - np.einsum('i,tij,j->t', axis, products, axis)
    return np.unwrap(np.arctan2(skew @ axis, cosine))


def _joint_fit(
    part: PartPoses, kind: str, axis: Array, point: Array, values: Array, num_parameters: int
) -> JointFit:
    """Put a fit together; the axis is turned so that the motion ends at a positive value."""
    values = values - values[0]
    if values[part.known].sum() < 0:
        axis, values = -axis, -values
    poses = joint_poses(kind, axis, part.center + point, values)
    squared = (part.offsets(poses)[part.known] ** 2).sum(axis=1)
    known = values[part.known]
    joint = Joint(
        kind=kind,
        axis=axis,
        point=part.center + point,
        range=(float(known.min()), float(known.max())),
        residual=float(np.sqrt(squared.mean())),
    )
    criterion, deviation = _criteria(part, poses, num_parameters)
    return JointFit(joint, values, criterion, deviation)


def _criteria(part: PartPoses, explained: Array, num_parameters: int) -> tuple[float, float]:
    """Return the Bayesian information criterion of a joint, and with the best slow deviation.

    Six observations per step after the first, which is identity whatever the model; the joint has
    its parameters and a value per step. A deviation has six parameters per frequency.
    """
    away = part.offsets(explained)[part.known][1:]
    power = (dct(away, axis=0, norm='ortho') ** 2).sum(axis=1)
    misfits = 6.0 * power / (part.spectrum + _jitter(power, part.spectrum))
    price = np.log(max(6 * len(away), 2))
    joint = misfits.sum() + (num_parameters + len(away)) * price
    gains = np.cumsum(misfits - 6.0 * price)
    return float(joint), float(joint - gains.max())


def _jitter(power: Array, spectrum: Array) -> float:
    """Return the variance of what is left at the fast half of the frequencies [m^2].

    Depth that errs anew in each image, and trackers that fit a thing as a whole, shake all points
    alike: the scatter among them does not show it, only time does. Free motion leaves a joint
    slowly and is not seen up there.

    Args:
        power: (K,) squared cosine coefficients of the misfit [m^2].
        spectrum: (K,) what they should be by the points' own scatter [m^2].
    """
    if len(power) < TELLING_STEPS:
        return 0.0
    fast = len(power) // 2
    return float(np.clip((power - spectrum)[fast:].mean(), 0.0, MAX_JITTER**2))


def _moves(joint: Joint, part: PartPoses, config: FitConfig) -> bool:
    """Say whether a joint moved far enough to be seen, about an axis that may be there."""
    travel = joint.range[1] - joint.range[0]
    if joint.kind == PRISMATIC:
        return travel >= config.min_joint_travel
    return (
        travel >= MIN_TURN
        and travel * part.lever(joint) >= config.min_joint_travel
        and float(np.linalg.norm(joint.point - part.center)) <= config.max_joint_radius
    )
