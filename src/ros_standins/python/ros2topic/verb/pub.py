# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic pub`."""

import argparse
import time
from typing import Any, Optional

import rclpy
from rclpy.event_handler import PublisherEventCallbacks, UnsupportedEventTypeError
from rclpy.qos import qos_policy_name_from_kind

from ros2cli.helpers import (
    collect_stdin,
    positive_float,
    unsigned_float,
    unsigned_int,
    wait_for,
)
from ros2cli.messages import (
    add_values_arguments,
    check_fields,
    interface_class,
    PrototypeCompleter,
    read_values,
)
from ros2cli.node.direct import add_arguments, DirectNode
from ros2cli.qos import add_qos_arguments, qos_profile_from_args
from ros2topic.api import TopicNameCompleter, TopicTypeCompleter
from ros2topic.verb import VerbExtension
from rosidl_runtime_py import set_message_fields
from rosidl_runtime_py.utilities import get_message

MATCH_POLL_PERIOD = 0.02


class PubVerb(VerbExtension):
    """Publish a message to a topic."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'topic_name', help="Name of the ROS topic to publish to (e.g. '/chatter')"
        )
        argument.completer = TopicNameCompleter(include_hidden_topics_key='include_hidden_topics')
        argument = parser.add_argument(
            'message_type', help="Type of the ROS message (e.g. 'std_msgs/String')"
        )
        argument.completer = TopicTypeCompleter(topic_name_key='topic_name')
        argument = add_values_arguments(
            parser,
            'values',
            'Values to fill the message with in YAML format (e.g. "data: Hello World"); '
            'without, the message has its default values',
        )
        argument.completer = PrototypeCompleter('message_type', get_message)
        _add_pace_arguments(parser)
        add_qos_arguments(parser, 'publish', 'default')
        add_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Publish, and print what is published."""
        check_fields()
        message_class = interface_class(get_message, args.message_type, 'message')
        values = read_values(collect_stdin() if args.stdin else args.values)
        if not isinstance(values, dict):
            return 'The passed value needs to be a dictionary in YAML format'
        message = message_class()
        try:
            stamps = set_message_fields(
                message, values, expand_header_auto=True, expand_time_now=True
            )
        except Exception as error:
            return f'Failed to populate field: {error}'
        with DirectNode(args, node_name=args.node_name, discover=False) as node:
            publisher = _create_publisher(node.node, message_class, args)
            complaint = _wait_for_subscriptions(publisher, args)
            if complaint is None:
                _publish(node.node, publisher, message, stamps, args)
        return complaint


def _create_publisher(node: Any, message_class: Any, args: argparse.Namespace) -> Any:
    qos = qos_profile_from_args(args)
    callbacks = PublisherEventCallbacks(incompatible_qos=_print_incompatible)
    try:
        return node.create_publisher(
            message_class, args.topic_name, qos, event_callbacks=callbacks
        )
    except UnsupportedEventTypeError:
        return node.create_publisher(message_class, args.topic_name, qos)


def _print_incompatible(event: Any) -> None:
    policy = qos_policy_name_from_kind(event.last_policy_kind)
    print(f'Incompatible QoS Policy detected: {policy}')


def _wait_for_subscriptions(publisher: Any, args: argparse.Namespace) -> Optional[str]:
    """Wait until enough subscriptions match; return what went wrong."""
    wanted = args.wait_matching_subscriptions
    if wanted is None:
        wanted = 1 if args.once or args.times else 0

    def are_enough() -> bool:
        return publisher.get_subscription_count() >= wanted or not rclpy.ok()

    if are_enough():
        return None
    print(f'Waiting for at least {wanted} matching subscription(s)...')
    limit = args.max_wait_time_secs
    if wait_for(are_enough, float('inf') if limit is None else limit, MATCH_POLL_PERIOD):
        return None
    return (
        f'Timed out waiting for subscribers: Expected {wanted} subcribers but only got '
        f'{publisher.get_subscription_count()} subscribers'
    )


def _publish(
    node: Any, publisher: Any, message: Any, stamps: list, args: argparse.Namespace
) -> None:
    print('publisher: beginning loop')
    count = 0
    times = 1 if args.once else args.times

    def publish() -> None:
        nonlocal count
        count += 1
        now = node.get_clock().now().to_msg()
        for set_stamp in stamps:
            set_stamp(now)
        if args.print and count % args.print == 0:
            print(f'publishing #{count}: {message!r}\n')
        publisher.publish(message)

    if rclpy.ok():
        publish()
    timer = node.create_timer(1.0 / args.rate, publish)
    while rclpy.ok() and (times == 0 or count < times):
        rclpy.spin_once(node)
    timer.cancel()
    _stay(node, args.keep_alive)


def _stay(node: Any, seconds: float) -> None:
    """Keep the publisher there, so that the last message reaches others."""
    end = time.monotonic() + seconds
    while rclpy.ok() and (left := end - time.monotonic()) > 0:
        rclpy.spin_once(node, timeout_sec=left)


def _add_pace_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '-r',
        '--rate',
        metavar='N',
        type=positive_float,
        default=1.0,
        help='Publishing rate in Hz (default: 1)',
    )
    parser.add_argument(
        '-p',
        '--print',
        metavar='N',
        type=int,
        default=1,
        help='Only print every N-th published message (default: 1)',
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument('-1', '--once', action='store_true', help='Publish one message and exit')
    group.add_argument(
        '-t',
        '--times',
        type=unsigned_int,
        default=0,
        help='Publish this number of times and then exit',
    )
    parser.add_argument(
        '-w',
        '--wait-matching-subscriptions',
        type=unsigned_int,
        help='Wait until finding the specified number of matching subscriptions. Defaults to 1 '
        'when using "-1"/"--once"/"--times", otherwise defaults to 0.',
    )
    parser.add_argument(
        '--max-wait-time-secs',
        type=positive_float,
        help='Longest wait for matching subscriptions, in seconds (default: no limit)',
    )
    parser.add_argument(
        '--keep-alive',
        metavar='N',
        type=unsigned_float,
        default=0.1,
        help='Keep publishing node alive for N seconds after the last msg (default: 0.1)',
    )
    parser.add_argument('-n', '--node-name', help='Name of the created publishing node')
