# SPDX-License-Identifier: Apache-2.0
"""Parameters as those of rclpy."""

from __future__ import annotations

from collections.abc import Iterable
import pathlib
from typing import Any, TYPE_CHECKING

from ..parameter_descriptions import Parameter

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext
    from rclpy.parameter import Parameter as RclpyParameter


def to_parameters_list(
    context: LaunchContext,
    node_name: str,
    namespace: str,
    evaluated_parameters: Iterable[Any],
) -> list[RclpyParameter]:
    """Returns evaluated parameters as those of rclpy that apply to a node.

    Args:
        context: The context.
        node_name: Name of the node, without its namespace.
        namespace: Namespace of the node.
        evaluated_parameters: As of :func:`evaluate_parameters`.
    """
    import rclpy.parameter

    result: list[RclpyParameter] = []
    for params in evaluated_parameters:
        if isinstance(params, pathlib.Path):
            full_name = f'{namespace.rstrip("/")}/{node_name}'
            messages = rclpy.parameter.parameter_dict_from_yaml_file(
                str(params), use_wildcard=True, target_nodes=[full_name]
            )
            result += [
                rclpy.parameter.Parameter.from_parameter_msg(message)
                for message in messages.values()
            ]
            continue
        items = [params.evaluate(context)] if isinstance(params, Parameter) else params.items()
        result += [rclpy.parameter.Parameter(name, value=_plain(value)) for name, value in items]
    return result


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
