# SPDX-License-Identifier: Apache-2.0
"""Where packages are."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import Any, TYPE_CHECKING

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch.frontend import expose_substitution
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions import PathSubstitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class FindPackage(PathSubstitution):
    """The base of what finds a package."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        """Stores the package's name."""
        super().__init__([])
        self.__package = normalize_to_list_of_substitutions(package)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[FindPackage], dict[str, Any]]:
        """Reads the substitution with the package as its argument."""
        if len(data) != 1:
            raise AttributeError('find package substitution expects 1 argument')
        return cls, {'package': data[0]}

    @property
    def package(self) -> list[Substitution]:
        """The package's name."""
        return self.__package

    def describe(self) -> str:
        """Returns a description for people."""
        package = ' + '.join(part.describe() for part in self.package)
        return f'{type(self).__name__}(pkg={package})'

    def find(self, package_name: str) -> str:
        """Returns where a package is."""
        raise NotImplementedError(f'{type(self).__name__} does not say what it finds')

    def perform(self, context: LaunchContext) -> str:
        """Returns where the package is.

        Raises:
            ament_index_python.packages.PackageNotFoundError: There is no such package.
        """
        return self.find(perform_substitutions(context, self.package))


@expose_substitution('find-pkg-prefix')
class FindPackagePrefix(FindPackage):
    """The folder that a package is installed into."""

    def find(self, package_name: str) -> str:
        """Returns the folder that a package is installed into."""
        return str(pathlib.Path(get_package_prefix(package_name)))


@expose_substitution('find-pkg-share')
class FindPackageShare(FindPackage):
    """The folder of a package's shared files."""

    def find(self, package_name: str) -> str:
        """Returns the folder of a package's shared files."""
        return str(pathlib.Path(get_package_share_directory(package_name)))
