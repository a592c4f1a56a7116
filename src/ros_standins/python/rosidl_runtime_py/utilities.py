# SPDX-License-Identifier: Apache-2.0
"""Interface classes from their names."""

from typing import Any


def get_namespaced_type(full_name: str) -> Any:
    """Return rosidl's type for 'package/namespace/Name'."""
    from rosidl_parser.definition import NamespacedType

    parts = full_name.split('/')
    if len(parts) < 3 or not all(parts):
        raise ValueError(
            f"expected the full name of an interface (e.g. 'std_msgs/msg/Bool'), got '{full_name}'"
        )
    return NamespacedType(parts[:-1], parts[-1])


def get_interface(identifier: str) -> Any:
    """Return the class of a message, service or action.

    Args:
        identifier: 'package/msg/Name', 'package/srv/Name' or 'package/action/Name'.

    Raises:
        ValueError: the identifier has another form.
        ModuleNotFoundError: no such package, or none of that kind in it.
        AttributeError: the package has no interface of that name.
    """
    from rosidl_runtime_py.import_message import import_message_from_namespaced_type

    return import_message_from_namespaced_type(get_namespaced_type(identifier))


def get_message(identifier: str) -> Any:
    """Return a message class; 'package/Name' is enough."""
    return _of_kind(identifier, 'msg', 'message', is_message)


def get_service(identifier: str) -> Any:
    """Return a service class; 'package/Name' is enough."""
    return _of_kind(identifier, 'srv', 'service', is_service)


def get_action(identifier: str) -> Any:
    """Return an action class; 'package/Name' is enough."""
    return _of_kind(identifier, 'action', 'action', is_action)


def _of_kind(identifier: str, namespace: str, word: str, is_kind: Any) -> Any:
    parts = identifier.split('/')
    if len(parts) == 2:
        parts.insert(1, namespace)
    interface = get_interface('/'.join(parts))
    if not is_kind(interface):
        raise ValueError(f"Expected the full name of a {word}, got '{identifier}'")
    return interface


def is_message(interface: Any) -> bool:
    """Tell whether a class is a message's."""
    return hasattr(interface, 'get_fields_and_field_types')


def is_service(interface: Any) -> bool:
    """Tell whether a class is a service's."""
    return hasattr(interface, 'Request') and hasattr(interface, 'Response')


def is_action(interface: Any) -> bool:
    """Tell whether a class is an action's."""
    return all(hasattr(interface, part) for part in ('Goal', 'Result', 'Feedback'))
