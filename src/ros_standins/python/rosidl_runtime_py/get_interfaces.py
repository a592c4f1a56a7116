# SPDX-License-Identifier: Apache-2.0
"""The interfaces that are installed, from the ament index."""

from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from ament_index_python import (
    get_package_share_directory,
    get_resource,
    get_resources,
    has_resource,
)

RESOURCE_TYPE = 'rosidl_interfaces'
SUFFIXES = {'msg': '.msg', 'srv': '.srv', 'action': '.action'}


def get_interface_packages() -> dict[str, str]:
    """Return the packages that define interfaces, with the prefix of each."""
    return get_resources(RESOURCE_TYPE)


def get_interfaces(package_names: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the interfaces of packages, of all where none is named.

    Returns:
        Package name to sorted names such as 'msg/Bool'. Packages without interfaces are left out.

    Raises:
        LookupError: a package is not installed.
    """
    return _interfaces(package_names, None)


def get_message_interfaces(package_names: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the messages of packages."""
    return _interfaces(package_names, 'msg')


def get_service_interfaces(package_names: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the services of packages."""
    return _interfaces(package_names, 'srv')


def get_action_interfaces(package_names: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the actions of packages."""
    return _interfaces(package_names, 'action')


def get_interface_path(*parts: str) -> str:
    """Return the file that defines an interface.

    Args:
        parts: 'package/msg/Name', in one piece or several; a suffix chooses that very file.

    Raises:
        ValueError: the name has not three parts.
        LookupError: no such package, or no such interface in it.
    """
    name = '/'.join(parts)
    pieces = name.split('/')
    if len(pieces) < 3:
        raise ValueError(f"Invalid name '{name}'. Expected at least three parts separated by '/'")
    package, relative = pieces[0], '/'.join(pieces[1:])
    known = set(_files(package))
    wanted = [relative, relative + SUFFIXES.get(pieces[-2], ''), f'{relative}.idl']
    for candidate in wanted:
        if candidate in known:
            return str(Path(get_package_share_directory(package)) / candidate)
    raise LookupError(f"Interface '{relative}' not found in package '{package}'")


def _interfaces(package_names: Iterable[str], namespace: Optional[str]) -> dict[str, list[str]]:
    if isinstance(package_names, str):
        package_names = [package_names]
    packages = sorted(package_names) or sorted(get_interface_packages())
    found = {package: _names(package, namespace) for package in packages}
    return {package: names for package, names in found.items() if names}


def _names(package: str, namespace: Optional[str]) -> list[str]:
    # `Name_Request` and the like are generated parts, not interfaces.
    stems = {file.rsplit('.', 1)[0] for file in _files(package) if '_' not in Path(file).name}
    return sorted(s for s in stems if namespace is None or s.startswith(f'{namespace}/'))


def _files(package: str) -> list[str]:
    """Return the interface files that a package has registered, relative to its share folder."""
    if not has_resource('packages', package):
        raise LookupError(f"Unknown package '{package}'")
    if not has_resource(RESOURCE_TYPE, package):
        return []
    content, _ = get_resource(RESOURCE_TYPE, package)
    return content.split()
