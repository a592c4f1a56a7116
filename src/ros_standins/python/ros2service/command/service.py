# SPDX-License-Identifier: Apache-2.0
"""`ros2 service`."""

import argparse
from typing import ClassVar

from ros2cli.command import VerbCommand


class ServiceCommand(VerbCommand):
    """Various service related sub-commands."""

    VERBS: ClassVar = {
        'call': ('ros2service.verb.call:CallVerb', 'Call a service'),
        'find': (
            'ros2service.verb.find:FindVerb',
            'Output a list of available services of a given type',
        ),
        'info': ('ros2service.verb.info:InfoVerb', 'Print information about a service'),
        'list': ('ros2service.verb.list:ListVerb', 'Output a list of available services'),
        'type': ('ros2service.verb.type:TypeVerb', "Output a service's type"),
    }
    FOREIGN_VERBS: ClassVar = {'echo': 'ros2service'}

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the option that all verbs share, and the verbs."""
        parser.add_argument(
            '--include-hidden-services',
            action='store_true',
            help='Consider hidden services as well',
        )
        super().add_arguments(parser, cli_name)
