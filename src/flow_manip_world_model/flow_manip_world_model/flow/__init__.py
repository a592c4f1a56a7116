# SPDX-License-Identifier: Apache-2.0
"""Flow generators: from an observation and words to candidate object flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from flow_manip_core.config import from_mapping
from flow_manip_core.errors import ConfigurationError, FlowManipError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import missing_package, Registry
from flow_manip_core.robot import Context
from flow_manip_world_model.progress import (
    candidate_stage,
    finished_candidates,
    ignore_dropped,
    ignore_progress,
    never_cancelled,
)

__all__ = [
    'FLOW_GENERATORS',
    'PART_NAMES',
    'FlowGenerator',
    'candidate_stage',
    'create_flow_generator',
    'finished_candidates',
    'ignore_dropped',
    'ignore_progress',
    'never_cancelled',
]


class FlowGenerator(Protocol):
    """Imagines how an object should move."""

    def generate(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray | None = None,
        num_candidates: int = 0,
        seed: int = 0,
        on_dropped: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> list[ObjectFlow]:
        """Return candidate flows in the world frame, the best-reasoned first, at least one.

        Args:
            observation: what the camera saw.
            instruction: what is to be done, in words.
            masks: first the object that moves, then those that the instruction refers to, in the
                order of `Instruction.references`.
            goal_image: (H, W, 3) uint8 RGB of the wished-for end, for generators that use one.
            num_candidates: how many; 0 is the backend's default. Fewer may come back.
            seed: the same seed gives the same candidates.
            on_dropped: told the number (from 0) of a candidate that failed on the way, and why.
            on_progress: told a short text (`candidate_stage` for candidates) and 0..1.
            cancelled: polled at least every 20 ms of work.

        Raises:
            TaskNotSupportedError: the backend has no motion for this instruction.
            NoFreePlaceError: there is no goal that is free and inside the workspace.
            NoObjectPathError: the object cannot be brought there without touching something.
            TooFewPointsError: too little of the object is visible.
            VideoFailedError, VideoBudgetError, ImplausibleVideoError, DepthCalibrationError,
                TracksLostError, CameraMotionError: of all candidates of a dream, the most frequent
                failure, with the counts of each.
            CancelledError: the caller asked to stop.
            InvalidInputError: masks and instruction do not belong together.
        """


FLOW_GENERATORS: Registry[FlowGenerator] = Registry(
    'flow',
    {
        'animatediff_flow': 'flow_manip_world_model.flow.diffusion.generator:AnimateDiffFlow',
        'compact': 'flow_manip_world_model.flow.diffusion.generator:CompactFlow',
        'dream': 'flow_manip_world_model.flow.dream:DreamFlow',
        'remote': 'flow_manip_world_model.flow.remote:RemoteFlow',
        'rule_based': 'flow_manip_world_model.flow.rule_based:RuleBasedFlow',
    },
)


# Blocks of parameters that describe the parts of generators which are made of other backends.
PART_NAMES = ('video', 'depth', 'tracking', 'lifting')


def create_flow_generator(parameters: Mapping[str, Any], context: Context) -> FlowGenerator:
    """Build the generator that ``parameters['backend']`` names.

    A generator that is made of other backends names the blocks that describe them in its class
    attribute `PARTS` and is given those blocks: ``parameters['video']`` for a dream's videos, and
    so on.

    Args:
        parameters: of the world model node; blocks that the generator does not use may stand
            among them.
        context: robot and rig, and the simulation where there is one.

    Raises:
        BackendError: a backend is unknown or cannot be imported.
        ConfigurationError: a parameter is unknown, missing or of the wrong type.
    """
    name = parameters.get('backend')
    if not isinstance(name, str):
        raise ConfigurationError("flow: parameter 'backend' is missing")
    cls: Any = FLOW_GENERATORS.load(name)
    config = from_mapping(cls.Config, parameters.get(name, {}), where=f'flow.{name}')
    parts = getattr(cls, 'PARTS', None)
    try:
        if parts is None:
            return cls(config, context)
        return cls(config, context, {part: parameters.get(part, {}) for part in parts})
    except ImportError as error:
        raise missing_package(FLOW_GENERATORS.kind, name, error) from error
