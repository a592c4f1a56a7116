# SPDX-License-Identifier: Apache-2.0
"""Executables of packages."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
import shutil
from typing import Any, TYPE_CHECKING

from launch.frontend import expose_substitution
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from .find_package import FindPackagePrefix

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_substitution('exec-in-pkg')
class ExecutableInPackage(FindPackagePrefix):
    """The path of an executable in a package's folder of executables."""

    def __init__(self, executable: SomeSubstitutionsType, package: SomeSubstitutionsType) -> None:
        """Stores the names.

        Args:
            executable: Name of the executable.
            package: Name of the package.
        """
        super().__init__(package)
        self.__executable = normalize_to_list_of_substitutions(executable)

    @classmethod
    def parse(
        cls, data: Sequence[SomeSubstitutionsType]
    ) -> tuple[type[ExecutableInPackage], dict[str, Any]]:
        """Reads ``$(exec-in-pkg executable package)``."""
        if len(data) != 2:
            raise AttributeError('exec-in-pkg substitution expects 2 arguments')
        return cls, {'executable': data[0], 'package': data[1]}

    @property
    def executable(self) -> list[Substitution]:
        """The executable's name."""
        return self.__executable

    def describe(self) -> str:
        """Returns a description for people."""
        package = ' + '.join(part.describe() for part in self.package)
        executable = ' + '.join(part.describe() for part in self.executable)
        return f'ExecInPkg(pkg={package}, exec={executable})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the path.

        Raises:
            ament_index_python.packages.PackageNotFoundError: There is no such package.
            SubstitutionFailure: The package has no such executable.
        """
        executable = perform_substitutions(context, self.executable)
        package = perform_substitutions(context, self.package)
        prefix = super().perform(context)
        libexec = pathlib.Path(prefix, 'lib', package)
        if not libexec.is_dir():
            raise SubstitutionFailure(
                f"package '{package}' found at '{prefix}', but libexec directory '{libexec}' "
                'does not exist'
            )
        path = shutil.which(executable, path=libexec)
        if path is None:
            raise SubstitutionFailure(
                f"executable '{executable}' not found on the libexec directory '{libexec}'"
            )
        return path
