# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic`."""

import argparse
from typing import ClassVar

from ros2cli.command import VerbCommand


class TopicCommand(VerbCommand):
    """Various topic related sub-commands."""

    VERBS: ClassVar = {
        'bw': ('ros2topic.verb.bw:BwVerb', 'Display bandwidth used by topic'),
        'delay': (
            'ros2topic.verb.delay:DelayVerb',
            'Display delay of topic from timestamp in header',
        ),
        'echo': ('ros2topic.verb.echo:EchoVerb', 'Output messages from a topic'),
        'find': (
            'ros2topic.verb.find:FindVerb',
            'Output a list of available topics of a given type',
        ),
        'hz': ('ros2topic.verb.hz:HzVerb', 'Print the average receiving rate to screen'),
        'info': ('ros2topic.verb.info:InfoVerb', 'Print information about a topic'),
        'list': ('ros2topic.verb.list:ListVerb', 'Output a list of available topics'),
        'pub': ('ros2topic.verb.pub:PubVerb', 'Publish a message to a topic'),
        'type': ('ros2topic.verb.type:TypeVerb', "Print a topic's type"),
    }

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the option that all verbs share, and the verbs."""
        parser.add_argument(
            '--include-hidden-topics',
            action='store_true',
            help='Consider hidden topics as well',
        )
        super().add_arguments(parser, cli_name)
