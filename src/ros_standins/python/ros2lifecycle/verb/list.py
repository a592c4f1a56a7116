# SPDX-License-Identifier: Apache-2.0
"""`ros2 lifecycle list`."""

import argparse
from typing import Optional

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2lifecycle.api import (
    call_get_available_transitions,
    call_get_transition_graph,
    get_lifecycle_node_names,
)
from ros2lifecycle.verb import VerbExtension
from ros2node.api import add_node_arguments, get_absolute_node_name


class ListVerb(VerbExtension):
    """Output a list of available transitions."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        add_node_arguments(parser)
        parser.add_argument(
            '-a', '--all', action='store_true', help='Display all existing transitions'
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the transitions from the present state, or all."""
        name = get_absolute_node_name(args.node_name)
        with NodeStrategy(args) as node:
            names = get_lifecycle_node_names(
                node=node, include_hidden_nodes=args.include_hidden_nodes
            )
            if name not in {n.full_name for n in names}:
                return 'Node not found'
            get = call_get_transition_graph if args.all else call_get_available_transitions
            transitions = get(node=node, node_name=name)
        for t in transitions:
            print(f'- {t.transition.label} [{t.transition.id}]')
            print(f'\tStart: {t.start_state.label}\n\tGoal: {t.goal_state.label}')
        return None
