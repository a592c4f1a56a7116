# SPDX-License-Identifier: Apache-2.0
"""Names and types that topics, services and actions share."""

from collections.abc import Callable, Iterable
from typing import Any

NamesAndTypes = list[tuple[str, list[str]]]


def without_hidden(names_and_types: NamesAndTypes, include_hidden: bool) -> NamesAndTypes:
    """Drop the names with a hidden part, unless they are wanted."""
    if include_hidden:
        return names_and_types
    from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

    return [
        (name, types) for name, types in names_and_types if not topic_or_service_is_hidden(name)
    ]


def expand_name(node: Any, name: str, is_service: bool = False) -> str:
    """Return the full name of a topic or service as the node sees it.

    Raises:
        RuntimeError: it is not a valid name.
    """
    from rclpy.exceptions import InvalidServiceNameException, InvalidTopicNameException
    from rclpy.expand_topic_name import expand_topic_name
    from rclpy.validate_full_topic_name import validate_full_topic_name

    try:
        full_name = expand_topic_name(name, node.get_name(), node.get_namespace())
        validate_full_topic_name(full_name, is_service=is_service)
    except (ValueError, InvalidTopicNameException, InvalidServiceNameException) as error:
        raise RuntimeError(str(error)) from None
    return full_name


def print_names(names_and_types: NamesAndTypes, *, types: bool, count: bool) -> None:
    """Print names, with their types where wanted, or only how many there are."""
    if count:
        print(len(names_and_types))
        return
    for name, type_names in names_and_types:
        print(f'{name} [{", ".join(type_names)}]' if types else name)


def types_of(names_and_types: Iterable[tuple[str, list[str]]], full_name: str) -> list[str]:
    """Return the types under a name; none where the name is not there."""
    return next((types for name, types in names_and_types if name == full_name), [])


def with_type(names_and_types: NamesAndTypes, type_name: str) -> NamesAndTypes:
    """Return what has a type."""
    return [(name, types) for name, types in names_and_types if type_name in types]


def print_types(types: list[str]) -> int:
    """Print types one by one; 1 where there is none, as `ros2 topic type` exits."""
    for type_name in types:
        print(type_name)
    return 0 if types else 1


def is_there(getter: Callable[[Any], NamesAndTypes], name: str) -> Callable[[Any], bool]:
    """Return a condition for discovery: something of that name has been seen."""
    return lambda node: any(n == expand_name(node, name) for n, _ in getter(node))
