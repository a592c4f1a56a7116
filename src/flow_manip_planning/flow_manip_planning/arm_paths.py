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
from flow_manip_planning.kinematics import Array, Chain, rotation_matrices

LINE_STEP = 0.01  # [m] of straight approach and retreat
SAME_POSTURE = 0.4  # [rad] largest joint difference of configurations that count as one
POSTURES_PER_GRASP = 3
MAX_JOINT_STEP = 0.35  # [rad] between two steps; more is a jump to another posture
ALONG_AXIS = 0.9  # cosine between a hinge and the bar that the fingers hold
# What a way is worth beside its grasp's 0..1: room at the limits and from singularities.
MARGIN_WORTH, MARGIN_ENOUGH = 0.3, 0.5  # [1/rad, rad]
DEXTERITY_WORTH, DEXTERITY_ENOUGH = 0.15, 0.06  # Yoshikawa's measure, in SI units
TRAVEL_COST = 0.05  # [1/rad]
PIVOT_COST = 0.2


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
        pivots: the hand turns less than the part it holds, about the bar between its fingers.
    """

    grasp: Grasp
    approach: Array
    follow: Array
    retreat: Array
    hand: Array
    margin: float
    score: float
    pivots: bool = False


@dataclass(frozen=True)
class Pivot:
    """A hinged part whose bar may turn between the fingers: the hand need not turn as far.

    Attributes:
        axis: (3,) of the hinge, unit.
        angles: (K,) of the part along its path [rad].
        shares: of the angles that the hand may turn by, beside all of them.
    """

    axis: Array
    angles: Array
    shares: tuple[float, ...] = (0.7, 0.4, 0.1)


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
        pivot: of a hinged part; None where the hand turns as its object does.
    """

    object_path: Array
    approach_distance: float
    retreat_distance: float
    limit_margin: float
    seeds: Array
    home: Array
    workspace: WorkspaceConfig
    cancelled: Cancelled = never_cancelled
    pivot: Pivot | None = None


def arm_paths(
    chain: Chain, grasps: Sequence[Grasp], request: Request, rejections: Counter[str]
) -> list[ArmPath]:
    """Return every reachable way, best first; count in `rejections` why a grasp has none."""
    owner, hands, pivots = _hand_paths(grasps, request)
    inside = request.workspace.contains(hands[:, :, :3, 3]).all(axis=1)
    poses = np.array([grasp.T_world_tcp for grasp in grasps])
    q, solved = solve_ik_multistart(chain, poses, request.seeds, request.home)
    _, end_solved = solve_ik_multistart(chain, hands[:, -1], request.seeds, request.home)
    pairs, failed = [], {}
    for index, grasp_index in enumerate(owner):
        if not inside[index]:
            failed.setdefault(int(grasp_index), 'outside the workspace')
        elif not solved[grasp_index].any():
            failed.setdefault(int(grasp_index), 'grasp out of reach')
        elif not end_solved[index].any():
            failed.setdefault(int(grasp_index), 'end of the flow out of reach')
        else:
            chosen = _postures(q[grasp_index], solved[grasp_index], request.home)
            pairs += [(index, s) for s in chosen]
    found = []
    if pairs:
        which = np.array([index for index, _ in pairs])
        start = np.array([q[owner[index], s] for index, s in pairs])
        ways = _Ways(owner[which], start, hands[which], pivots[which])
        found = _extend(chain, grasps, ways, request, failed)
    reached = {id(path.grasp) for path in found}
    for index, reason in failed.items():
        if id(grasps[index]) not in reached:
            rejections[reason] += 1
    return found


@dataclass(frozen=True)
class _Ways:
    """Hand paths to solve from B starts.

    Attributes:
        owner: (B,) index of the grasp.
        start: (B, J) configurations that hold it.
        hands: (B, K, 4, 4) along the flow.
        pivots: (B,) whether the part turns between the fingers.
    """

    owner: Array
    start: Array
    hands: Array
    pivots: Array


def _hand_paths(grasps: Sequence[Grasp], request: Request) -> tuple[Array, Array, Array]:
    """Return owners (V,), hand paths (V, K, 4, 4) and whether they pivot (V,).

    Every grasp goes as the object does. One that holds a bar along the hinge may also let it turn
    between the fingers.
    """
    poses = np.array([grasp.T_world_tcp for grasp in grasps])
    hands = request.object_path[None] @ poses[:, None]
    owners, paths = [np.arange(len(grasps))], [hands]
    if request.pivot is not None:
        along = np.flatnonzero(np.abs(poses[:, :3, 0] @ request.pivot.axis) > ALONG_AXIS)
        for share in request.pivot.shares:
            turns = rotation_matrices(
                request.pivot.axis[None], share * request.pivot.angles[:, None]
            )
            path = hands[along].copy()
            path[..., :3, :3] = turns[None, :, 0] @ poses[along, None, :3, :3]
            owners.append(along)
            paths.append(path)
    owner = np.concatenate(owners)
    return owner, np.concatenate(paths), np.arange(len(owner)) >= len(grasps)


def _extend(
    chain: Chain,
    grasps: Sequence[Grasp],
    ways: _Ways,
    request: Request,
    failed: dict[int, str],
) -> list[ArmPath]:
    """Continue from the grasp backwards to pre-grasp and forwards to the end of the retreat.

    Args:
        chain: the arm.
        grasps: all.
        ways: what to solve.
        request: what an arm path must do.
        failed: gets the first reason for each grasp.

    Returns:
        the ways that work, best first.
    """
    start, hands = ways.start, ways.hands
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
    found = []
    for i, grasp_index in enumerate(ways.owner):
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
        grasp = grasps[grasp_index]
        travel = float(np.abs(start[i] - request.home).max())
        score = _worth(grasp, margin, float(chain.manipulability(whole).min()), travel)
        approach = np.concatenate([back[i, ::-1], start[i : i + 1]])
        retreat = (
            np.concatenate([follow[i, -1:], away[i]])
            if len(away[i])
            else np.empty((0, start.shape[1]))
        )
        pivots = bool(ways.pivots[i])
        score -= PIVOT_COST * pivots
        found.append(ArmPath(grasp, approach, follow[i], retreat, hands[i], margin, score, pivots))
    return sorted(found, key=lambda path: -path.score)


def _worth(grasp: Grasp, margin: float, manipulability: float, travel: float) -> float:
    """Return what a way is worth: a good grasp, room at limits and singularities, a short way.

    Args:
        grasp: with its score.
        margin: smallest distance to a joint limit [rad].
        manipulability: smallest on the way (Yoshikawa 1985).
        travel: of the busiest joint from home to the grasp [rad].
    """
    room = MARGIN_WORTH * min(margin, MARGIN_ENOUGH)
    dexterity = DEXTERITY_WORTH * min(manipulability / DEXTERITY_ENOUGH, 1.0)
    return grasp.score + room + dexterity - TRAVEL_COST * travel


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
