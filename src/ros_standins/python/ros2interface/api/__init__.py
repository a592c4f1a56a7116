# SPDX-License-Identifier: Apache-2.0
"""Installed interfaces, for the verbs of `ros2 interface`."""

import argparse
from collections.abc import Sequence
import sys
from typing import Any, Optional, Union

from rosidl_runtime_py import get_interfaces

# Option, namespace and title.
KINDS = (
    ('--only-msgs', '-m', 'msg', 'Messages'),
    ('--only-srvs', '-s', 'srv', 'Services'),
    ('--only-actions', '-a', 'action', 'Actions'),
)


def add_kind_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose one kind of interface."""
    group = parser.add_mutually_exclusive_group()
    for long, short, namespace, title in KINDS:
        group.add_argument(
            short,
            long,
            dest='namespace',
            action='store_const',
            const=namespace,
            help=f'only {title.lower()}',
        )


def get_interface_names(namespace: Optional[str] = None) -> list[str]:
    """Return the full names of all interfaces, or of one kind."""
    return [
        f'{package}/{name}'
        for package, names in get_interfaces().items()
        for name in names
        if namespace is None or name.startswith(f'{namespace}/')
    ]


def type_completer(**_: Any) -> list[str]:
    """Complete names of interfaces."""
    return get_interface_names()


class ReadStdinPipe(argparse.Action):
    """Takes the first line of standard input where the argument is '-'."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Union[str, Sequence[Any], None],
        option_string: Optional[str] = None,
    ) -> None:
        """Set the attribute."""
        if values == '-':
            if sys.stdin.isatty():
                parser.error('expected stdin pipe')
            values = sys.stdin.readline().strip()
        if not values:
            parser.error('the passed value is empty')
        setattr(namespace, self.dest, values)
