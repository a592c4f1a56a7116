# SPDX-License-Identifier: Apache-2.0
"""How far the hand may be pushed off its way by what it holds.

A hand on a handle goes along the arc that the joint allows, not exactly along the one that was
planned: a few millimetres and degrees of it are the arm's compliance at work. More means that the
joint is not where it was thought to be, is locked, or that something is in the way, and pulling
on would break it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from flow_manip_control.progress import LEVER, SegmentProgress, TcpPose
from flow_manip_core.errors import ConfigurationError, ToleranceViolatedError
from flow_manip_core.transforms import transform_distance

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ComplianceConfig:
    """Bounds of the tool centre point's distance from its way while it holds something.

    Attributes:
        max_metres: [m].
        max_degrees: [degrees].
        max_lag: how long the hand may be behind its time before that counts as distance [s].
    """

    max_metres: float = 0.02
    max_degrees: float = 10.0
    max_lag: float = 0.5

    def __post_init__(self) -> None:
        """Refuse bounds that nothing meets."""
        if min(self.max_metres, self.max_degrees, self.max_lag) <= 0:
            raise ConfigurationError(f'{self} has a bound that is not positive')


class HandWatch:
    """Watches the hand along one segment that holds something."""

    def __init__(
        self,
        config: ComplianceConfig,
        progress: SegmentProgress,
        tcp_pose: TcpPose,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Start with the segment.

        Args:
            config: bounds.
            progress: of the segment.
            tcp_pose: (J,) joints to (4, 4) T_world_tcp.
            clock: by which the trajectory runs; None: the hand may lag as it likes.
        """
        self._config, self._progress, self._tcp_pose = config, progress, tcp_pose
        self._clock = clock
        self._begun = clock() if clock is not None else 0.0

    def look(self, name: str, joints: Array) -> ToleranceViolatedError | None:
        """Return what is wrong with the hand at (J,) measured joints [rad]."""
        tcp = self._tcp_pose(joints)
        first = 0
        if self._clock is not None:
            due = self._clock() - self._begun - self._config.max_lag
            last = len(self._progress.times) - 1
            first = min(int(np.searchsorted(self._progress.times, due)), last)
        index = first + _nearest(tcp, self._progress.tcp[first:])
        metres, angle = transform_distance(tcp, self._progress.tcp[index])
        degrees = math.degrees(angle)
        config = self._config
        if metres <= config.max_metres and degrees <= config.max_degrees:
            return None
        return ToleranceViolatedError(
            f"during '{name}' the hand is {metres * 1000:.1f} mm and {degrees:.1f} degrees off "
            f'its way at {self._progress.times[index]:.2f} s; what it holds may push it by '
            f'{config.max_metres * 1000:.1f} mm and {config.max_degrees:.1f} degrees'
        )


def _nearest(pose: Array, way: Array) -> int:
    """Return which of (K, 4, 4) poses is nearest to a pose."""
    moved = np.linalg.norm(way[:, :3, 3] - pose[:3, 3], axis=1)
    turned = np.linalg.norm(way[:, :3, :3] - pose[:3, :3], axis=(1, 2)) / np.sqrt(2.0)
    return int((moved + LEVER * turned).argmin())
