# SPDX-License-Identifier: Apache-2.0
"""`ros2 action`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class ActionCommand(VerbCommand):
    """Various action related sub-commands."""

    VERBS: ClassVar = {
        'info': ('ros2action.verb.info:InfoVerb', 'Print information about an action'),
        'list': ('ros2action.verb.list:ListVerb', 'Output a list of action names'),
        'send_goal': ('ros2action.verb.send_goal:SendGoalVerb', 'Send an action goal'),
        'type': ('ros2action.verb.type:TypeVerb', "Print an action's type"),
    }
    FOREIGN_VERBS: ClassVar = {'echo': 'ros2action', 'find': 'ros2action'}
