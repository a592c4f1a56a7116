# SPDX-License-Identifier: Apache-2.0
"""Groups of actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, TYPE_CHECKING

from ..action import Action
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_substitutions_type import SomeSubstitutionsType
from .pop_environment import PopEnvironment
from .pop_launch_configurations import PopLaunchConfigurations
from .push_environment import PushEnvironment
from .push_launch_configurations import PushLaunchConfigurations
from .reset_environment import ResetEnvironment
from .reset_launch_configurations import ResetLaunchConfigurations
from .set_launch_configuration import SetLaunchConfiguration

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class GroupAction(Action):
    """Several actions, with launch configurations and environment of their own."""

    def __init__(
        self,
        actions: Iterable[Action],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: Optional[dict[SomeSubstitutionsType, SomeSubstitutionsType]] = None,
        **left_over_kwargs: Any,
    ) -> None:
        """Stores the group.

        Args:
            actions: The actions.
            scoped: Undoes their changes to configurations and environment afterwards.
            forwarding: Lets them see the configurations and the environment around them;
                only for scoped groups.
            launch_configurations: What is set for them.
            **left_over_kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**left_over_kwargs)
        self.__actions = actions
        self.__scoped = scoped
        self.__forwarding = forwarding
        self.__launch_configurations = dict(launch_configurations or {})
        self.__actions_to_return: Optional[list[LaunchDescriptionEntity]] = None

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns the actions with those that make their scope."""
        if self.__actions_to_return is None:
            self.__actions_to_return = self.__wrapped(list(self.__actions))
        return self.__actions_to_return

    def __wrapped(self, actions: list[LaunchDescriptionEntity]) -> list[LaunchDescriptionEntity]:
        configurations = self.__launch_configurations
        setters = [SetLaunchConfiguration(k, v) for k, v in configurations.items()]
        if not self.__scoped:
            return [*setters, *actions]
        before: list[LaunchDescriptionEntity] = [PushLaunchConfigurations(), PushEnvironment()]
        if self.__forwarding:
            before += setters
        else:
            before += [ResetEnvironment(), ResetLaunchConfigurations(configurations)]
        return [*before, *actions, PopEnvironment(), PopLaunchConfigurations()]

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Returns the actions with those that make their scope."""
        return self.get_sub_entities()
