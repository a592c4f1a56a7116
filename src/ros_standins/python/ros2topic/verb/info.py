# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic info`."""

import argparse
from typing import Optional

from ros2cli.graph import expand_name, types_of
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2topic.api import TopicNameCompleter
from ros2topic.verb import VerbExtension


class InfoVerb(VerbExtension):
    """Print information about a topic."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'topic_name', help="Name of the ROS topic to get info (e.g. '/chatter')"
        )
        parser.add_argument(
            '--verbose',
            '-v',
            action='store_true',
            help='Prints detailed information like the node name, node namespace, topic type, '
            'GUID and QoS Profile of the publishers and subscribers to this topic',
        )
        argument.completer = TopicNameCompleter(include_hidden_topics_key='include_hidden_topics')

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the type and the two sides."""
        with NodeStrategy(args) as node:
            name = expand_name(node, args.topic_name)
            types = types_of(node.get_topic_names_and_types(), name)
            if not types:
                return f"Unknown topic '{args.topic_name}'"
            end = '\n\n' if args.verbose else '\n'
            print('Type:', types[0] if len(types) == 1 else types, end=end)
            print('Publisher count:', node.count_publishers(name), end=end)
            if args.verbose:
                for endpoint in node.get_publishers_info_by_topic(name):
                    print(endpoint, end=end)
            print('Subscription count:', node.count_subscribers(name), end=end)
            if args.verbose:
                for endpoint in node.get_subscriptions_info_by_topic(name):
                    print(endpoint, end=end)
        return None
