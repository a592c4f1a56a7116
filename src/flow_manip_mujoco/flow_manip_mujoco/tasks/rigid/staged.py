# SPDX-License-Identifier: Apache-2.0
"""Smooth motions from overlapping parts: shifts of a guided point and turns about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.transforms import transform_points
from flow_manip_mujoco.tasks.motions import minimum_jerk
from flow_manip_mujoco.tasks.task import ReferenceMotion

Vector = NDArray[np.float64]

_PERIOD = 0.125  # [s] between poses
_ALONG = np.ones(3)


@dataclass(frozen=True)
class Move:
    """A part of a motion; parts may overlap in time and add up.

    Attributes:
        during: begin and end [s].
        shift: (3,) of the guided point, in the world; 0 is none [m].
        turn: (3,) rotation vector in the world, applied after those of earlier moves; 0 is none
            [rad].
    """

    during: tuple[float, float]
    shift: Vector | float = 0.0
    turn: Vector | float = 0.0


def staged_motion(
    start: NDArray[np.float64],
    moves: Sequence[Move],
    guide: Vector,
    contact: Vector | None = None,
) -> ReferenceMotion:
    """Add up minimum-jerk moves: at rest at both ends, no corner overshoots.

    Args:
        start: (4, 4) T_world_body now.
        moves: in the order in which their turns follow each other.
        guide: (3,) point of the body that shifts act on and turns leave where it is [m].
        contact: (3,) where to hold the body, in the world [m].
    """
    duration = max(move.during[1] for move in moves)
    times = np.linspace(0.0, duration, int(np.ceil(duration / _PERIOD)) + 1)
    points = np.tile(transform_points(start, guide), (len(times), 1))
    turns = Rotation.identity(len(times))
    for move in moves:
        begin, end = move.during
        share = minimum_jerk(np.clip((times - begin) / (end - begin), 0.0, 1.0))
        points = points + share[:, None] * (move.shift * _ALONG)
        turns = Rotation.from_rotvec(share[:, None] * (move.turn * _ALONG)) * turns
    poses = np.tile(np.eye(4), (len(times), 1, 1))
    poses[:, :3, :3] = turns.as_matrix() @ start[:3, :3]
    poses[:, :3, 3] = points - poses[:, :3, :3] @ guide
    return ReferenceMotion(times, poses, contact)
