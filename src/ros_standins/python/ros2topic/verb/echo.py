# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic echo`."""

import argparse
from typing import Any, Optional

import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.task import Future
import yaml

from ros2cli.graph import expand_name
from ros2cli.helpers import positive_float, unsigned_int
from ros2cli.messages import interface_class
from ros2cli.node.strategy import add_arguments, NodeStrategy
from ros2cli.qos import add_qos_arguments, choose_qos, has_qos_options
from ros2topic.api import get_msg_class, TopicNameCompleter, TopicTypeCompleter
from ros2topic.api.expression import compile_filter
from ros2topic.verb import VerbExtension
from rosidl_runtime_py import message_to_csv, message_to_yaml
from rosidl_runtime_py.utilities import get_message

DEFAULT_TRUNCATE_LENGTH = 128


class EchoVerb(VerbExtension):
    """Output messages from a topic."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        add_arguments(parser)
        argument = parser.add_argument(
            'topic_name', help="Name of the ROS topic to listen to (e.g. '/chatter')"
        )
        argument.completer = TopicNameCompleter(include_hidden_topics_key='include_hidden_topics')
        argument = parser.add_argument(
            'message_type', nargs='?', help="Type of the ROS message (e.g. 'std_msgs/msg/String')"
        )
        argument.completer = TopicTypeCompleter(topic_name_key='topic_name')
        add_qos_arguments(parser, 'subscribe', 'sensor_data')
        _add_format_arguments(parser)
        _add_selection_arguments(parser)

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Print messages until interrupted, or as many as are wanted."""
        printer = _Printer(args)
        # With type and policies given there is nothing to learn from the graph.
        discover = args.message_type is None or not has_qos_options(args)
        found = _has_publisher(args.topic_name)
        with NodeStrategy(args, discover=discover, until=found) as node:
            if args.message_type is None:
                message_class = get_msg_class(node, args.topic_name, include_hidden_topics=True)
            else:
                message_class = interface_class(get_message, args.message_type, 'message')
            if message_class is None:
                return 'Could not determine the type for the passed topic'
            _subscribe(node, args, message_class, printer)
            if args.timeout is not None:
                node.create_timer(args.timeout, lambda: printer.finish())
            rclpy.spin_until_future_complete(node.node, printer.finished)
            # An error in a callback ends the command with its message.
            if printer.finished.exception() is not None:
                raise printer.finished.exception()
        return None


def _has_publisher(topic_name: str) -> Any:
    return lambda node: node.count_publishers(expand_name(node, topic_name)) > 0


def _subscribe(
    node: Any, args: argparse.Namespace, message_class: Any, printer: '_Printer'
) -> None:
    qos = choose_qos(node, args.topic_name, args)
    options = {'qos_profile': qos, 'raw': args.raw}
    if not args.no_lost_messages:
        callbacks = SubscriptionEventCallbacks(message_lost=_print_lost)
        try:
            node.create_subscription(
                message_class, args.topic_name, printer, event_callbacks=callbacks, **options
            )
            return
        except UnsupportedEventTypeError:
            pass
    node.create_subscription(message_class, args.topic_name, printer, **options)


class _Printer:
    """Prints what the user asked for of each message.

    Attributes:
        finished: is done when nothing more is wanted.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._fields = _parse_field(args.field)
        self._accepts = compile_filter(args.filter_expr) if args.filter_expr else None
        self._truncate_length = None if args.full_length else args.truncate_length
        self.finished: Future = Future()

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(True)

    def __call__(self, message: Any, info: dict) -> None:
        if self.finished.done():
            return
        selected = self._select(message)
        if self._accepts is not None and not self._accepts(selected):
            return
        self._print(selected, info)
        if self._args.once:
            self.finish()

    def _select(self, message: Any) -> Any:
        for step in self._fields:
            try:
                if step.startswith('[') and step[1:-1].lstrip('-').isdigit():
                    message = message[int(step[1:-1])]
                else:
                    message = getattr(message, step)
            except (AttributeError, IndexError, TypeError) as error:
                raise RuntimeError(f"Invalid field '{'.'.join(self._fields)}': {error}") from None
        return message

    def _print(self, selected: Any, info: dict) -> None:
        options = {
            'truncate_length': self._truncate_length,
            'no_arr': self._args.no_arr,
            'no_str': self._args.no_str,
        }
        if not hasattr(selected, 'get_fields_and_field_types'):
            if self._args.include_message_info:
                print(f'---Got new message, message info:---\n{info}\n---Message data:---')
            print(selected, end='\n---\n')
        elif self._args.csv:
            before = [str(value) for value in info.values()]
            before = before if self._args.include_message_info else []
            print(','.join([*before, message_to_csv(selected, **options)]))
        else:
            if self._args.include_message_info:
                print(yaml.dump(info), end='---\n')
            text = message_to_yaml(selected, flow_style=self._args.flow_style, **options)
            print(text, end='---\n')


def _parse_field(field: Optional[str]) -> list[str]:
    if field is None:
        return []
    steps = [step for step in field.replace('[', '.[').split('.') if step]
    if not steps:
        raise RuntimeError(f"Invalid field value '{field}'")
    return steps


def _print_lost(event: Any) -> None:
    print(
        f'A message was lost!!!\n\ttotal count change:{event.total_count_change}\n\t'
        f'total count: {event.total_count}',
        end='---\n',
    )


def _add_format_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--csv',
        action='store_true',
        help='Output all recursive fields separated by commas (e.g. for plotting), after the '
        'values of --include-message-info where that is given',
    )
    parser.add_argument(
        '--full-length',
        '-f',
        action='store_true',
        help="Output arrays, bytes and strings whole, not only '--truncate-length' of them",
    )
    parser.add_argument(
        '--truncate-length',
        '-l',
        type=unsigned_int,
        default=DEFAULT_TRUNCATE_LENGTH,
        help='The length to truncate arrays, bytes, and string to (default: %(default)s)',
    )
    parser.add_argument(
        '--no-arr', action='store_true', help="Don't print array fields of messages"
    )
    parser.add_argument(
        '--no-str', action='store_true', help="Don't print string fields of messages"
    )
    parser.add_argument(
        '--flow-style',
        action='store_true',
        help='Print collections in the flow style (not available with csv format)',
    )
    parser.add_argument('--raw', action='store_true', help='Echo the raw binary representation')
    parser.add_argument(
        '--include-message-info',
        '-i',
        action='store_true',
        help='Shows the associated message info.',
    )


def _add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--field',
        help="Echo a selected field of a message. Use '.' to select sub-fields "
        "and '[i]' for elements",
    )
    parser.add_argument(
        '--no-lost-messages', action='store_true', help="Don't report when a message is lost"
    )
    parser.add_argument(
        '--filter',
        dest='filter_expr',
        help='Condition on messages that are printed, in terms of m (the message)',
    )
    parser.add_argument(
        '--once', action='store_true', help='Print the first message received and then exit.'
    )
    parser.add_argument(
        '--timeout',
        metavar='N',
        type=positive_float,
        help='Set a timeout in seconds for waiting',
    )
