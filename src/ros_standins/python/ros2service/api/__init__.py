# SPDX-License-Identifier: Apache-2.0
"""Services of the graph, by name."""

from typing import Any, Optional

from ros2cli.graph import expand_name, NamesAndTypes, types_of, without_hidden


def get_service_names_and_types(
    *, node: Any, include_hidden_services: bool = False
) -> NamesAndTypes:
    """Return the services of the graph."""
    return without_hidden(node.get_service_names_and_types(), include_hidden_services)


def get_service_names(*, node: Any, include_hidden_services: bool = False) -> list[str]:
    """Return the names of the services of the graph."""
    services = get_service_names_and_types(
        node=node, include_hidden_services=include_hidden_services
    )
    return [name for name, _ in services]


def get_service_class(
    node: Any, service: str, blocking: bool = False, include_hidden_services: bool = False
) -> Any:
    """Return the class of a service that is in the graph; None where it is not.

    Raises:
        RuntimeError: the service has more than one type.
    """
    from rosidl_runtime_py.utilities import get_service

    services = get_service_names_and_types(
        node=node, include_hidden_services=include_hidden_services
    )
    types = types_of(services, expand_name(node, service, is_service=True))
    if len(types) > 1:
        raise RuntimeError(f"Service '{service}' has more than one type: [{', '.join(types)}]")
    return get_service(types[0]) if types else None


class ServiceNameCompleter:
    """Completes names of services."""

    def __init__(self, *, include_hidden_services_key: Optional[str] = None) -> None:
        self.include_hidden_services_key = include_hidden_services_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the names that are in the graph now."""
        from ros2cli.node.strategy import NodeStrategy

        hidden = getattr(parsed_args, self.include_hidden_services_key or '', False)
        with NodeStrategy(parsed_args) as node:
            return get_service_names(node=node, include_hidden_services=hidden)


class ServiceTypeCompleter:
    """Completes types of services: of the one that is named, or all there are."""

    def __init__(self, *, service_name_key: Optional[str] = None) -> None:
        self.service_name_key = service_name_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the types."""
        from ros2cli.node.strategy import NodeStrategy
        from rosidl_runtime_py import get_service_interfaces

        if self.service_name_key is None:
            found = get_service_interfaces()
            return [f'{package}/{name}' for package, names in found.items() for name in names]
        name = getattr(parsed_args, self.service_name_key)
        with NodeStrategy(parsed_args) as node:
            return types_of(node.get_service_names_and_types(), name)


def add_hidden_argument(parser: Any) -> None:
    """Add the option that admits hidden services; the command has the same one."""
    import argparse

    parser.add_argument(
        '--include-hidden-services',
        action='store_true',
        default=argparse.SUPPRESS,
        help='Consider hidden services as well',
    )
