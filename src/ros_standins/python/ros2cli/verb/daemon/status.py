# SPDX-License-Identifier: Apache-2.0
"""`ros2 daemon status`."""

import argparse

from ros2cli.verb import VerbExtension


class StatusVerb(VerbExtension):
    """Output the status of the daemon."""

    def main(self, *, args: argparse.Namespace) -> None:
        """Say that there is none."""
        print('The daemon is not running')
