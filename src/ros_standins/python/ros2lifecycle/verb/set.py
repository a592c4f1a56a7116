# SPDX-License-Identifier: Apache-2.0
"""`ros2 lifecycle set`."""

import argparse
import sys
from typing import Optional

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2lifecycle.api import (
    call_change_state,
    call_get_available_transitions,
    get_lifecycle_node_names,
)
from ros2lifecycle.verb import VerbExtension
from ros2node.api import add_node_arguments, get_absolute_node_name


class SetVerb(VerbExtension):
    """Trigger lifecycle state transition."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        add_node_arguments(parser)
        parser.add_argument('transition', help='The lifecycle transition')

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Ask for the transition, by its label or number, and print whether it was made."""
        name = get_absolute_node_name(args.node_name)
        with NodeStrategy(args) as node:
            names = get_lifecycle_node_names(
                node=node, include_hidden_nodes=args.include_hidden_nodes
            )
            if name not in {n.full_name for n in names}:
                return 'Node not found'
            available = [
                t.transition for t in call_get_available_transitions(node=node, node_name=name)
            ]
            wanted = [t for t in available if args.transition in (t.label, str(t.id))]
            if not wanted:
                lines = [f'\n- {t.label} [{t.id}]' for t in available]
                return 'Unknown transition requested, available ones are:' + ''.join(lines)
            if call_change_state(node=node, node_name=name, transition=wanted[0]):
                print('Transitioning successful')
            else:
                print('Transitioning failed', file=sys.stderr)
        return None
