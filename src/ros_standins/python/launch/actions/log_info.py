# SPDX-License-Identifier: Apache-2.0
"""Messages."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from .. import logging as launch_logging
from ..action import Action
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class LogInfo(Action):
    """Logs a message for the user."""

    def __init__(self, *, msg: SomeSubstitutionsType, **kwargs: Any) -> None:
        """Stores the message."""
        super().__init__(**kwargs)
        self.__msg = normalize_to_list_of_substitutions(msg)

    @property
    def msg(self) -> list[Substitution]:
        """The message."""
        return self.__msg

    def execute(self, context: LaunchContext) -> None:
        """Logs the message."""
        launch_logging.get_logger('launch.user').info(perform_substitutions(context, self.msg))
