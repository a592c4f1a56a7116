# SPDX-License-Identifier: Apache-2.0
"""`ros2 lifecycle get`."""

import argparse
import sys
from typing import Optional

from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2lifecycle.api import call_get_states, get_lifecycle_node_names
from ros2lifecycle.verb import VerbExtension
from ros2node.api import add_node_arguments, get_absolute_node_name


class GetVerb(VerbExtension):
    """Get lifecycle state for one or more nodes."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        add_node_arguments(parser, nargs='?')

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the state of the node, or of all managed ones."""
        wanted = get_absolute_node_name(args.node_name)
        with NodeStrategy(args) as node:
            names = get_lifecycle_node_names(
                node=node, include_hidden_nodes=args.include_hidden_nodes
            )
            full_names = sorted(n.full_name for n in names)
            if wanted is not None:
                if wanted not in full_names:
                    return 'Node not found'
                full_names = [wanted]
            states = call_get_states(node=node, node_names=full_names)
        for name, state in states.items():
            prefix = '' if wanted is not None else f'{name}: '
            if isinstance(state, RuntimeError):
                if wanted is not None:
                    return f"Exception while calling service of node '{name}': {state}"
                print(f'{prefix}{state}', file=sys.stderr)
            else:
                print(f'{prefix}{state.label} [{state.id}]')
        return None
