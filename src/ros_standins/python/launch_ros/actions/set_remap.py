# SPDX-License-Identifier: Apache-2.0
"""Remapping rules for all nodes of a scope."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from launch.action import Action
from launch.frontend import expose_action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import perform_substitutions

from ..utilities import normalize_remap_rule

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('set_remap')
class SetRemap(Action):
    """Remaps a name for the nodes that follow, up to the end of the group."""

    def __init__(
        self, src: SomeSubstitutionsType, dst: SomeSubstitutionsType, **kwargs: Any
    ) -> None:
        """Stores the names, from and to."""
        super().__init__(**kwargs)
        self.__src, self.__dst = normalize_remap_rule((src, dst))

    @property
    def src(self) -> tuple[Substitution, ...]:
        """The name that is remapped."""
        return self.__src

    @property
    def dst(self) -> tuple[Substitution, ...]:
        """The name that it becomes."""
        return self.__dst

    def execute(self, context: LaunchContext) -> None:
        """Adds the rule."""
        rule = perform_substitutions(context, self.src), perform_substitutions(context, self.dst)
        configurations: Any = context.launch_configurations
        configurations['ros_remaps'] = [*configurations.get('ros_remaps', ()), rule]
