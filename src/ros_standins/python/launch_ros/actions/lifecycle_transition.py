# SPDX-License-Identifier: Apache-2.0
"""Changes of the states of lifecycle nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Optional, TYPE_CHECKING, Union

from launch import logging as launch_logging
from launch.action import Action
from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handler import EventHandler
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from ..events import matches_node_name
from ..events.lifecycle import ChangeState, StateTransition

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class _States(NamedTuple):
    """The state in which a transition is at work, and that to which it leads."""

    during: str
    after: str


_TRANSITIONS = {
    1: _States('configuring', 'inactive'),
    2: _States('cleaningup', 'unconfigured'),
    3: _States('activating', 'active'),
    4: _States('deactivating', 'inactive'),
    5: _States('shuttingdown', 'finalized'),
    6: _States('shuttingdown', 'finalized'),
    7: _States('shuttingdown', 'finalized'),
}


class LifecycleTransition(Action):
    """Has lifecycle nodes make transitions, each one when the one before has succeeded."""

    def __init__(
        self,
        *,
        lifecycle_node_names: Iterable[SomeSubstitutionsType],
        transition_ids: Iterable[Union[int, SomeSubstitutionsType]],
        **kwargs: Any,
    ) -> None:
        """Stores nodes and transitions.

        Args:
            lifecycle_node_names: Names of the nodes.
            transition_ids: Numbers of lifecycle_msgs.msg.Transition, in order.
            **kwargs: As of :class:`launch.Action`.

        Raises:
            ValueError: There are no nodes or no transitions.
        """
        super().__init__(**kwargs)
        names, ids = list(lifecycle_node_names), list(transition_ids)
        if not ids:
            raise ValueError('No transition_ids provided.')
        if not names:
            raise ValueError('No lifecycle_node_names provided.')
        self.__names = [normalize_to_list_of_substitutions(name) for name in names]
        self.__ids = [
            normalize_to_list_of_substitutions(str(number) if isinstance(number, int) else number)
            for number in ids
        ]

    def execute(self, context: LaunchContext) -> list[Action]:
        """Returns the registration of what follows the nodes, and the first transitions.

        Raises:
            ValueError: A number is not that of a transition which can be asked for.
        """
        ids = [_transition_id(perform_substitutions(context, number)) for number in self.__ids]
        chains = [_Chain(perform_substitutions(context, name), ids) for name in self.__names]
        registrations: list[Action] = [RegisterEventHandler(chain.handler) for chain in chains]
        return [*registrations, *(chain.next_emission() for chain in chains)]


def _transition_id(text: str) -> int:
    if not text.isdigit() or int(text) not in _TRANSITIONS:
        raise ValueError(
            f"expected the number of a transition that can be asked for, got '{text}'"
        )
    return int(text)


class _Chain:
    """One node's way through its transitions."""

    def __init__(self, name: str, ids: list[int]) -> None:
        self._name = name
        self._matches = matches_node_name(name)
        self._left = list(ids)
        self.handler = EventHandler(
            matcher=lambda event: (
                isinstance(event, StateTransition) and self._matches(event.action)
            ),
            entities=OpaqueFunction(function=self._advance),
        )

    def next_emission(self) -> EmitEvent:
        event = ChangeState(lifecycle_node_matcher=self._matches, transition_id=self._left[0])
        return EmitEvent(event=event)

    def _advance(self, context: LaunchContext) -> Optional[list[Action]]:
        event: StateTransition = context.locals.event
        expected = _TRANSITIONS[self._left[0]]
        reached = (event.start_state, event.goal_state)
        if reached == expected:
            self._left.pop(0)
            if self._left:
                return [self.next_emission()]
        elif event.start_state != expected.during:
            # The beginning of the transition, or one that somebody else asked for.
            return None
        else:
            launch_logging.get_logger(__name__).error(
                f'Stopping transitions for {self._name} because it went from '
                f"'{reached[0]}' to '{reached[1]}'"
            )
        context.unregister_event_handler(self.handler)
        return None
