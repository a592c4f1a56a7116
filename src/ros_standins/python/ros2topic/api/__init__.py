# SPDX-License-Identifier: Apache-2.0
"""Topics of the graph, by name."""

import argparse
from collections.abc import Callable
import time
from typing import Any, Optional

from ros2cli.graph import expand_name, NamesAndTypes, types_of, without_hidden
from ros2cli.helpers import positive_float, positive_int, unsigned_int
from ros2cli.qos import add_qos_arguments, choose_qos, qos_profile_from_short_keys

__all__ = [
    'add_hidden_argument',
    'add_qos_arguments',
    'choose_qos',
    'get_msg_class',
    'get_topic_names',
    'get_topic_names_and_types',
    'positive_float',
    'positive_int',
    'qos_profile_from_short_keys',
    'TopicNameCompleter',
    'TopicTypeCompleter',
    'unsigned_int',
]


def get_topic_names_and_types(*, node: Any, include_hidden_topics: bool = False) -> NamesAndTypes:
    """Return the topics of the graph."""
    return without_hidden(node.get_topic_names_and_types(), include_hidden_topics)


def get_topic_names(*, node: Any, include_hidden_topics: bool = False) -> list[str]:
    """Return the names of the topics of the graph."""
    topics = get_topic_names_and_types(node=node, include_hidden_topics=include_hidden_topics)
    return [name for name, _ in topics]


def get_msg_class(
    node: Any, topic: str, blocking: bool = False, include_hidden_topics: bool = False
) -> Any:
    """Return the class of a topic's messages.

    Args:
        node: looks at the graph.
        topic: the topic.
        blocking: wait until somebody uses the topic.
        include_hidden_topics: consider hidden topics as well.

    Returns:
        The class; None where nobody uses the topic.

    Raises:
        RuntimeError: the name is not valid, or the topic has more than one type.
    """
    import rclpy

    found = _msg_class(node, topic, include_hidden_topics)
    if found is None:
        print(f'WARNING: topic [{topic}] does not appear to be published yet')
    while found is None and blocking and rclpy.ok():
        time.sleep(0.1)
        found = _msg_class(node, topic, include_hidden_topics)
    return found


def _msg_class(node: Any, topic: str, include_hidden_topics: bool) -> Any:
    from ros2cli.messages import interface_class
    from rosidl_runtime_py.utilities import get_message

    topics = get_topic_names_and_types(node=node, include_hidden_topics=include_hidden_topics)
    types = types_of(topics, expand_name(node, topic))
    if len(types) > 1:
        raise RuntimeError(
            f"Cannot echo topic '{topic}', as it contains more than one type: [{', '.join(types)}]"
        )
    return interface_class(get_message, types[0], 'message') if types else None


def is_published(topic: str) -> Callable[[Any], bool]:
    """Return a condition for discovery: somebody publishes on the topic."""
    return lambda node: node.count_publishers(topic) > 0


def add_hidden_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that admits hidden topics; the command has the same one."""
    parser.add_argument(
        '-a',
        '--all',
        '--include-hidden-topics',
        dest='include_hidden_topics',
        action='store_true',
        default=argparse.SUPPRESS,
        help='Consider hidden topics as well',
    )


class TopicNameCompleter:
    """Completes names of topics."""

    def __init__(self, *, include_hidden_topics_key: Optional[str] = None) -> None:
        self.include_hidden_topics_key = include_hidden_topics_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the names that are in the graph now."""
        from ros2cli.node.strategy import NodeStrategy

        hidden = getattr(parsed_args, self.include_hidden_topics_key or '', False)
        with NodeStrategy(parsed_args) as node:
            return get_topic_names(node=node, include_hidden_topics=hidden)


class TopicTypeCompleter:
    """Completes types of messages: of the topic that is named, or all there are."""

    def __init__(self, *, topic_name_key: Optional[str] = None) -> None:
        self.topic_name_key = topic_name_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the types."""
        from ros2cli.node.strategy import NodeStrategy
        from rosidl_runtime_py import get_message_interfaces

        if self.topic_name_key is not None:
            with NodeStrategy(parsed_args) as node:
                topics = node.get_topic_names_and_types()
            types = types_of(topics, getattr(parsed_args, self.topic_name_key))
            if types:
                return types
        found = get_message_interfaces()
        return [f'{package}/{name}' for package, names in found.items() for name in names]
