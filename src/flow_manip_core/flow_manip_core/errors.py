# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, one class per cause.

Library code raises; nobody returns ``(ok, value)``. Every class has the code that actions and
services carry in
``error_code``: 1..99 are shared, GenerateFlow has the 100s, PlanFromFlow the 200s, ExecutePlan the
300s, Manipulate the
400s, Segment the 500s, RankFlows the 600s. A stage's code passes through `Manipulate` unchanged.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class FailureStage(IntEnum):
    """The four failure classes that the published systems count."""

    NONE = 0
    VIDEO = 1
    TRACKING = 2
    GRASP = 3
    EXECUTION = 4


class Stage(Enum):
    """States of the `manipulate` state machine; values as in ``Manipulate.action``."""

    OBSERVING = 0
    SEGMENTING = 1
    IMAGINING = 2
    SELECTING = 3
    PLANNING = 4
    GRASPING = 5
    FOLLOWING = 6
    CHECKING = 7
    REPLANNING = 8
    DONE = 9


class FlowManipError(Exception):
    """Root of all errors that a caller can react to.

    Attributes:
        code: what actions and services report.
        name: upper-case name of the code, as in the action files.
        failure: which of the papers' four classes it counts in.
    """

    code = 499
    name = 'UNKNOWN'
    failure = FailureStage.NONE


class CancelledError(FlowManipError):
    """The caller asked to stop."""

    code, name = 1, 'CANCELLED'


class StageTimeoutError(FlowManipError):
    """A stage took longer than it may."""

    code, name = 2, 'TIMEOUT'


class RejectedError(FlowManipError):
    """The server does not take the goal now."""

    code, name = 3, 'REJECTED'


class StaleInputError(FlowManipError):
    """An image or a robot state is missing or too old to act on."""

    code, name, failure = 4, 'STALE_INPUT', FailureStage.EXECUTION


class InvalidInputError(FlowManipError, ValueError):
    """Values of the wrong shape, type or range, or not finite."""

    code, name = 5, 'INVALID_INPUT'


class ConfigurationError(FlowManipError):
    """A parameter or a configuration file is wrong."""

    code, name = 6, 'CONFIGURATION'


class BackendError(FlowManipError):
    """A backend is unknown, cannot be imported, or failed to start."""

    code, name = 7, 'BACKEND'


class PeerLostError(FlowManipError):
    """A server or controller is not there, or fell silent."""

    code, name, failure = 8, 'PEER_LOST', FailureStage.EXECUTION


class TransformMissingError(FlowManipError):
    """The transform between two frames is not known."""

    code, name = 9, 'TRANSFORM_MISSING'


class RecordError(FlowManipError):
    """The run's record could not be written or read."""

    code, name = 10, 'RECORD_FAILED'


# GenerateFlow


class TaskNotSupportedError(FlowManipError):
    """The flow backend has no motion for this instruction."""

    code, name, failure = 101, 'TASK_NOT_SUPPORTED', FailureStage.VIDEO


class NoFreePlaceError(FlowManipError):
    """The goal pose would be in collision or outside the workspace."""

    code, name, failure = 102, 'NO_FREE_PLACE', FailureStage.VIDEO


class NoObjectPathError(FlowManipError):
    """No collision-free way for the object was found."""

    code, name, failure = 103, 'NO_OBJECT_PATH', FailureStage.VIDEO


class TooFewPointsError(FlowManipError):
    """Too little of the object is visible to carry a flow."""

    code, name, failure = 104, 'TOO_FEW_POINTS', FailureStage.TRACKING


class VideoFailedError(FlowManipError):
    """The video generator gave no usable video: refused, empty, or its service failed."""

    code, name, failure = 105, 'VIDEO_FAILED', FailureStage.VIDEO


class VideoBudgetError(FlowManipError):
    """The next video would cost more than the goal may."""

    code, name, failure = 106, 'VIDEO_BUDGET', FailureStage.VIDEO


class ImplausibleVideoError(FlowManipError):
    """The video cannot be followed: it jumps, or the object changed or vanished."""

    code, name, failure = 107, 'IMPLAUSIBLE_VIDEO', FailureStage.VIDEO


class DepthCalibrationError(FlowManipError):
    """The estimated depth does not fit the sensor's: few pixels or inliers, large residual."""

    code, name, failure = 108, 'DEPTH_CALIBRATION', FailureStage.TRACKING


class TracksLostError(FlowManipError):
    """Too few points were followed to the end, or have depth along the way."""

    code, name, failure = 109, 'TRACKS_LOST', FailureStage.TRACKING


class CameraMotionError(FlowManipError):
    """The camera's own motion could not be told from the object's."""

    code, name, failure = 110, 'CAMERA_MOTION', FailureStage.TRACKING


# PlanFromFlow


