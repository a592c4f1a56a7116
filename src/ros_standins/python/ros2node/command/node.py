# SPDX-License-Identifier: Apache-2.0
"""`ros2 node`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class NodeCommand(VerbCommand):
    """Various node related sub-commands."""

    VERBS: ClassVar = {
        'info': ('ros2node.verb.info:InfoVerb', 'Output information about a node'),
        'list': ('ros2node.verb.list:ListVerb', 'Output a list of available nodes'),
    }
