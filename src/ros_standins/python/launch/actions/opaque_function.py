# SPDX-License-Identifier: Apache-2.0
"""Functions as actions."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable
from typing import Any, cast, Optional, TYPE_CHECKING

from ..action import Action
from ..launch_description_entity import LaunchDescriptionEntity
from ..some_entities_type import SomeEntitiesType
from ..utilities import ensure_argument_type

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class OpaqueFunction(Action):
    """Calls a function with the context; what it returns is visited."""

    def __init__(
        self,
        *,
        function: Callable[..., Optional[SomeEntitiesType]],
        args: Optional[Iterable[Any]] = None,
        kwargs: Optional[dict[str, Any]] = None,
        **left_over_kwargs: Any,
    ) -> None:
        """Stores the function.

        Args:
            function: Called with the context, then ``args`` and ``kwargs``.
            args: Further arguments.
            kwargs: Further arguments by name.
            **left_over_kwargs: As of :class:`launch.Action`.
        """
        super().__init__(**left_over_kwargs)
        if not callable(function):
            raise TypeError(f"OpaqueFunction() expected a callable, got '{function}'")
        ensure_argument_type(
            args, (collections.abc.Iterable, type(None)), 'args', 'OpaqueFunction'
        )
        ensure_argument_type(kwargs, (dict, type(None)), 'kwargs', 'OpaqueFunction')
        self.__function = function
        self.__args = args if args is not None else []
        self.__kwargs = kwargs if kwargs is not None else {}

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Calls the function and returns what it returns."""
        result = self.__function(context, *self.__args, **self.__kwargs)
        return cast(Optional[list[LaunchDescriptionEntity]], result)
