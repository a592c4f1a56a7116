# SPDX-License-Identifier: Apache-2.0
"""Filters that pass a message on only where it differs from the last one that passed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ._filters import SimpleFilter

__all__ = [
    'CachedComparisonHandler',
    'ComparisonFilter',
    'ComparisonHandler',
    'DeltaCompare',
    'DeltaFilter',
    'PathDeltaFilter',
    'SimpleFilter',
]

Getter = Callable[[Any], Any]


class ComparisonHandler(ABC):
    """Decides which messages pass."""

    @abstractmethod
    def message_fits(self, message: Any) -> bool:
        """Tell whether a message passes."""

    def do_fields_fit(self, field_a: Any, field_b: Any) -> bool:
        """Compare one field of the last and of the new message."""
        raise NotImplementedError(f'{type(self).__name__} does not implement do_fields_fit')


class CachedComparisonHandler(ComparisonHandler):
    """Compares each message with the last one that passed, by ``_field_getters``."""

    def __init__(self) -> None:
        """Start without a message: the first one passes."""
        self._message_cache: Any = None
        self._field_getters: Sequence[Getter] = ()

    def message_fits(self, message: Any) -> bool:
        """Pass a message where at least one field fits."""
        last = self._message_cache
        fits = last is None or any(
            self.do_fields_fit(get(last), get(message)) for get in self._field_getters
        )
        if fits:
            self._message_cache = message
        return fits


class DeltaCompare(CachedComparisonHandler):
    """Lets messages pass in which a field has changed."""

    _basic_types = (bool, int, float, str)

    def __init__(self, field_getters: Sequence[Getter]) -> None:
        """Set the functions that read the fields, each a bool, int, float or str."""
        super().__init__()
        self._field_getters = field_getters

    def do_fields_fit(self, field_a: Any, field_b: Any) -> bool:
        """Tell whether a field has changed.

        Raises:
            TypeError: A field is of another type.
        """
        if not all(isinstance(field, self._basic_types) for field in (field_a, field_b)):
            raise TypeError(
                f'Unable to compare fields of types {type(field_a)} and {type(field_b)}'
            )
        return field_a != field_b


class ComparisonFilter(SimpleFilter):
    """Passes on what its handler lets through."""

    def __init__(
        self, comparison_handler: ComparisonHandler, message_filter: SimpleFilter | None = None
    ) -> None:
        """Set the handler, and connect an input where one is given."""
        super().__init__()
        self._comparison_handler = comparison_handler
        self.incoming_connection: int | None = None
        self.connectInput(message_filter)

    def add(self, message: Any) -> None:
        """Pass a message on, or not."""
        if self.message_fits(message):
            self.signalMessage(message)

    def message_fits(self, message: Any) -> bool:
        """Ask the handler."""
        return self._comparison_handler.message_fits(message)

    def connectInput(self, message_filter: SimpleFilter | None) -> None:
        """Take messages from a filter; once only."""
        if self.incoming_connection is not None:
            raise RuntimeError('This ComparisonFilter already has an incoming connection')
        if message_filter is not None:
            self.incoming_connection = message_filter.registerCallback(self.add)


class DeltaFilter(ComparisonFilter):
    """Passes on messages in which one of some fields has changed."""

    def __init__(
        self, field_getters: Sequence[Getter], message_filter: SimpleFilter | None = None
    ) -> None:
        """Set the functions that read the fields."""
        super().__init__(DeltaCompare(field_getters), message_filter)


class PathDeltaFilter(DeltaFilter):
    """As `DeltaFilter`, with the fields given by their paths (``pose.position.x``)."""

    def __init__(
        self, field_path_list: Sequence[str], message_filter: SimpleFilter | None = None
    ) -> None:
        """Set the paths."""
        getters = [partial(self.get_field_by_path, field_path=path) for path in field_path_list]
        super().__init__(getters, message_filter)

    def get_field_by_path(self, message: Any, field_path: str) -> Any:
        """Return a field by its path.

        Raises:
            RuntimeError: There is no such field.
        """
        value = message
        for name in field_path.split('.'):
            owner, value = value, getattr(value, name, None)
            if value is None:
                raise RuntimeError(
                    f'Unable to access field {name!r} of {type(owner).__name__} '
                    f'(full path: {field_path!r})'
                )
        return value
