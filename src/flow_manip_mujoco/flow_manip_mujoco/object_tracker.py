# SPDX-License-Identifier: Apache-2.0
"""A tracker of one body that knows the truth, made as imperfect as a real one on request."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.tracking import TrackedPose
from flow_manip_mujoco.cell import SimulatedCell


@dataclass(frozen=True)
class TrackerConfig:
    """How a simulated tracker differs from the truth.

    Attributes:
        rate: poses per simulated second [Hz].
        latency: from the moment itself to the answer [s].
        noise_metres: standard deviation per axis and pose [m].
        noise_degrees: standard deviation of the turn about each axis.
        dropout: share of poses that never come.
        seed: of noise and drop-outs.
    """

    rate: float = 30.0
    latency: float = 0.0
    noise_metres: float = 0.0
    noise_degrees: float = 0.0
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no tracker."""
        levels = (self.latency, self.noise_metres, self.noise_degrees)
        if self.rate <= 0 or min(levels) < 0 or not 0 <= self.dropout <= 1:
            raise ConfigurationError(f'{self} is not a tracker')


class SimulatedTracker:
    """Says where a body of a `SimulatedCell` is, as `ObjectTracker` asks.

    It looks at the cell when it is asked, at most `rate` times a second, and answers with the
    newest pose that is at least `latency` old.
    """

    def __init__(
        self, cell: SimulatedCell, body: str, config: TrackerConfig | None = None
    ) -> None:
        """Track one body.

        Args:
            cell: where it is.
            body: an object or a part of a fixture.
            config: imperfections; none if left out.

        Raises:
            InvalidInputError: there is no such body.
        """
        self._cell, self.body = cell, body
        self._config = config or TrackerConfig()
        self._rng = np.random.default_rng([self._config.seed, *body.encode()])
        self._seen: deque[TrackedPose] = deque()
        self._due = -np.inf
        cell.body_pose(body)

    def pose(self, now: float) -> TrackedPose | None:
        """Return the newest pose that has arrived by `now` [s], None if none has."""
        if now >= self._due - 1e-9:
            self._due = now + 1.0 / self._config.rate
            if self._rng.random() >= self._config.dropout:
                self._seen.append(
                    TrackedPose(now, self._disturbed(self._cell.body_pose(self.body)))
                )
        arrived = now - self._config.latency + 1e-9
        while len(self._seen) > 1 and self._seen[1].stamp <= arrived:
            self._seen.popleft()
        return self._seen[0] if self._seen and self._seen[0].stamp <= arrived else None

    def _disturbed(self, pose: NDArray[np.float64]) -> NDArray[np.float64]:
        config = self._config
        turn = np.radians(config.noise_degrees) * self._rng.normal(size=3)
        pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ pose[:3, :3]
        pose[:3, 3] += config.noise_metres * self._rng.normal(size=3)
        return pose
