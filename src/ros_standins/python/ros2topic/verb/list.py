# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic list`."""

import argparse
from typing import Any

from ros2cli.graph import print_names
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2topic.api import add_hidden_argument, get_topic_names_and_types
from ros2topic.verb import VerbExtension


class ListVerb(VerbExtension):
    """Output a list of available topics."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        parser.add_argument(
            '-t', '--show-types', action='store_true', help='Additionally show the topic type'
        )
        parser.add_argument(
            '-c',
            '--count-topics',
            action='store_true',
            help='Only display the number of topics discovered',
        )
        add_hidden_argument(parser)
        parser.add_argument(
            '-v',
            '--verbose',
            action='store_true',
            help='List full details about each topic',
        )

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the topics, or their number."""
        with NodeStrategy(args) as node:
            topics = get_topic_names_and_types(
                node=node, include_hidden_topics=getattr(args, 'include_hidden_topics', False)
            )
            if args.verbose and not args.count_topics:
                _print_side('Published', 'publisher', topics, node.count_publishers)
                _print_side('Subscribed', 'subscriber', topics, node.count_subscribers)
                return
        print_names(topics, types=args.show_types, count=args.count_topics)


def _print_side(title: str, word: str, topics: Any, count: Any) -> None:
    print(f'{title} topics:')
    for name, types in topics:
        number = count(name)
        if number:
            plural = 's' if number > 1 else ''
            print(f' * {name} [{", ".join(types)}] {number} {word}{plural}')
    print()
