# SPDX-License-Identifier: Apache-2.0
"""Messages that the user gives as YAML."""

from collections.abc import Callable
import os
from typing import Any

import yaml


def check_fields() -> None:
    """Let messages check what is put into them; before a message package is loaded.

    Generated code checks only on demand, and a number that does not fit would end the process.
    """
    os.environ.setdefault('ROS_PYTHON_CHECK_FIELDS', '1')


def interface_class(getter: Callable[[str], Any], type_name: str, kind: str) -> Any:
    """Return the class of a type that the user named.

    Raises:
        RuntimeError: there is no such type.
    """
    try:
        return getter(type_name)
    except (AttributeError, ModuleNotFoundError, ValueError):
        raise RuntimeError(f'The passed {kind} type is invalid') from None


def read_values(text: str) -> Any:
    """Read YAML.

    Raises:
        RuntimeError: it is not valid YAML.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuntimeError(f'The passed value is not valid YAML: {error}') from None
    return {} if values is None else values


def add_values_arguments(parser: Any, name: str, help_text: str) -> Any:
    """Add the argument for YAML and `--stdin`, one of which may be used."""
    group = parser.add_mutually_exclusive_group()
    argument = group.add_argument(name, nargs='?', default='{}', help=help_text)
    group.add_argument('--stdin', action='store_true', help='Read values from standard input')
    return argument


class PrototypeCompleter:
    """Completes the values of an interface with their defaults.

    Args:
        type_key: the argument that holds the type.
        getter: returns the interface's class.
        part: the attribute that is filled: 'Request' or 'Goal'; empty for a message.
    """

    def __init__(self, type_key: str, getter: Callable[[str], Any], part: str = '') -> None:
        self.type_key, self.getter, self.part = type_key, getter, part

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the one completion there is."""
        from rosidl_runtime_py import message_to_yaml

        interface = self.getter(getattr(parsed_args, self.type_key))
        message = getattr(interface, self.part) if self.part else interface
        return [message_to_yaml(message())]
