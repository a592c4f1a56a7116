# SPDX-License-Identifier: Apache-2.0
"""Messages filled from dictionaries, as YAML gives them."""

import array
from collections.abc import Callable
from functools import partial
from typing import Any

from rosidl_parser.definition import AbstractNestedType, BasicType, NamespacedType

from rosidl_runtime_py.convert import get_message_slot_types
from rosidl_runtime_py.import_message import import_message_from_namespaced_type

HEADER = 'std_msgs.msg._header.Header'
TIME = 'builtin_interfaces.msg._time.Time'


def set_message_fields(
    msg: Any,
    values: dict[str, Any],
    expand_header_auto: bool = False,
    expand_time_now: bool = False,
) -> list[Callable[[Any], None]]:
    """Set fields of a message; the ones that are not named keep their values.

    Args:
        msg: the message to fill.
        values: field name to value; nested messages as dictionaries. Is not changed.
        expand_header_auto: let 'auto' stand for a header that is stamped when it is sent.
        expand_time_now: let 'now' stand for a time that is set when it is sent.

    Returns:
        Setters for the stamps that 'auto' and 'now' stand for; each takes a Time.

    Raises:
        AttributeError: the message has no such field.
        TypeError: a nested message is not given as a dictionary.
        ValueError: a text does not read as the field's number.
    """
    stamps: list[Callable[[Any], None]] = []
    _fill(msg, values, stamps, expand_header_auto, expand_time_now)
    return stamps


def _fill(msg: Any, values: Any, stamps: list, auto: bool, now: bool) -> None:
    if not isinstance(values, dict):
        raise TypeError(
            f"Value '{values}' is expected to be a dictionary but is a {type(values).__name__}"
        )
    slot_types = get_message_slot_types(msg)
    for name, given in values.items():
        current = getattr(msg, name)
        class_name = f'{type(current).__module__}.{type(current).__name__}'
        if auto and class_name == HEADER and given == 'auto':
            stamps.append(partial(setattr, current, 'stamp'))
        elif now and class_name == TIME and given == 'now':
            stamps.append(partial(setattr, msg, name))
        else:
            nested = partial(_fill, stamps=stamps, auto=auto, now=now)
            setattr(msg, name, _converted(current, given, slot_types[name], nested))


def _converted(current: Any, given: Any, slot_type: Any, fill: Callable) -> Any:
    """Turn a value from YAML into what the field takes."""
    if isinstance(slot_type, AbstractNestedType):
        return _converted_sequence(current, given, slot_type.value_type, fill)
    if isinstance(given, type(current)):
        return given
    if isinstance(slot_type, NamespacedType):
        message = type(current)()
        fill(message, given)
        return message
    return _octet(given) if isinstance(current, bytes) else type(current)(given)


def _converted_sequence(current: Any, given: Any, value_type: Any, fill: Callable) -> Any:
    if isinstance(current, array.array):
        return array.array(current.typecode, given)
    if hasattr(current, 'dtype'):
        import numpy

        return numpy.array(given, dtype=current.dtype)
    if isinstance(value_type, NamespacedType):
        return [_element(value_type, value, fill) for value in given]
    if isinstance(value_type, BasicType) and value_type.typename == 'octet':
        return [_octet(value) for value in given]
    return list(given)


def _element(value_type: NamespacedType, given: Any, fill: Callable) -> Any:
    element_class = import_message_from_namespaced_type(value_type)
    if isinstance(given, element_class):
        return given
    element = element_class()
    fill(element, given)
    return element


def _octet(given: Any) -> bytes:
    """Return one byte; iterating over YAML's binary gives numbers."""
    return bytes([given]) if isinstance(given, int) else bytes(given)
