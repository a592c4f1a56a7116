# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg list`."""

import argparse

from ros2pkg.api import get_package_names
from ros2pkg.verb import VerbExtension


class ListVerb(VerbExtension):
    """Output a list of available packages."""

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the names."""
        for name in get_package_names():
            print(name)
