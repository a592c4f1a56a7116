# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface show`."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from rosidl_adapter.parser import (
    ACTION_REQUEST_RESPONSE_SEPARATOR,
    parse_message_string,
    SERVICE_REQUEST_RESPONSE_SEPARATOR,
)

from ros2interface.api import ReadStdinPipe, type_completer
from ros2interface.verb import VerbExtension
from rosidl_runtime_py import get_interface_path

SEPARATORS = (SERVICE_REQUEST_RESPONSE_SEPARATOR, ACTION_REQUEST_RESPONSE_SEPARATOR)
COMMENT = '#'


class InterfaceTextLine:
    """One line of an interface's file.

    Args:
        pkg_name: the package of the interface.
        msg_name: the interface.
        line_text: the line, without its end.

    Raises:
        ValueError: the text is more than one line.
    """

    def __init__(self, pkg_name: str, msg_name: str, line_text: str) -> None:
        self._text = line_text
        self._field: Any = None
        if line_text not in SEPARATORS:
            fields = parse_message_string(pkg_name, msg_name, line_text).fields
            if len(fields) > 1:
                raise ValueError("'line_text' must be only one line")
            self._field = fields[0] if fields else None

    def __str__(self) -> str:
        return self._text

    def is_comment(self) -> bool:
        """Tell whether the line is nothing but a comment."""
        return self._text.lstrip().startswith(COMMENT)

    def is_trailing_comment(self) -> bool:
        """Tell whether a comment follows a field or constant."""
        return COMMENT in self._text and not self.is_comment()

    @property
    def trailing_comment(self) -> Optional[str]:
        """The comment after a field or constant."""
        return self._text.partition(COMMENT)[2].strip() if self.is_trailing_comment() else None

    @property
    def without_comment(self) -> str:
        """What is left of the line without its comment."""
        return self._text.partition(COMMENT)[0].rstrip()

    @property
    def nested_type(self) -> Optional[str]:
        """The full name of the message in this field, or in its elements."""
        if self._field is None or self._field.type.pkg_name is None:
            return None
        return f'{self._field.type.pkg_name}/msg/{self._field.type.type}'


def _lines(interface: str) -> Iterator[InterfaceTextLine]:
    parts = interface.split('/')
    if len(parts) != 3:
        raise ValueError(f"Invalid name '{interface}'. Expected three parts separated by '/'")
    for line in Path(get_interface_path(interface)).read_text().splitlines():
        yield InterfaceTextLine(parts[0], parts[2], line.rstrip())


def show_interface(interface: str, comments: bool, nested_comments: bool, indent: int = 0) -> None:
    """Print a definition, the messages in its fields below them and indented.

    Args:
        interface: 'package/msg/Name'.
        comments: print comments and empty lines of the interface itself.
        nested_comments: print those of the messages in its fields.
        indent: number of tabs before each line.

    Raises:
        ValueError: the name has not three parts.
        LookupError: no such interface.
    """
    for line in _lines(interface):
        text = str(line) if comments else line.without_comment
        if comments or text:
            print(f'{indent * chr(9)}{text}' if text else '')
        if line.nested_type is not None:
            show_interface(line.nested_type, nested_comments, nested_comments, indent + 1)


class ShowVerb(VerbExtension):
    """Output the interface definition."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--all-comments',
            action='store_true',
            help='Show all comments, including for nested interface definitions',
        )
        group.add_argument(
            '--no-comments', action='store_true', help='Show no comments or whitespace'
        )
        argument = parser.add_argument(
            'type',
            action=ReadStdinPipe,
            help="Show an interface definition (e.g. 'example_interfaces/msg/String'); '-' reads "
            "the name from stdin (e.g. 'ros2 topic type /chatter | ros2 interface show -')",
        )
        argument.completer = type_completer

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print the definition."""
        try:
            show_interface(args.type, not args.no_comments, args.all_comments)
        except (ValueError, LookupError) as error:
            return str(error.args[0])
        return None
