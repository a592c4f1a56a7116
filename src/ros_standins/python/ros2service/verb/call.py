# SPDX-License-Identifier: Apache-2.0
"""`ros2 service call`."""

import argparse
import time
from typing import Any, Optional

import rclpy

from ros2cli.helpers import collect_stdin, wait_for
from ros2cli.messages import (
    add_values_arguments,
    check_fields,
    interface_class,
    PrototypeCompleter,
    read_values,
)
from ros2cli.node import NODE_NAME_PREFIX
from ros2cli.node.direct import DirectNode
from ros2service.api import ServiceNameCompleter, ServiceTypeCompleter
from ros2service.verb import VerbExtension
from rosidl_runtime_py import set_message_fields
from rosidl_runtime_py.utilities import get_service


class CallVerb(VerbExtension):
    """Call a service."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Add the verb's arguments."""
        argument = parser.add_argument(
            'service_name', help="Name of the ROS service to call to (e.g. '/add_two_ints')"
        )
        argument.completer = ServiceNameCompleter(
            include_hidden_services_key='include_hidden_services'
        )
        argument = parser.add_argument(
            'service_type', help="Type of the ROS service (e.g. 'std_srvs/srv/Empty')"
        )
        argument.completer = ServiceTypeCompleter(service_name_key='service_name')
        argument = add_values_arguments(
            parser,
            'values',
            "Values to fill the service request with in YAML format (e.g. '{a: 1, b: 2}'); "
            'without, the request has its default values',
        )
        argument.completer = PrototypeCompleter('service_type', get_service, 'Request')
        parser.add_argument(
            '-r',
            '--rate',
            metavar='N',
            type=float,
            help='Repeat the call at a specific rate in Hz',
        )

    def main(self, *, args: argparse.Namespace) -> Optional[str]:
        """Call, once or again and again, and print request and response."""
        if args.rate is not None and args.rate <= 0:
            raise RuntimeError('rate must be greater than zero')
        values = collect_stdin() if args.stdin else args.values
        period = None if args.rate is None else 1.0 / args.rate
        return requester(args.service_type, args.service_name, values, period)


def requester(
    service_type: str, service_name: str, values: str, period: Optional[float]
) -> Optional[str]:
    """Call a service with a request from YAML.

    Args:
        service_type: 'package/srv/Name'.
        service_name: the service.
        values: the request, YAML.
        period: seconds from call to call; None calls once.

    Returns:
        A text that says why the request could not be filled, or None.

    Raises:
        RuntimeError: no such type, or the call failed.
    """
    check_fields()
    service_class = interface_class(get_service, service_type, 'service')
    fields = read_values(values)
    request = service_class.Request()
    try:
        set_message_fields(request, fields)
    except Exception as error:
        return f'Failed to populate field: {error}'
    name = f'{NODE_NAME_PREFIX}_requester_{service_type.replace("/", "_")}'
    with DirectNode(None, node_name=name, discover=False) as node:
        client = node.create_client(service_class, service_name)
        if not client.service_is_ready():
            print('waiting for service to become available...')
            wait_for(lambda: client.service_is_ready() or not rclpy.ok(), float('inf'), 0.02)
        while rclpy.ok():
            last_call = time.monotonic()
            _call(node.node, client, request)
            if period is None:
                break
            time.sleep(max(0.0, last_call + period - time.monotonic()))
    return None


def _call(node: Any, client: Any, request: Any) -> None:
    print(f'requester: making request: {request!r}\n')
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future)
    if future.result() is None:
        raise RuntimeError(f'Exception while calling service: {future.exception()!r}')
    print(f'response:\n{future.result()!r}\n')
