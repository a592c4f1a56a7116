# SPDX-License-Identifier: Apache-2.0
"""What a verb is."""

import argparse
from typing import Any, Optional


class VerbExtension:
    """One verb of a command; the first line of its docstring is its help."""

    NAME: Optional[str] = None

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments to its parser."""

    def main(self, *, args: argparse.Namespace) -> Any:
        """Run the verb and return what `sys.exit` takes."""
        raise NotImplementedError
