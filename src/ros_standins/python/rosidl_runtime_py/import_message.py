# SPDX-License-Identifier: Apache-2.0
"""Message classes from rosidl's types."""

from importlib import import_module
from typing import Any
import warnings

from rosidl_parser.definition import AbstractNestedType, NamespacedType


def import_message_from_namespaced_type(message_type: NamespacedType) -> Any:
    """Return the class of a message, also of the parts of services and actions."""
    if isinstance(message_type, AbstractNestedType):
        warnings.warn('pass the type of the elements', DeprecationWarning, stacklevel=2)
        message_type = message_type.value_type
    module = import_module('.'.join(message_type.namespaces))
    return _part_of(module, message_type.name)


def _part_of(module: Any, name: str) -> Any:
    """Find `name`, or `Interface_Part` as the attribute `Part` of `Interface`."""
    if hasattr(module, name):
        return getattr(module, name)
    interface, _, part = name.partition('_')
    owner = getattr(module, interface)
    if part == 'FeedbackMessage':
        return owner.Impl.FeedbackMessage
    for piece in part.split('_'):
        owner = getattr(owner, piece, None) or getattr(owner.Impl, f'{piece}Service')
    return owner