class NoGraspError(FlowManipError):
    """No grasp was proposed on the object."""

    code, name, failure = 201, 'NO_GRASP', FailureStage.GRASP


class UnreachableError(FlowManipError):
    """No proposed grasp is reachable at the start and along the whole flow."""

    code, name, failure = 202, 'UNREACHABLE', FailureStage.GRASP


class InCollisionError(FlowManipError):
    """Every reachable grasp collides."""

    code, name, failure = 203, 'IN_COLLISION', FailureStage.GRASP


class NoPathError(FlowManipError):
    """The motion planner found no way."""

    code, name, failure = 204, 'NO_PATH', FailureStage.EXECUTION


class LimitsError(FlowManipError):
    """The motion cannot be timed within the joints' limits."""

    code, name, failure = 205, 'LIMITS', FailureStage.EXECUTION


class DegenerateFlowError(FlowManipError):
    """The flow's points do not determine a rigid motion."""

    code, name, failure = 206, 'DEGENERATE_FLOW', FailureStage.TRACKING


# ExecutePlan


class BadTrajectoryError(FlowManipError):
    """The trajectory is not finite, or outside joint, velocity or workspace limits."""

    code, name, failure = 301, 'BAD_TRAJECTORY', FailureStage.EXECUTION


class ControllerRejectedError(FlowManipError):
    """The controller did not accept the motion."""

    code, name, failure = 302, 'CONTROLLER_REJECTED', FailureStage.EXECUTION


class ToleranceViolatedError(FlowManipError):
    """The arm did not follow within the tolerance."""

    code, name, failure = 303, 'TOLERANCE_VIOLATED', FailureStage.EXECUTION


class GraspMissedError(FlowManipError):
    """The gripper closed on nothing."""

    code, name, failure = 304, 'GRASP_MISSED', FailureStage.GRASP


class ObjectLostError(FlowManipError):
    """The object left the gripper on the way."""

    code, name, failure = 305, 'OBJECT_LOST', FailureStage.EXECUTION


class SlipError(FlowManipError):
    """The object left its flow: it slipped in the hand, fell, or was taken away."""

    code, name, failure = 306, 'SLIPPED', FailureStage.EXECUTION


# Manipulate


class EmptyInstructionError(FlowManipError):
    """The instruction has no words."""

    code, name = 401, 'EMPTY_INSTRUCTION'


class InstructionTooLongError(FlowManipError):
    """The instruction is longer than anyone would say."""

    code, name = 402, 'INSTRUCTION_TOO_LONG'


class InstructionNotUnderstoodError(FlowManipError):
    """The instruction names no action or no object."""

    code, name = 403, 'INSTRUCTION_NOT_UNDERSTOOD'


class GoalNotReachedError(FlowManipError):
    """Looking again, the object is not where its flow ends."""

    code, name, failure = 404, 'GOAL_NOT_REACHED', FailureStage.EXECUTION


class UnknownPipelineError(FlowManipError):
    """No such file in config/pipelines, or it is not the one that runs."""

    code, name = 405, 'UNKNOWN_PIPELINE'


# Segment


class ObjectAbsentError(FlowManipError):
    """Nothing in view fits the words."""

    code, name, failure = 501, 'OBJECT_ABSENT', FailureStage.TRACKING


class ObjectAmbiguousError(FlowManipError):
    """Several things in view fit the words equally well."""

    code, name, failure = 502, 'OBJECT_AMBIGUOUS', FailureStage.TRACKING


class NoSupportError(FlowManipError):
    """No plane that objects stand on was found."""

    code, name, failure = 503, 'NO_SUPPORT', FailureStage.TRACKING


class PhraseNotUnderstoodError(FlowManipError):
    """The words do not name an object."""

    code, name, failure = 504, 'PHRASE_NOT_UNDERSTOOD', FailureStage.TRACKING


# RankFlows


class NoAcceptableFlowError(FlowManipError):
    """Every candidate was vetoed."""

    code, name, failure = 601, 'NO_ACCEPTABLE_FLOW', FailureStage.VIDEO


def error_classes() -> dict[int, type[FlowManipError]]:
    """Return every concrete error class by its code."""
    found: dict[int, type[FlowManipError]] = {}
    waiting = list(FlowManipError.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        # A subclass may share its parent's code to add meaning; the parent stands for both.
        if 'code' in vars(cls):
            found[cls.code] = cls
    return found


def error_from_code(code: int, message: str) -> FlowManipError:
    """Return the error that a remote stage reported as `code` and `message`.

    A code that nobody here knows becomes the root class with that code, so nothing is lost on the
    way.
    """
    cls = error_classes().get(int(code))
    if cls is not None:
        return cls(message)
    error = FlowManipError(message)
    error.code = int(code)
    return error
