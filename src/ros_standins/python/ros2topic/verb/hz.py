# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic hz`."""

import argparse
from typing import Any, Optional

import rclpy
from rclpy.clock import Clock, ClockType

from ros2cli.graph import expand_name
from ros2cli.helpers import positive_int
from ros2cli.node.direct import add_arguments, DirectNode
from ros2cli.qos import add_qos_arguments, choose_qos
from ros2topic.api import get_msg_class, TopicNameCompleter
from ros2topic.api.expression import compile_filter
from ros2topic.api.statistics import Rate, Spread
from ros2topic.verb import VerbExtension

DEFAULT_WINDOW_SIZE = 10000
COLUMNS = ('topic', 'rate', 'min_delta', 'max_delta', 'std_dev', 'window')


class HzVerb(VerbExtension):
    """Print the average receiving rate to screen."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'topic_name', nargs='+', help="Names of the ROS topics to listen to (e.g. '/chatter')"
        )
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
        parser.add_argument(
            '--filter',
            dest='filter_expr',
            metavar='EXPR',
            help='only measure messages matching the expression in m (the message)',
        )
        parser.add_argument(
            '--wall-time',
            dest='use_wtime',
            action='store_true',
            help='calculates rate using wall time which can be helpful when clock is not '
            'published during simulation',
        )
        add_qos_arguments(parser, 'subscribe', 'sensor_data')
        add_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> None:
        """Print the rates every second until interrupted."""
        accepts = compile_filter(args.filter_expr) if args.filter_expr else None
        rates = {name: Rate(args.window_size) for name in args.topic_name}
        with DirectNode(args, until=_are_published(args.topic_name)) as direct:
            node = direct.node
            clock = Clock(clock_type=ClockType.SYSTEM_TIME) if args.use_wtime else node.get_clock()
            for name, rate in rates.items():
                _subscribe(node, name, rate, clock, accepts, args)
                if len(rates) > 1:
                    print(f'Subscribed to [{name}]')
            while rclpy.ok():
                rclpy.spin_once(node)
                _print_rates(rates)


def _are_published(topics: list[str]) -> Any:
    return lambda node: all(node.count_publishers(expand_name(node, t)) > 0 for t in topics)


def _subscribe(
    node: Any, topic: str, rate: Rate, clock: Any, accepts: Any, args: argparse.Namespace
) -> None:
    message_class = get_msg_class(node, topic, blocking=True, include_hidden_topics=True)

    def count(message: Any) -> None:
        now = clock.now().nanoseconds
        # The clock of a simulation stands at zero until its first message.
        if now > 0 and (accepts is None or accepts(message)):
            rate.add(now)

    # Only a filter looks into messages: without, large ones stay as they came.
    node.create_subscription(
        message_class, topic, count, choose_qos(node, topic, args), raw=accepts is None
    )


def _print_rates(rates: dict[str, Rate]) -> None:
    if len(rates) == 1:
        report = next(iter(rates.values())).take_report()
        if report is not None:
            _print_one(report)
        return
    rows = [(name, rate.take_report()) for name, rate in rates.items()]
    rows = [(name, report) for name, report in rows if report is not None]
    if rows:
        _print_table(rows)


def _print_one(report: Spread) -> None:
    print(
        f'average rate: {_rate(report):.3f}\n'
        f'\tmin: {report.least:.3f}s max: {report.most:.3f}s '
        f'std dev: {report.deviation:.5f}s window: {report.count}'
    )


def _print_table(rows: list[tuple[str, Optional[Spread]]]) -> None:
    cells = [
        (
            name,
            f'{_rate(report):.3f}',
            f'{report.least:.3f}',
            f'{report.most:.3f}',
            f'{report.deviation:.5f}',
            str(report.count),
        )
        for name, report in rows
    ]
    widths = [max(len(cell) for cell in column) + 4 for column in zip(COLUMNS, *cells)]
    header = ''.join(title.rjust(width) for title, width in zip(COLUMNS, widths))
    print(header)
    print('=' * len(header))
    for row in cells:
        print(row[0].ljust(widths[0]), *(c.ljust(w) for c, w in zip(row[1:], widths[1:])))


def _rate(report: Spread) -> float:
    return 1.0 / report.mean if report.mean > 0 else 0.0
