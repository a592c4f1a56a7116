# SPDX-License-Identifier: Apache-2.0
"""MoveIt's error codes as the errors of this project."""

from __future__ import annotations

from moveit_msgs.msg import MoveItErrorCodes as Codes

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    FlowManipError,
    InCollisionError,
    LimitsError,
    NoPathError,
    PeerLostError,
    StageTimeoutError,
    StaleInputError,
    TransformMissingError,
    UnreachableError,
)

ERRORS: dict[str, type[FlowManipError]] = {
    'FAILURE': NoPathError,
    'PLANNING_FAILED': NoPathError,
    'INVALID_MOTION_PLAN': NoPathError,
    'MOTION_PLAN_INVALIDATED_BY_ENVIRONMENT_CHANGE': NoPathError,
    'START_STATE_VIOLATES_PATH_CONSTRAINTS': NoPathError,
    'GOAL_VIOLATES_PATH_CONSTRAINTS': NoPathError,
    'UNABLE_TO_AQUIRE_SENSOR_DATA': StaleInputError,
    'ROBOT_STATE_STALE': StaleInputError,
    'SENSOR_INFO_STALE': StaleInputError,
    'TIMED_OUT': StageTimeoutError,
    'PREEMPTED': CancelledError,
    'START_STATE_IN_COLLISION': InCollisionError,
    'GOAL_IN_COLLISION': InCollisionError,
    # What is checked of a start beside collision is that it is within the joints' bounds.
    'START_STATE_INVALID': LimitsError,
    'GOAL_STATE_INVALID': UnreachableError,
    'GOAL_CONSTRAINTS_VIOLATED': UnreachableError,
    'INVALID_GOAL_CONSTRAINTS': UnreachableError,
    'NO_IK_SOLUTION': UnreachableError,
    'UNRECOGNIZED_GOAL_TYPE': ConfigurationError,
    'INVALID_GROUP_NAME': ConfigurationError,
    'INVALID_ROBOT_STATE': ConfigurationError,
    'INVALID_LINK_NAME': ConfigurationError,
    'INVALID_OBJECT_NAME': ConfigurationError,
    'FRAME_TRANSFORM_FAILURE': TransformMissingError,
    'COMMUNICATION_FAILURE': PeerLostError,
    'CONTROL_FAILED': BackendError,
    'COLLISION_CHECKING_UNAVAILABLE': BackendError,
    'CRASH': BackendError,
    'ABORT': BackendError,
}
# Another attempt may end otherwise: sampling is random.
WORTH_ANOTHER_TRY = ('FAILURE', 'PLANNING_FAILED', 'INVALID_MOTION_PLAN', 'TIMED_OUT')


def code_name(code: Codes) -> str:
    """Return the constant's name of an error code, its number where it has none."""
    for name in ('SUCCESS', *ERRORS):
        if getattr(Codes, name) == code.val:
            return name
    return str(code.val)


def error_from_code(code: Codes, text: str) -> FlowManipError:
    """Return the error that a code other than SUCCESS stands for.

    Args:
        code: what MoveIt answered; its own message and source are quoted.
        text: what was asked, with numbers.
    """
    name = code_name(code)
    said = ': '.join(part for part in (code.source, code.message) if part)
    return ERRORS.get(name, NoPathError)(
        f'MoveIt answers {name} to {text}' + (f' ({said})' if said else '')
    )
