# SPDX-License-Identifier: Apache-2.0
"""`ros2 daemon start`."""

import argparse
import sys

from ros2cli.verb import VerbExtension


class StartVerb(VerbExtension):
    """Start the daemon if it is not running."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        parser.add_argument('--debug', '-d', action='store_true', help='no effect: no daemon')

    def main(self, *, args: argparse.Namespace) -> None:
        """Say that nothing was started; scripts that start a daemon go on without it."""
        print(
            'No daemon was started: this stand-in has none, every command discovers the graph '
            "itself. The package 'ros2cli' of a full ROS 2 installation has one",
            file=sys.stderr,
        )
