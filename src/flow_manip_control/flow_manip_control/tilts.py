# SPDX-License-Identifier: Apache-2.0
"""Was an object tilted as far as its flow says before it comes upright again, as in pouring?

A tilt that falls short leaves no trace at the end, where the object is looked at again: it has to
be noticed on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.plan import Plan

Array = NDArray[np.float64]

LEAST = float(np.radians(20.0))  # smaller tilts that are undone are part of carrying
NEAR = float(np.radians(5.0))  # this far from the largest tilt it is held


def tilt_of(poses: Array) -> Array:
    """Return (...) by how much (..., 4, 4) motions tilt what was upright before [rad]."""
    return np.arccos(np.clip(poses[..., 2, 2], -1.0, 1.0))


@dataclass
class TiltWatch:
    """The largest tilt of a flow that it undoes again, and what of it was seen.

    Attributes:
        wanted: by the flow [rad].
        begin, end: seconds of the flow between which it is about that.
        reached: the largest tilt that was seen then; None if nothing was [rad].
    """

    wanted: float
    begin: float
    end: float
    reached: float | None = None

    @classmethod
    def of(cls, plan: Plan) -> TiltWatch | None:
        """Find the tilt; None where a plan has none that it undoes."""
        tilts = tilt_of(np.asarray(plan.object_poses))
        if len(tilts) < 3 or tilts.max() - tilts[-1] < LEAST:
            return None
        held = np.flatnonzero(tilts > tilts.max() - NEAR)
        return cls(float(tilts.max()), float(plan.times[held[0]]), float(plan.times[held[-1]]))

    def note(self, seconds: float, motion: Array) -> None:
        """Take the (4, 4) motion since the grasp that was seen at a second of the flow."""
        if self.begin <= seconds <= self.end:
            self.reached = max(self.reached or 0.0, float(tilt_of(motion)))

    def fell_short(self, seconds: float, share: float) -> str:
        """Say, once it is over, how far short of a share of the tilt it fell; '' if it did not."""
        if seconds <= self.end or self.reached is None or self.reached >= share * self.wanted:
            return ''
        return (
            f'was tilted by {np.degrees(self.reached):.0f} degrees where its flow tilts it by '
            f'{np.degrees(self.wanted):.0f}; the limit is {np.degrees(share * self.wanted):.0f}'
        )
