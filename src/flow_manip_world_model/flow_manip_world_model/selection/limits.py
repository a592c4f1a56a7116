# SPDX-License-Identifier: Apache-2.0
"""Limits of geometric selection, and what every check of it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

from flow_manip_core.errors import ConfigurationError

SHAPES = ('rigid', 'articulated', 'deformable')


class VetoError(Exception):
    """A candidate must not be followed; the message says why, with the numbers."""


@dataclass(frozen=True)
class GeometricConfig:
    """Limits; beyond them a candidate is vetoed."""

    shape: str = field(
        default='articulated',
        metadata={
            'doc': 'What may move: a rigid object, one with a part that stands still, or cloth '
            'and rope (deformable: neighbours keep their distance)'
        },
    )
    max_residual: float = field(default=0.012, metadata={'doc': 'RMS from rigid motion [m]'})
    max_stretch: float = field(default=0.22, metadata={'doc': 'Change of size along an axis'})
    max_speed: float = field(
        default=4.0, metadata={'doc': "Of any point on a dream's own clock [m/s]"}
    )
    max_step: float = field(default=0.25, metadata={'doc': 'Of any point in a step [m]'})
    min_jump: float = field(default=0.04, metadata={'doc': 'Smaller steps are no jumps [m]'})
    jump_ratio: float = field(default=4.0, metadata={'doc': 'Of a step over those around it'})
    min_motion: float = field(default=0.02, metadata={'doc': 'Farthest point moves [m]'})
    min_visible: float = field(default=0.3, metadata={'doc': 'Share of visible points'})
    min_on_object: float = field(default=0.7, metadata={'doc': 'Share starting on the mask'})
    max_start_error: float = field(default=0.03, metadata={'doc': 'Depth at the start [m]'})
    workspace_slack: float = field(default=0.08, metadata={'doc': 'Outside by this [m]'})
    max_penetration: float = field(default=0.012, metadata={'doc': 'Into the support [m]'})
    penetration_growth: float = field(
        default=0.03, metadata={'doc': "More for a dream's depth, per metre of motion [m]"}
    )
    scene_penetration: float = field(default=0.015, metadata={'doc': 'Into other things [m]'})
    max_penetrating: float = field(default=0.1, metadata={'doc': 'Share of points doing so'})
    max_drop: float = field(default=0.03, metadata={'doc': 'Free fall at the end [m]'})
    max_drop_in: float = field(default=0.10, metadata={'doc': 'The same into a thing [m]'})
    min_rise: float = field(default=0.03, metadata={'doc': 'Of a lift [m]'})
    min_turn: float = field(default=0.5, metadata={'doc': 'Of "turn upright" [rad]'})
    min_pour: float = field(default=0.35, metadata={'doc': 'Tilt of something poured from [rad]'})
    max_gap: float = field(default=0.05, metadata={'doc': 'From what it hangs on [m]'})
    max_joint_error: float = field(
        default=0.04, metadata={'doc': 'Of what opens or closes from a hinge or a slide [m]'}
    )
    agreement_scale: float = field(
        default=0.03, metadata={'doc': 'Two dreams that differ by this hardly agree [m]'}
    )
    agreement_weight: float = field(
        default=6.0, metadata={'doc': 'Of what other candidates say; 0: nobody is asked'}
    )

    def __post_init__(self) -> None:
        """Refuse what is no limit.

        Raises:
            ConfigurationError: a name is unknown or a number out of range.
        """
        if self.shape not in SHAPES:
            raise ConfigurationError(f"shape '{self.shape}', known: {', '.join(SHAPES)}")
        if self.agreement_scale <= 0 or self.agreement_weight < 0 or self.jump_ratio <= 1:
            raise ConfigurationError(
                f'agreement_scale {self.agreement_scale}, agreement_weight '
                f'{self.agreement_weight}, jump_ratio {self.jump_ratio}'
            )


def falling(value: float, limit: float) -> float:
    """Return 1 at 0, falling smoothly to about 0.1 at the limit."""
    return math.exp(-2.3 * (max(value, 0.0) / limit) ** 2)
