# SPDX-License-Identifier: Apache-2.0
"""Parameters of the fit from flow to poses."""

from __future__ import annotations

from dataclasses import dataclass

from flow_manip_core.errors import ConfigurationError
from flow_manip_planning.documented import documented as _doc

FIRST, ADJACENT = 'first', 'adjacent'


@dataclass(frozen=True)
class FitConfig:
    """Parameters."""

    mode: str = _doc(
        FIRST, "Fit every step to the 'first', or to the one before ('adjacent', accumulated)"
    )
    robust: bool = _doc(True, 'RANSAC first; otherwise weighted least squares on all points')
    samples: int = _doc(96, 'Triples of points drawn per step')
    inlier_distance: float = _doc(0.02, 'Farther from the rigid motion is an outlier [m]')
    min_points: int = _doc(6, 'Fewer visible or agreeing points fail a step')
    min_inlier_share: float = _doc(0.3, 'Of the visible points; fewer fail a step')
    max_residual: float = _doc(0.05, 'Larger root mean square distance fails a step [m]')
    max_turn_error_degrees: float = _doc(
        20.0, 'A step whose rotation is known no better than this (one sigma) fails'
    )
    max_failed_share: float = _doc(0.4, 'Of all steps; more refuse the flow')
    trim_percent: float = _doc(
        0.0, 'Drop this share of points at either end of the order of motion (3DFlowAction: 10)'
    )
    smoothing: float = _doc(
        1.0, 'Noise of the poses counts this many times when they are smoothed; 0: not smoothed'
    )
    max_speed: float = _doc(0.5, "Faster motion of the object's middle is slowed down [m/s]")
    max_turn_rate: float = _doc(2.5, 'Faster turning of the object is slowed down [rad/s]')
    joints: bool = _doc(True, 'Look for a hinge or a slide')
    joint_evidence: float = _doc(
        10.0, 'By how much the Bayesian information criterion must favour a joint'
    )
    systematic_error: float = _doc(
        0.002, 'Slow error of fitted poses beside the noise of the points: drift of tracks [m]'
    )
    max_joint_radius: float = _doc(
        1.0, 'A hinge farther from the points counts as free motion [m]'
    )
    min_joint_travel: float = _doc(0.015, 'Shorter motion tells nothing about a joint [m]')
    seed: int = _doc(0, 'Of the random triples')

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.mode not in (FIRST, ADJACENT):
            raise ConfigurationError(f"fit.mode is '{self.mode}', known: {FIRST}, {ADJACENT}")
        for name in ('inlier_distance', 'max_residual', 'max_speed', 'max_turn_rate'):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f'fit.{name} is {getattr(self, name)}, must be positive')
        for name, most in (
            ('min_inlier_share', 1.0),
            ('max_failed_share', 1.0),
            ('trim_percent', 45.0),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigurationError(
                    f'fit.{name} is {getattr(self, name)}, not in 0..{most:g}'
                )
        if self.samples < 8 or self.min_points < 3:
            raise ConfigurationError(
                f'fit.samples is {self.samples} and fit.min_points {self.min_points}, at least 8 '
                'and 3'
            )
