# SPDX-License-Identifier: Apache-2.0
"""The predicate that decides whether an action runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Condition:
    """Wraps a predicate that is asked when the action is visited."""

    def __init__(self, *, predicate: Optional[Callable[[LaunchContext], bool]] = None) -> None:
        """Stores the predicate.

        Args:
            predicate: Called with the context; None makes :meth:`evaluate` refuse.
        """
        self._predicate = predicate
        self.__last_result: Optional[bool] = None

    def _predicate_func(self, context: LaunchContext) -> bool:
        if self._predicate is None:
            raise NotImplementedError(f'{type(self).__name__} has no predicate')
        return self._predicate(context)

    def evaluate(self, context: LaunchContext) -> bool:
        """Asks the predicate and keeps its answer."""
        self.__last_result = self._predicate_func(context)
        return self.__last_result

    def describe(self) -> str:
        """Returns a description for people."""
        return f'{type(self).__name__}({self._predicate!r})'

    @property
    def last_result(self) -> Optional[bool]:
        """The answer of the latest evaluation, or None before the first."""
        return self.__last_result
