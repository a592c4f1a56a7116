# SPDX-License-Identifier: Apache-2.0
"""`ros2 lifecycle`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class LifecycleCommand(VerbCommand):
    """Various lifecycle related sub-commands."""

    VERBS: ClassVar = {
        'get': ('ros2lifecycle.verb.get:GetVerb', 'Get lifecycle state for one or more nodes'),
        'list': ('ros2lifecycle.verb.list:ListVerb', 'Output a list of available transitions'),
        'nodes': ('ros2lifecycle.verb.nodes:NodesVerb', 'Output a list of nodes with lifecycle'),
        'set': ('ros2lifecycle.verb.set:SetVerb', 'Trigger lifecycle state transition'),
    }
