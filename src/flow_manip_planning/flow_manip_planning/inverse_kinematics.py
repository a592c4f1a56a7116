# SPDX-License-Identifier: Apache-2.0
"""Inverse kinematics for many poses at once, and continuation along a path.

Levenberg-Marquardt steps on the pose error (Wampler 1986; Nakamura and Hanafusa 1986) with the
analytic Jacobian; joints that a step would push through a limit are frozen for that step; the
redundant joint drifts towards a preferred configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.kinematics import Array, Chain, pose_errors

POSITION_TOLERANCE = 2e-4  # [m]
ROTATION_TOLERANCE = 1e-3  # [rad]
MAX_STEP = 0.35  # [rad] per iteration and joint: larger steps leave the linear range


@dataclass(frozen=True)
class IkResult:
    """Answers to B problems.

    Attributes:
        q: (B, J) configurations within the limits.
        position_error: (B,) [m].
        rotation_error: (B,) [rad].
    """

    q: Array
    position_error: Array
    rotation_error: Array

    @property
    def solved(self) -> NDArray[np.bool_]:
        """(B,) True where both errors are within the tolerances."""
        return (self.position_error < POSITION_TOLERANCE) & (
            self.rotation_error < ROTATION_TOLERANCE
        )


def damped_step(chain: Chain, q: Array, error: Array, jacobian: Array, preferred: Array) -> Array:
    """Return the (B, J) step that reduces (B, 6) pose errors and drifts towards `preferred`."""
    # Damping that shrinks with the error keeps convergence quadratic near the answer.
    damping = np.minimum(1e-2, 1e-6 + 0.02 * (error**2).sum(axis=-1))
    step = _solve_damped(jacobian, error, damping)
    # A joint at a limit that the step would push further cannot help: solve again without it.
    blocked = ((q + step < chain.lower) & (step < 0)) | ((q + step > chain.upper) & (step > 0))
    if blocked.any():
        free = np.where(blocked[:, None, :], 0.0, jacobian)
        retry = _solve_damped(free, error, damping)
        step = np.where(blocked.any(axis=-1, keepdims=True), retry, step)
        jacobian = free
    drift = preferred - q
    drift = drift - _solve_damped(jacobian, (jacobian @ drift[..., None])[..., 0], 1e-6)
    step = step + np.where(blocked, 0.0, 0.1 * drift)
    largest = np.abs(step).max(axis=-1, keepdims=True)
    return step * np.minimum(1.0, MAX_STEP / np.maximum(largest, 1e-12))


def _solve_damped(jacobian: Array, error: Array, damping: Array | float) -> Array:
    """Return J^T (J J^T + damping)^-1 e for (B, 6, J) Jacobians and (B, 6) errors."""
    regular = np.asarray(damping)[..., None, None] * np.eye(6)
    gram = jacobian @ jacobian.swapaxes(-1, -2) + regular
    return (jacobian.swapaxes(-1, -2) @ np.linalg.solve(gram, error[..., None]))[..., 0]


def solve_ik(
    chain: Chain,
    targets: Array,
    start: Array,
    preferred: Array | None = None,
    iterations: int = 40,
) -> IkResult:
    """Bring the tip to (B, 4, 4) targets from (B, J) starts.

    Args:
        chain: the arm.
        targets: (B, 4, 4) tip poses in the world.
        start: (B, J) first guesses; the answer is near them where the problem allows.
        preferred: (J,) or (B, J) where the redundancy should drift to; the start if left out.
        iterations: at most this many steps; solved problems stop earlier.

    Returns:
        the nearest found configurations, solved or not.
    """
    q = np.clip(start, chain.lower, chain.upper)
    preferred = np.broadcast_to(q if preferred is None else preferred, q.shape).copy()
    errors = np.empty((len(q), 6))
    active = np.arange(len(q))
    for iteration in range(iterations + 1):
        poses = chain.forward(q[active])
        error = pose_errors(targets[active], poses.tip)
        errors[active] = error
        going = (np.linalg.norm(error[:, :3], axis=1) > 0.2 * POSITION_TOLERANCE) | (
            np.linalg.norm(error[:, 3:], axis=1) > 0.2 * ROTATION_TOLERANCE
        )
        if iteration == iterations or not going.any():
            break
        jacobian = chain.jacobian(poses)[going]
        active = active[going]
        step = damped_step(chain, q[active], error[going], jacobian, preferred[active])
        q[active] = np.clip(q[active] + step, chain.lower, chain.upper)
    return IkResult(
        q, np.linalg.norm(errors[:, :3], axis=1), np.linalg.norm(errors[:, 3:], axis=1)
    )


def random_starts(chain: Chain, count: int, rng: np.random.Generator) -> Array:
    """Return (count, J) configurations spread over the middle 80 % of every joint's range."""
    middle, half = 0.5 * (chain.lower + chain.upper), 0.4 * (chain.upper - chain.lower)
    return middle + half * rng.uniform(-1.0, 1.0, (count, chain.num_joints))


def solve_ik_multistart(
    chain: Chain, targets: Array, seeds: Array, preferred: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Try every (S, J) seed for every (B, 4, 4) target.

    Returns:
        (B, S, J) configurations and (B, S) whether each is solved.
    """
    num_targets, num_seeds = len(targets), len(seeds)
    result = solve_ik(
        chain,
        np.repeat(targets, num_seeds, axis=0),
        np.tile(seeds, (num_targets, 1)),
        preferred,
    )
    return (
        result.q.reshape(num_targets, num_seeds, -1),
        result.solved.reshape(num_targets, num_seeds),
    )


def follow_poses(
    chain: Chain,
    targets: Array,
    start: Array,
    preferred: Array,
    iterations: int = 6,
    cancelled: Cancelled = never_cancelled,
) -> tuple[Array, NDArray[np.bool_]]:
    """Continue (B, J) configurations along (B, K, 4, 4) dense tip paths.

    Each step starts at the one before, so the arm never changes its posture on the way.

    Returns:
        (B, K, J) configurations and (B, K) whether each pose is met.

    Raises:
        CancelledError: `cancelled` said so.
    """
    num_paths, num_steps = targets.shape[:2]
    q = np.empty((num_paths, num_steps, chain.num_joints))
    solved = np.zeros((num_paths, num_steps), dtype=bool)
    current = start
    for step in range(num_steps):
        stop_if(cancelled)
        result = solve_ik(chain, targets[:, step], current, preferred, iterations)
        current = result.q
        q[:, step], solved[:, step] = result.q, result.solved
    return q, solved
