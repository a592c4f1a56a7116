# SPDX-License-Identifier: Apache-2.0
"""Inclusion of launch descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import pathlib
from typing import Any, Optional, TYPE_CHECKING, Union

from ..action import Action
from ..launch_description_entity import LaunchDescriptionEntity
from ..launch_description_source import LaunchDescriptionSource
from ..some_substitutions_type import SomeSubstitutionsType
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from .set_launch_configuration import SetLaunchConfiguration

if TYPE_CHECKING:
    from ..launch_context import LaunchContext
    from ..launch_description import LaunchDescription

_Arguments = Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]


class IncludeLaunchDescription(Action):
    """Includes a launch description and sets its arguments.

    The arguments are launch configurations of the including scope: they stay set after the
    inclusion unless a GroupAction around it takes them back.
    """

    def __init__(
        self,
        launch_description_source: Union[LaunchDescriptionSource, SomeSubstitutionsType],
        *,
        launch_arguments: Optional[_Arguments] = None,
        **kwargs: Any,
    ) -> None:
        """Stores source and arguments.

        Args:
            launch_description_source: The source, or the path of a launch file.
            launch_arguments: Pairs of names and values, such as a dictionary's items.
            **kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            from ..launch_description_sources import AnyLaunchDescriptionSource

            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self.__source = launch_description_source
        self.__launch_arguments = () if launch_arguments is None else tuple(launch_arguments)

    @property
    def launch_description_source(self) -> LaunchDescriptionSource:
        """The source."""
        return self.__source

    @property
    def launch_arguments(
        self,
    ) -> Sequence[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]:
        """Pairs of names and values."""
        return self.__launch_arguments

    def describe(self) -> str:
        """Returns a description for people."""
        return f'IncludeLaunchDescription({self.__source.location})'

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Returns the description if it can be had outside of a launch."""
        description = self.__source.try_get_launch_description_without_context()
        return [description] if description is not None else []

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Loads the description and checks that its arguments are given.

        Raises:
            RuntimeError: An argument without default is not given.
        """
        description = self.__source.get_launch_description(context)
        context.extend_locals(self.__location_locals())
        self.__check_arguments(context, description)
        setters = [SetLaunchConfiguration(name, value) for name, value in self.launch_arguments]
        return [*setters, description]

    def __location_locals(self) -> dict[str, str]:
        location = self.__source.location
        if not pathlib.Path(location).exists():
            # Not from a file: what the source calls its place is all there is to tell.
            place = location if location not in ('', "''") else '<script>'
            return {'current_launch_file_directory': place, 'current_launch_file_path': place}
        path = pathlib.Path(location).absolute()
        return {
            'current_launch_file_directory': str(path.parent),
            'current_launch_file_path': str(path),
        }

    def __check_arguments(self, context: LaunchContext, description: LaunchDescription) -> None:
        given = [
            perform_substitutions(context, normalize_to_list_of_substitutions(name))
            for name, _ in self.launch_arguments
        ]
        declared = description.get_launch_arguments_with_include_launch_description_actions(
            only_search_local=True
        )
        for argument, _ in declared:
            if argument._conditionally_included or argument.default_value is not None:
                continue
            if argument.name not in given:
                shown = ', '.join(given)
                raise RuntimeError(
                    'Included launch description missing required argument '
                    f"'{argument.name}' (description: '{argument.description}'), "
                    f'given: [{shown}]'
                )
