# SPDX-License-Identifier: Apache-2.0
"""One video of a dream becomes an object flow: the same code in this process, in others, afar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

from flow_manip_core.backends import create_backend
from flow_manip_core.config import from_mapping
from flow_manip_core.errors import BackendError, FlowManipError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import Registry
from flow_manip_core.robot import Context
from flow_manip_core.video import Video

LIFTER = 'flow_manip_perception.video_to_flow:VideoToFlow'
DEPTH_ESTIMATORS = 'flow_manip_perception.depth:DEPTH_ESTIMATORS'
TRACKERS = 'flow_manip_perception.tracking:TRACKERS'


class LiftedVideo(Protocol):
    """What a lifter gives: at least the flow; see `flow_manip_perception.video_to_flow`."""

    @property
    def flow(self) -> ObjectFlow:
        """Of the object."""


@dataclass(frozen=True)
class FlowAlone:
    """What is left of a lifted video where nobody wants the rest."""

    flow: ObjectFlow


class VideoLifter(Protocol):
    """Turns a video into the flow of one object."""

    def lift(
        self,
        video: Video,
        observation: Observation,
        mask: Mask,
        *,
        on_progress: Callable[[str, float], None],
        cancelled: Callable[[], bool],
    ) -> LiftedVideo:
        """Return the flow of the masked object, with how it was found.

        Raises:
            DepthCalibrationError, TracksLostError, CameraMotionError, TooFewPointsError,
                ImplausibleVideoError: as named, with the numbers.
            CancelledError: the caller asked to stop.
        """


@dataclass(frozen=True)
class LiftingRecipe:
    """How a lifter is made, in values that can be sent to another process.

    Attributes:
        depth: parameters of the depth estimator: ``{'backend': ..., ...}``.
        tracking: parameters of the point tracker.
        lifting: parameters of the lifter itself.
        context: robot and rig; the simulation stays where it is.
        lifter: path of the lifter's class.
    """

    depth: Mapping[str, Any]
    tracking: Mapping[str, Any]
    lifting: Mapping[str, Any]
    context: Context
    lifter: str = LIFTER

    def __post_init__(self) -> None:
        """Leave out what cannot be sent."""
        object.__setattr__(self, 'context', replace(self.context, simulation=None))

    def check(self) -> None:
        """Refuse unknown backends and parameters without building anything.

        Raises:
            BackendError, ConfigurationError: as `create_backend`.
        """
        for table, parameters in self._tables():
            name = str(parameters.get('backend'))
            cls: Any = table.load(name)
            from_mapping(cls.Config, parameters.get(name, {}), where=f'{table.kind}.{name}')
        lifter = load_object(self.lifter)
        from_mapping(lifter.Config, self.lifting, where='lifting')

    def make(self) -> VideoLifter:
        """Build the lifter.

        Raises:
            BackendError, ConfigurationError: as `create_backend`.
        """
        depth, tracker = (
            create_backend(table, parameters, self.context) for table, parameters in self._tables()
        )
        cls = load_object(self.lifter)
        config = from_mapping(cls.Config, self.lifting, where='lifting')
        return cls(config, self.context, depth, tracker)

    def _tables(self) -> list[tuple[Registry[Any], Mapping[str, Any]]]:
        return [
            (_table('depth', DEPTH_ESTIMATORS, self.depth), self.depth),
            (_table('tracking', TRACKERS, self.tracking), self.tracking),
        ]


@dataclass(frozen=True)
class LiftJob:
    """One candidate's work.

    Attributes:
        number: of the candidate, from 0.
        video: checked.
        observation: that it begins with.
        mask: of the object that moves.
        whole: everything that is computed is wanted, not the flow alone: depth is as large as the
            video itself, and has to come back from where it was computed.
    """

    number: int
    video: Video
    observation: Observation
    mask: Mask
    whole: bool = False


@dataclass(frozen=True)
class LiftEvent:
    """News of one candidate.

    Attributes:
        number: of the candidate.
        stage: what it does now; empty when it is finished.
        progress: 0..1.
        lifted: the result, where it succeeded.
        error: why it failed: a `FlowManipError`, or a text where the code broke.
    """

    number: int
    stage: str = ''
    progress: float = 1.0
    lifted: LiftedVideo | None = None
    error: FlowManipError | str | None = None

    @property
    def finished(self) -> bool:
        """Whether no more will come of this candidate."""
        return self.lifted is not None or self.error is not None


def _table(kind: str, path: str, parameters: Mapping[str, Any]) -> Registry[Any]:
    """Return the table a backend is named in; a path needs none."""
    return Registry(kind, {}) if ':' in str(parameters.get('backend')) else load_object(path)


def load_object(path: str) -> Any:
    """Import what ``module:name`` says.

    Raises:
        BackendError: it is not there.
    """
    module, _, name = path.partition(':')
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BackendError(f"'{path}': {error}") from error
