# SPDX-License-Identifier: Apache-2.0
"""Installed packages, from the ament index."""

import os
from pathlib import Path
from typing import Any, Optional

from ament_index_python import get_packages_with_prefixes


class PackageNotFound(Exception):
    """No such package is installed."""

    def __init__(self, package_name: str) -> None:
        super().__init__(package_name)
        self.package_name = package_name


def get_package_names() -> list[str]:
    """Return the names of all packages."""
    return sorted(get_packages_with_prefixes())


def get_prefix_path(package_name: str) -> Optional[str]:
    """Return the prefix that a package is installed in; None where it is not."""
    return get_packages_with_prefixes().get(package_name)


def get_executable_paths(*, package_name: str) -> list[str]:
    """Return the executables that `ros2 run` finds for a package, sorted.

    Raises:
        PackageNotFound: no such package.
    """
    prefix = get_prefix_path(package_name)
    if prefix is None:
        raise PackageNotFound(package_name)
    base = Path(prefix) / 'lib' / package_name
    found = []
    for folder, folders, files in os.walk(base):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        paths = [Path(folder, name) for name in sorted(files)]
        found.extend(str(path) for path in paths if os.access(path, os.X_OK))
    return found


def package_name_completer(**_: Any) -> list[str]:
    """Complete names of packages."""
    return get_package_names()
