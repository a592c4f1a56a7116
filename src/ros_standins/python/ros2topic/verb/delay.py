# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic delay`."""

import argparse
from collections import deque
from typing import Any

import rclpy
from rclpy.time import Time

from ros2cli.helpers import positive_int
from ros2cli.node.direct import add_arguments, DirectNode
from ros2cli.qos import add_qos_arguments, choose_qos
from ros2topic.api import get_msg_class, is_published, TopicNameCompleter
from ros2topic.api.statistics import spread
from ros2topic.verb import VerbExtension

DEFAULT_WINDOW_SIZE = 10000
REPORT_PERIOD = 1.0


class DelayVerb(VerbExtension):
    """Display delay of topic from timestamp in header."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument('topic_name', help='Topic name to calculate the delay for')
        argument.completer = TopicNameCompleter(include_hidden_topics_key='include_hidden_topics')
        parser.add_argument(
            '--window',
            '-w',
            dest='window_size',
            type=positive_int,
            default=DEFAULT_WINDOW_SIZE,
            metavar='WINDOW',
            help='window size, in # of messages, for calculating rate (default: %(default)s)',
        )
        add_qos_arguments(parser, 'subscribe', 'sensor_data')
        add_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the delay every second until interrupted."""
        with DirectNode(args, until=is_published(args.topic_name)) as direct:
            node = direct.node
            message_class = get_msg_class(
                node, args.topic_name, blocking=True, include_hidden_topics=True
            )
            if message_class is None:
                return
            if 'header' not in message_class.get_fields_and_field_types():
                raise RuntimeError('msg does not have header')
            delays: deque[float] = deque(maxlen=args.window_size)
            clock = node.get_clock()

            def measure(message: Any) -> None:
                sent = Time.from_msg(message.header.stamp, clock_type=clock.clock_type)
                delays.append((clock.now() - sent).nanoseconds * 1e-9)

            node.create_subscription(
                message_class, args.topic_name, measure, choose_qos(node, args.topic_name, args)
            )
            node.create_timer(REPORT_PERIOD, lambda: _print(delays))
            while rclpy.ok():
                rclpy.spin_once(node)


def _print(delays: deque[float]) -> None:
    if not delays:
        return
    s = spread(delays)
    print(
        f'average delay: {s.mean:.3f}\n\tmin: {s.least:.3f}s max: {s.most:.3f}s '
        f'std dev: {s.deviation:.5f}s window: {s.count}'
    )
