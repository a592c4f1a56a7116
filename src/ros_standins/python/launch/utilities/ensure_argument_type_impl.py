# SPDX-License-Identifier: Apache-2.0
"""A check of the type of one argument."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable
from typing import Any, Optional, Union


def ensure_argument_type(
    argument: Any,
    types: Union[type[Any], Iterable[type[Any]]],
    argument_name: str,
    caller: Optional[str] = None,
) -> None:
    """Raises TypeError unless ``argument`` is of one of ``types``.

    Args:
        argument: The value.
        types: A type or several.
        argument_name: The argument's name, for the message.
        caller: Who was called, for the message.

    Raises:
        TypeError: The value is of another type, or ``types`` holds no types.
    """
    if not isinstance(types, collections.abc.Iterable):
        types = [types]
    allowed = tuple(types)
    for one in allowed:
        if not isinstance(one, type):
            raise TypeError(f"'types' of ensure_argument_type() holds {one!r}, not a type")
    if isinstance(argument, allowed):
        return
    names = ', '.join(f"'{one.__name__}'" for one in allowed)
    where = f"'{caller}' " if caller is not None else ''
    raise TypeError(
        f"{where}argument '{argument_name}' expected one of {names}, "
        f"but got '{argument}' of type '{type(argument).__name__}'"
    )
