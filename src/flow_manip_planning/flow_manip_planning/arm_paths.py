# SPDX-License-Identifier: Apache-2.0
"""Joint paths for all grasp candidates at once: to the grasp, along the flow, and away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flow_manip_core.plan import Grasp
from flow_manip_core.robot import WorkspaceConfig
from flow_manip_core.transforms import make_transform
from flow_manip_planning.cancelling import Cancelled, never_cancelled
from flow_manip_planning.inverse_kinematics import follow_poses, solve_ik_multistart
from flow_manip_planning.kinematics import Array, Chain

LINE_STEP = 0.01  # [m] of straight approach and retreat
SAME_POSTURE = 0.4  # [rad] largest joint difference of configurations that count as one
POSTURES_PER_GRASP = 3
MAX_JOINT_STEP = 0.35  # [rad] between two steps; more is a jump to another posture


@dataclass(frozen=True)
class ArmPath:
    """The arm's way with one grasp in one posture.

    Attributes:
        grasp: what it holds the object by.
        approach: (A, J) straight from pre-grasp to grasp.
        follow: (K, J) along the flow, from the grasp.
        retreat: (R, J) straight back, from the end of the flow; empty if the object is not
            released.
        hand: (K, 4, 4) hand poses along the flow.
        margin: smallest distance to a joint limit on the whole way [rad].
        score: of grasp and posture, larger is better.
    """

    grasp: Grasp
    approach: Array
    follow: Array
    retreat: Array
    hand: Array
    margin: float
    score: float


@dataclass(frozen=True)
class Request:
    """What an arm path must do.

    Attributes:
        object_path: (K, 4, 4) poses of the object since its start.
        approach_distance: [m].
        retreat_distance: [m]; 0 without a release.
        limit_margin: to keep from joint limits [rad].
        seeds: (S, J) where inverse kinematics starts.
        home: (J,) preferred posture.
        workspace: the box that the hand stays in.
        cancelled: polled at every step.
    """

    object_path: Array
    approach_distance: float
    retreat_distance: float
    limit_margin: float
    seeds: Array
    home: Array
    workspace: WorkspaceConfig
    cancelled: Cancelled = never_cancelled


def arm_paths(
    chain: Chain, grasps: Sequence[Grasp], request: Request, rejections: Counter[str]
) -> list[ArmPath]:
    """Return every reachable way, best first; count in `rejections` why a grasp has none."""
    poses = np.array([grasp.T_world_tcp for grasp in grasps])
    hands = request.object_path[None] @ poses[:, None]
    inside = request.workspace.contains(hands[:, :, :3, 3]).all(axis=1)
    q, solved = solve_ik_multistart(chain, poses, request.seeds, request.home)
    _, end_solved = solve_ik_multistart(chain, hands[:, -1], request.seeds, request.home)
    pairs = []
    for index in range(len(grasps)):
        if not inside[index]:
            rejections['outside the workspace'] += 1
        elif not solved[index].any():
            rejections['grasp out of reach'] += 1
        elif not end_solved[index].any():
            rejections['end of the flow out of reach'] += 1
        else:
            pairs += [(index, s) for s in _postures(q[index], solved[index], request.home)]
    if not pairs:
        return []
    which = np.array([index for index, _ in pairs])
    start = np.array([q[pair] for pair in pairs])
    return _extend(chain, grasps, which, start, hands[which], request, rejections)


def _extend(
    chain: Chain,
    grasps: Sequence[Grasp],
    which: Array,
    start: Array,
    hands: Array,
    request: Request,
    rejections: Counter[str],
) -> list[ArmPath]:
    """Continue from the grasp backwards to pre-grasp and forwards to the end of the retreat."""
    middle = 0.5 * (chain.lower + chain.upper)
    preferred = 0.8 * start + 0.2 * middle
    back, back_solved = _line(chain, hands[:, 0], start, preferred, request.approach_distance)
    follow, follow_solved = follow_poses(
        chain, hands[:, 1:], start, preferred, cancelled=request.cancelled
    )
    follow = np.concatenate([start[:, None], follow], axis=1)
    away, away_solved = _line(
        chain, hands[:, -1], follow[:, -1], preferred, request.retreat_distance
    )
    found, failed, reached = [], {}, set()
    for i, grasp_index in enumerate(which):
        reason = None
        whole = np.concatenate([back[i], follow[i], away[i]])
        steps = [np.abs(np.diff(part, axis=0)).max(initial=0.0) for part in (follow[i], away[i])]
        margin = float(chain.limit_margin(whole).min())
        if not back_solved[i].all():
            reason = 'approach out of reach'
        elif not follow_solved[i].all():
            reason = 'flow out of reach'
        elif not away_solved[i].all():
            reason = 'retreat out of reach'
        elif margin < request.limit_margin:
            reason = 'joint limit'
        elif max(steps) > MAX_JOINT_STEP:
            reason = 'posture jumps'
        if reason is not None:
            failed.setdefault(int(grasp_index), reason)
            continue
        reached.add(int(grasp_index))
        grasp = grasps[grasp_index]
        travel = float(np.abs(start[i] - request.home).max())
        # A good grasp comes first; room at the limits and a short way decide between postures.
        score = grasp.score + 0.3 * min(margin, 0.5) - 0.05 * travel
        approach = np.concatenate([back[i, ::-1], start[i : i + 1]])
        retreat = (
            np.concatenate([follow[i, -1:], away[i]])
            if len(away[i])
            else np.empty((0, start.shape[1]))
        )
        found.append(ArmPath(grasp, approach, follow[i], retreat, hands[i], margin, score))
    for index, reason in failed.items():
        if index not in reached:
            rejections[reason] += 1
    return sorted(found, key=lambda path: -path.score)


def _line(
    chain: Chain, hand: Array, start: Array, preferred: Array, distance: float
) -> tuple[Array, Array]:
    """Follow (B, 4, 4) hand poses straight back along their approach for `distance`."""
    count = int(np.ceil(distance / LINE_STEP))
    if count == 0:
        return np.empty((len(start), 0, start.shape[1])), np.ones((len(start), 0), dtype=bool)
    offsets = np.array(
        [make_transform([0, 0, -d]) for d in np.linspace(0, distance, count + 1)[1:]]
    )
    return follow_poses(chain, hand[:, None] @ offsets[None], start, preferred)


def _postures(q: Array, solved: Array, home: Array) -> list[int]:
    """Pick distinct solved postures, nearest to home first."""
    kept: list[int] = []
    for index in np.argsort(np.abs(q - home).max(axis=1)):
        if solved[index] and all(np.abs(q[index] - q[k]).max() > SAME_POSTURE for k in kept):
            kept.append(int(index))
        if len(kept) == POSTURES_PER_GRASP:
            break
    return kept
