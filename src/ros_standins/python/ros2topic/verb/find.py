# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic find`."""

import argparse

from ros2cli.graph import print_names, with_type
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2topic.api import add_hidden_argument, get_topic_names_and_types, TopicTypeCompleter
from ros2topic.verb import VerbExtension


class FindVerb(VerbExtension):
    """Output a list of available topics of a given type."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'topic_type',
            help="Name of the ROS topic type to filter for (e.g. 'std_msgs/msg/String')",
        )
        argument.completer = TopicTypeCompleter()
        parser.add_argument(
            '-c',
            '--count-topics',
            action='store_true',
            help='Only display the number of topics discovered',
        )
        add_hidden_argument(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the topics of the type, or their number."""
        with NodeStrategy(args) as node:
            topics = get_topic_names_and_types(
                node=node, include_hidden_topics=getattr(args, 'include_hidden_topics', False)
            )
        print_names(with_type(topics, args.topic_type), types=False, count=args.count_topics)
