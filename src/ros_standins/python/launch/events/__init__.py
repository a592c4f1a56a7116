# SPDX-License-Identifier: Apache-2.0
"""Events of launches."""

from .._stand_in import refusing_getattr
from . import process
from .execution_complete import ExecutionComplete
from .include_launch_description import IncludeLaunchDescription
from .matchers import matches_action
from .shutdown import Shutdown
from .timer_event import TimerEvent

__all__ = [
    'ExecutionComplete',
    'IncludeLaunchDescription',
    'matches_action',
    'process',
    'Shutdown',
    'TimerEvent',
]

__getattr__ = refusing_getattr('launch', __name__, ())
