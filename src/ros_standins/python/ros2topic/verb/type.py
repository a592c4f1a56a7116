# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic type`."""

import argparse

from ros2cli.graph import is_there, print_types, types_of
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2topic.api import get_topic_names_and_types, TopicNameCompleter
from ros2topic.verb import VerbExtension


class TypeVerb(VerbExtension):
    """Print a topic's type."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'topic_name', help="Name of the ROS topic to get type (e.g. '/chatter')"
        )
        argument.completer = TopicNameCompleter(include_hidden_topics_key='include_hidden_topics')

    def main(self, *, args: argparse.Namespace) -> int:
        """Print the types; 1 where there is no such topic."""
        hidden = getattr(args, 'include_hidden_topics', False)
        found = is_there(lambda node: node.get_topic_names_and_types(), args.topic_name)
        with NodeStrategy(args, until=found) as node:
            topics = get_topic_names_and_types(node=node, include_hidden_topics=hidden)
            return print_types(types_of(topics, args.topic_name))
