# SPDX-License-Identifier: Apache-2.0
"""Where launch descriptions come from."""

from __future__ import annotations

from typing import Optional, TYPE_CHECKING

from . import logging as launch_logging
from .launch_description import LaunchDescription
from .some_substitutions_type import SomeSubstitutionsType
from .utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class LaunchDescriptionSource:
    """A launch description that is there already, or a file that holds one."""

    def __init__(
        self,
        launch_description: Optional[LaunchDescription] = None,
        location: Optional[SomeSubstitutionsType] = None,
        method: str = 'unspecified mechanism from a script',
    ) -> None:
        """Stores the description or its location.

        Args:
            launch_description: The description, or None to load it from ``location``.
            location: Path of the file.
            method: How the description is obtained, in words.
        """
        self.__launch_description = launch_description
        self.__location = normalize_to_list_of_substitutions(
            location if location is not None else ''
        )
        self.__expanded_location: Optional[str] = None
        self.__method = method
        self.__logger = launch_logging.get_logger(__name__)

    def try_get_launch_description_without_context(self) -> Optional[LaunchDescription]:
        """Returns the description if it can be had outside of a launch, else None."""
        if self.__launch_description is not None:
            return self.__launch_description
        from .launch_context import LaunchContext

        try:
            return self.get_launch_description(LaunchContext())
        except Exception as error:
            # Introspection goes on without it; the launch itself reports the error.
            self.__logger.debug(f'could not load {self.location} without a context: {error!r}')
            self.__expanded_location = None
            return None

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Returns the description, loading it at the first call."""
        if self.__expanded_location is None:
            self.__expanded_location = perform_substitutions(context, self.__location)
        if self.__launch_description is None:
            self.__launch_description = self._get_launch_description(self.__expanded_location)
        return self.__launch_description

    def _get_launch_description(self, location: str) -> LaunchDescription:
        raise NotImplementedError(f'{type(self).__name__} has no launch description to give')

    @property
    def location(self) -> str:
        """The path once it is known, before that a description of it."""
        if self.__expanded_location is None:
            return ' + '.join(str(part.describe()) for part in self.__location)
        return self.__expanded_location

    @property
    def method(self) -> str:
        """How the description is obtained, in words."""
        return self.__method
