# SPDX-License-Identifier: Apache-2.0
"""The states of managed nodes."""

from collections.abc import Iterable
from typing import Any

from lifecycle_msgs.msg import State, Transition, TransitionDescription
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState

from ros2cli.calls import call_service
from ros2node.api import get_node_names, NodeName

GET_STATE_TYPE = 'lifecycle_msgs/srv/GetState'


def get_lifecycle_node_names(*, node: Any, include_hidden_nodes: bool = False) -> list[NodeName]:
    """Return the nodes that have a lifecycle."""
    managed = {
        name.rpartition('/')[0]
        for name, types in node.get_service_names_and_types()
        if name.endswith('/get_state') and GET_STATE_TYPE in types
    }
    names = get_node_names(node=node, include_hidden_nodes=include_hidden_nodes)
    return [name for name in names if name.full_name in managed]


def call_get_states(*, node: Any, node_names: Iterable[str]) -> dict[str, Any]:
    """Return the state of each node, or the RuntimeError that asking for it ended with."""
    return {
        name: _answer(node, GetState, f'{name}/get_state', GetState.Request(), _state)
        for name in node_names
    }


def call_get_available_transitions(*, node: Any, node_name: str) -> list[TransitionDescription]:
    """Return the transitions that a node can make from the state it is in.

    Raises:
        RuntimeError: the node does not answer.
    """
    request = GetAvailableTransitions.Request()
    name = f'{node_name}/get_available_transitions'
    return list(call_service(node, GetAvailableTransitions, name, request).available_transitions)


def call_get_transition_graph(*, node: Any, node_name: str) -> list[TransitionDescription]:
    """Return all the transitions of a node.

    Raises:
        RuntimeError: the node does not answer.
    """
    request = GetAvailableTransitions.Request()
    name = f'{node_name}/get_transition_graph'
    return list(call_service(node, GetAvailableTransitions, name, request).available_transitions)


def call_change_state(*, node: Any, node_name: str, transition: Transition) -> bool:
    """Ask a node to make a transition and return whether it did.

    Raises:
        RuntimeError: the node does not answer.
    """
    request = ChangeState.Request(transition=transition)
    return call_service(node, ChangeState, f'{node_name}/change_state', request).success


def _state(response: GetState.Response) -> State:
    return response.current_state


def _answer(node: Any, service_class: Any, name: str, request: Any, convert: Any) -> Any:
    try:
        return convert(call_service(node, service_class, name, request))
    except RuntimeError as error:
        return error
