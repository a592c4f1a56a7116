# SPDX-License-Identifier: Apache-2.0
"""Why a clip gives no sample: a reason out of a fixed list, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from flow_manip_core.errors import (
    BackendError,
    CameraMotionError,
    ConfigurationError,
    DepthCalibrationError,
    FlowManipError,
    ImplausibleVideoError,
    InvalidInputError,
    TracksLostError,
    VideoFailedError,
)

REASONS: Mapping[str, str] = MappingProxyType(
    {
        'unreadable': 'the clip cannot be read',
        'too_short': 'too few frames to tell early movers from late ones',
        'masked_out': 'the gripper covers next to the whole first frame',
        'camera_motion': 'no motion of the camera explains the background',
        'jump': 'the clip jumps, as at a cut',
        'still': 'nothing moves far enough',
        'only_early_movers': 'what moves far enough moves from the beginning, as an arm does',
        'no_object': 'what moves is scattered: no thing of enough points',
        'large_box': 'what moves takes up too much of the image',
        'tracks_lost': 'too little of the object is seen to the end, or has depth',
        'no_depth': 'there is no depth to lift with',
    }
)

# Errors of the stages below, by the reason that they count as.
_OF_ERRORS: tuple[tuple[type[FlowManipError], str], ...] = (
    (VideoFailedError, 'unreadable'),
    (CameraMotionError, 'camera_motion'),
    (ImplausibleVideoError, 'jump'),
    (TracksLostError, 'tracks_lost'),
    (DepthCalibrationError, 'no_depth'),
)
_NOT_THE_CLIPS = (BackendError, ConfigurationError)


@dataclass(frozen=True)
class Rejection:
    """What was wrong with one clip.

    Attributes:
        reason: one of `REASONS`.
        numbers: that decided, by name; units are in the names.
        detail: the sentence of the stage that refused it, where one did.
    """

    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    detail: str = ''

    def __post_init__(self) -> None:
        """Refuse reasons that nobody can count.

        Raises:
            InvalidInputError: an unknown reason.
        """
        if self.reason not in REASONS:
            raise InvalidInputError(f"reason '{self.reason}'; known: {', '.join(REASONS)}")
        object.__setattr__(self, 'numbers', {k: float(v) for k, v in self.numbers.items()})

    def __str__(self) -> str:
        """Say it in one line."""
        numbers = ', '.join(f'{name} {value:.4g}' for name, value in self.numbers.items())
        return f'{REASONS[self.reason]}' + ''.join(f'; {p}' for p in (numbers, self.detail) if p)


class ClipRejectedError(FlowManipError):
    """A clip that gives no sample; counts as an implausible video where nobody catches it."""

    code, name = ImplausibleVideoError.code, ImplausibleVideoError.name
    failure = ImplausibleVideoError.failure

    def __init__(self, rejection: Rejection) -> None:
        """Keep the rejection."""
        super().__init__(str(rejection))
        self.rejection = rejection

    def __reduce__(self) -> tuple[type[ClipRejectedError], tuple[Rejection]]:
        """Cross the border of a process whole."""
        return type(self), (self.rejection,)


def reject(reason: str, detail: str = '', **numbers: float) -> ClipRejectedError:
    """Return the error of a rejection, to be raised."""
    return ClipRejectedError(Rejection(reason, numbers, detail))


def rejection_of(error: FlowManipError) -> Rejection | None:
    """Return the rejection that an error of a stage means.

    Returns:
        None for what is no fault of the clip: a missing backend, a wrong parameter.
    """
    if isinstance(error, ClipRejectedError):
        return error.rejection
    if isinstance(error, _NOT_THE_CLIPS):
        return None
    for kind, reason in _OF_ERRORS:
        if isinstance(error, kind):
            return Rejection(reason, detail=str(error)[:400])
    if isinstance(error, InvalidInputError):
        return Rejection('unreadable', detail=str(error)[:400])
    return None
