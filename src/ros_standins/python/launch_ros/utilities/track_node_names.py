# SPDX-License-Identifier: Apache-2.0
"""How many nodes of each name a launch started."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_KEY = 'unique_ros_node_names'


def add_node_name(context: LaunchContext, node_name: str) -> None:
    """Counts a node of this full name."""
    names = getattr(context.locals, _KEY, None)
    if names is None:
        names = collections.defaultdict(int)
        context.extend_globals({_KEY: names})
    names[node_name] += 1


def get_node_name_count(context: LaunchContext, node_name: str) -> int:
    """Returns how many nodes of this full name were counted."""
    names = getattr(context.locals, _KEY, None)
    return 0 if names is None else int(names.get(node_name, 0))
