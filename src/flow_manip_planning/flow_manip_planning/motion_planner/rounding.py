# SPDX-License-Identifier: Apache-2.0
"""Rounding the corners of a way, so that it can be driven without a stop at each."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from flow_manip_core.errors import NoPathError
from flow_manip_planning.collision_world import CollisionWorld, STEP
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.escape import describe, first_worse
from flow_manip_planning.timing import corner_spline

DEVIATIONS = (0.4, 0.15, 0.05, 0.015)  # [rad] from the corners, largest first


def round_corners(corners: Array, world: CollisionWorld, width: float) -> BSpline:
    """Round (K, J) corners as far as nothing is hit.

    Returns:
        a twice differentiable curve over 0..1 with the same ends.

    Raises:
        NoPathError: even the tightest rounding hits something; names what.
    """
    length = float(np.abs(np.diff(corners, axis=0)).max(axis=1).sum())
    at = np.linspace(0, 1, max(20, int(length / STEP)))
    for deviation in DEVIATIONS:
        spline = corner_spline(corners, deviation)
        checks = spline(at)
        worse = first_worse(world, checks, width)
        if worse is None:
            return spline
    raise NoPathError(
        f'the free motion collides when its corners are rounded, even by {DEVIATIONS[-1]} rad, '
        f'{worse} of {len(at)} steps on its way: {describe(world, checks[worse], width)}'
    )
