# SPDX-License-Identifier: Apache-2.0
"""What of a goal is tried again, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from flow_manip_core.errors import (
    ConfigurationError,
    DegenerateFlowError,
    GoalNotReachedError,
    GraspMissedError,
    InCollisionError,
    LimitsError,
    NoGraspError,
    NoPathError,
    ObjectLostError,
    SlipError,
    StaleInputError,
    ToleranceViolatedError,
    UnreachableError,
)
from flow_manip_task.checking import CheckConfig
from flow_manip_task.image_check import ImageCheckConfig

# The world may differ next time: the same instruction is worth another look.
RETRIED = (
    GraspMissedError,
    ObjectLostError,
    SlipError,
    GoalNotReachedError,
    ToleranceViolatedError,
    StaleInputError,
)
# A fresh observation has other noise and another grasp: worth one more try, not many.
RETRIED_ONCE = (
    NoGraspError,
    UnreachableError,
    InCollisionError,
    NoPathError,
    LimitsError,
    DegenerateFlowError,
)


@dataclass(frozen=True)
class ManipulationConfig:
    """How a goal is driven.

    Attributes:
        max_attempts: how often the whole is tried.
        max_planned_flows: how many candidates, best first, are planned for before planning
            counts as failed.
        recover_after_failure: open the hand and withdraw the arm also when no further attempt
            follows. After a cancel, a lost peer or a bug the arm stays where it stopped, and the
            next goal begins with withdrawing it.
        pipeline: name of the pipeline whose backends the stages are; goals for another are
            refused.
        check: how the end is judged.
        image_check: who else is asked about it; nobody by default.
    """

    max_attempts: int = 3
    max_planned_flows: int = 2
    recover_after_failure: bool = True
    pipeline: str = ''
    check: CheckConfig = field(default_factory=CheckConfig)
    image_check: ImageCheckConfig = field(default_factory=ImageCheckConfig)

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        if self.max_attempts < 1 or self.max_planned_flows < 1:
            raise ConfigurationError(
                f'max_attempts {self.max_attempts} and max_planned_flows {self.max_planned_flows} '
                'must be 1 or more'
            )
