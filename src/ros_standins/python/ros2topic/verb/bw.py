# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic bw`."""

import argparse
from collections import deque
import time
from typing import Optional

import rclpy

from ros2cli.helpers import positive_int
from ros2cli.node.direct import add_arguments, DirectNode
from ros2cli.qos import add_qos_arguments, choose_qos
from ros2topic.api import get_msg_class, is_published, TopicNameCompleter
from ros2topic.api.statistics import spread
from ros2topic.verb import VerbExtension

DEFAULT_WINDOW_SIZE = 100
REPORT_PERIOD = 1.0


class BwVerb(VerbExtension):
    """Display bandwidth used by topic."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'topic_name', help='Topic name to monitor bandwidth utilization'
        )
        argument.completer = TopicNameCompleter(include_hidden_topics_key='include_hidden_topics')
        parser.add_argument(
            '--window',
            '-w',
            dest='window_size',
            type=positive_int,
            default=DEFAULT_WINDOW_SIZE,
            metavar='WINDOW',
            help='maximum window size, in # of messages, for calculating rate '
            '(default: %(default)s)',
        )
        add_qos_arguments(parser, 'subscribe', 'sensor_data')
        add_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the bandwidth every second until interrupted."""
        with DirectNode(args, until=is_published(args.topic_name)) as direct:
            node = direct.node
            message_class = get_msg_class(
                node, args.topic_name, blocking=True, include_hidden_topics=True
            )
            if message_class is None:
                return
            bandwidth = Bandwidth(args.window_size)
            node.create_subscription(
                message_class,
                args.topic_name,
                lambda data: bandwidth.add(time.monotonic(), len(data)),
                choose_qos(node, args.topic_name, args),
                raw=True,
            )
            print(f'Subscribed to [{args.topic_name}]')
            node.create_timer(REPORT_PERIOD, lambda: _print(bandwidth.report(time.monotonic())))
            while rclpy.ok():
                rclpy.spin_once(node)


class Bandwidth:
    """The sizes of the last messages.

    Args:
        window_size: how many messages count.
    """

    def __init__(self, window_size: int) -> None:
        self._messages: deque[tuple[float, int]] = deque(maxlen=window_size)

    def add(self, now: float, size: int) -> None:
        """Note a message.

        Args:
            now: seconds of a steady clock.
            size: of the serialized message, bytes.
        """
        self._messages.append((now, size))

    def report(self, now: float) -> Optional[str]:
        """Describe the bandwidth; None until there are two messages."""
        if len(self._messages) < 2:
            return None
        sizes = [size for _, size in self._messages]
        per_second = sum(sizes) / (now - self._messages[0][0])
        if per_second < 1e3:
            unit, form = 1.0, '{:.0f} B'
        elif per_second < 1e6:
            unit, form = 1e3, '{:.2f} KB'
        else:
            unit, form = 1e6, '{:.2f} MB'
        s = spread(sizes)
        rate, mean, least, most = (
            form.format(v / unit) for v in (per_second, s.mean, s.least, s.most)
        )
        return (
            f'{rate}/s from {s.count} messages\n'
            f'\tMessage size mean: {mean} min: {least} max: {most}'
        )


def _print(report: Optional[str]) -> None:
    if report is not None:
        print(report)
