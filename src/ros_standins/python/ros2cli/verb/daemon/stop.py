# SPDX-License-Identifier: Apache-2.0
"""`ros2 daemon stop`."""

import argparse

from ros2cli.verb import VerbExtension


class StopVerb(VerbExtension):
    """Stop the daemon if it is running."""

    def main(self, *, args: argparse.Namespace) -> None:
        """Say that there is none."""
        print('The daemon is not running')
