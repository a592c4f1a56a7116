# SPDX-License-Identifier: Apache-2.0
"""ROS messages as dictionaries, YAML and comma-separated values."""

import array
from collections import OrderedDict
import sys
from typing import Any, Optional

from rosidl_parser import definition
import yaml


class _MessageDumper(yaml.Dumper):
    """A YAML dumper of its own, so that no other user of PyYAML sees the representer below."""


_MessageDumper.add_representer(
    OrderedDict,
    # A list of pairs keeps the order of the fields; a dictionary would be sorted.
    lambda dumper, data: dumper.represent_mapping('tag:yaml.org,2002:map', list(data.items())),
)


def message_to_yaml(
    msg: Any,
    *,
    truncate_length: Optional[int] = None,
    no_arr: bool = False,
    no_str: bool = False,
    flow_style: bool = False,
) -> str:
    """Write a message as YAML, fields in the order of their definition.

    Args:
        msg: a message, or the bytes of a serialized one.
        truncate_length: longest string or sequence; None writes everything.
        no_arr: write type and length in place of sequences.
        no_str: write the length in place of strings.
        flow_style: one line in braces in place of one line for each field.
    """
    fields = message_to_ordereddict(
        msg, truncate_length=truncate_length, no_arr=no_arr, no_str=no_str
    )
    return yaml.dump(
        fields,
        Dumper=_MessageDumper,
        allow_unicode=True,
        width=sys.maxsize,
        default_flow_style=flow_style,
    )


def message_to_csv(
    msg: Any,
    *,
    truncate_length: Optional[int] = None,
    no_arr: bool = False,
    no_str: bool = False,
) -> str:
    """Write all values of a message, nested ones included, separated by commas."""
    if isinstance(msg, bytes):
        return str(_truncated(msg, truncate_length))

    def text(value: Any, slot_type: Any = None) -> str:
        if isinstance(value, str):
            return _string(value, truncate_length, no_str)
        if isinstance(value, bytes):
            return str(_truncated(value, truncate_length))
        if _is_sequence(value):
            if no_arr and slot_type is not None:
                return _abbreviation(value, slot_type)
            shown = value if truncate_length is None else value[:truncate_length]
            return ','.join([text(v) for v in shown] + ['...'] * (len(shown) < len(value)))
        if hasattr(value, 'get_fields_and_field_types'):
            return message_to_csv(
                value, truncate_length=truncate_length, no_arr=no_arr, no_str=no_str
            )
        return str(value)

    return ','.join(
        text(getattr(msg, name), slot_type)
        for name, slot_type in get_message_slot_types(msg).items()
    )


def message_to_ordereddict(
    msg: Any,
    *,
    truncate_length: Optional[int] = None,
    no_arr: bool = False,
    no_str: bool = False,
) -> OrderedDict:
    """Return the fields of a message, nested ones as dictionaries, in their defined order."""
    if isinstance(msg, bytes):
        return OrderedDict(bytes=_truncated(msg, truncate_length))
    return OrderedDict(
        (
            name,
            _convert_value(
                getattr(msg, name, None),
                field_type=slot_type,
                truncate_length=truncate_length,
                no_arr=no_arr,
                no_str=no_str,
            ),
        )
        for name, slot_type in get_message_slot_types(msg).items()
    )


def get_message_slot_types(msg: Any) -> OrderedDict:
    """Return the rosidl type of every field of a message, by the field's name."""
    return OrderedDict(zip(msg.get_fields_and_field_types(), msg.SLOT_TYPES))


def _convert_value(
    value: Any,
    *,
    field_type: Any = None,
    truncate_length: Optional[int] = None,
    no_arr: bool = False,
    no_str: bool = False,
) -> Any:
    """Turn one value of a message into what YAML knows."""
    options = {'truncate_length': truncate_length, 'no_arr': no_arr, 'no_str': no_str}
    if isinstance(value, bytes):
        value = value.decode('latin-1')
        return value if truncate_length is None else _truncated(value, truncate_length)
    if isinstance(value, str):
        return _string(value, truncate_length, no_str)
    if isinstance(value, (bool, int, float)):
        # numpy's double is a Python float too, but YAML would not know it.
        return value if not hasattr(value, 'item') else value.item()
    if _is_sequence(value):
        if no_arr and field_type is not None:
            return _abbreviation(value, field_type)
        return _convert_sequence(value, options)
    if isinstance(value, dict):
        # A truncated key could collide with another one.
        return type(value)(
            (_convert_value(k), _convert_value(v, **options)) for k, v in value.items()
        )
    if hasattr(value, 'item'):
        return value.item()
    return message_to_ordereddict(value, **options)


def _convert_sequence(value: Any, options: dict) -> Any:
    kind = tuple if isinstance(value, tuple) else list
    length = options['truncate_length']
    shown = value if length is None else value[:length]
    more = ['...'] if len(shown) < len(value) else []
    if hasattr(shown, 'tolist'):
        # One call for arrays of numbers: images and clouds have millions.
        return shown.tolist() + more
    return kind([_convert_value(v, **options) for v in shown] + more)


def _is_sequence(value: Any) -> bool:
    if isinstance(value, (list, tuple, array.array)):
        return True
    # By its looks, so that numpy is loaded only by messages that hold its arrays.
    return hasattr(value, 'tolist') and getattr(value, 'ndim', 0) > 0


def _truncated(value: Any, length: Optional[int]) -> Any:
    if length is None or len(value) <= length:
        return value
    return value[:length] + (b'...' if isinstance(value, bytes) else '...')


def _string(value: str, truncate_length: Optional[int], no_str: bool) -> str:
    return f'<string length: <{len(value)}>>' if no_str else _truncated(value, truncate_length)


def _abbreviation(value: Any, slot_type: Any) -> str:
    """Describe a sequence that is not to be written out."""
    name = _type_name(slot_type.value_type)
    if isinstance(slot_type, definition.Array):
        return f'<array type: {name}[{slot_type.size}]>'
    if isinstance(slot_type, definition.BoundedSequence):
        return f'<sequence type: {name}[{slot_type.maximum_size}], length: {len(value)}>'
    return f'<sequence type: {name}, length: {len(value)}>'


def _type_name(value_type: Any) -> str:
    if isinstance(value_type, definition.BasicType):
        return value_type.typename
    if isinstance(value_type, definition.AbstractString):
        return 'string'
    if isinstance(value_type, definition.AbstractWString):
        return 'wstring'
    if isinstance(value_type, definition.NamespacedType):
        return '/'.join(value_type.namespaced_name())
    return value_type.name if isinstance(value_type, definition.NamedType) else 'unknown'
