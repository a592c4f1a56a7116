# SPDX-License-Identifier: Apache-2.0
"""Executables of packages, found and run."""

from collections.abc import Sequence
from pathlib import Path
import signal
import subprocess
from typing import Any, Optional

from ros2pkg.api import get_executable_paths, PackageNotFound

__all__ = [
    'ExecutableNameCompleter',
    'get_executable_path',
    'get_executable_paths',
    'MultipleExecutables',
    'PackageNotFound',
    'run_executable',
]


class MultipleExecutables(Exception):
    """A package has more than one executable of a name."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(', '.join(paths))
        self.paths = paths


def get_executable_path(*, package_name: str, executable_name: str) -> Optional[str]:
    """Return the path of an executable; None where the package has none of that name.

    Raises:
        PackageNotFound: no such package.
        MultipleExecutables: there are several.
    """
    paths = get_executable_paths(package_name=package_name)
    found = [path for path in paths if Path(path).name == executable_name]
    if len(found) > 1:
        raise MultipleExecutables(found)
    return found[0] if found else None


def run_executable(
    *, path: str, argv: Sequence[str], prefix: Optional[Sequence[str]] = None
) -> int:
    """Run an executable to its end and return its exit code.

    Ctrl-C reaches it by itself, as it is in the terminal's foreground too. SIGTERM does not, and
    is passed on.
    """
    process = subprocess.Popen([*(prefix or ()), path, *argv])
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                _report(process.wait())
                return process.returncode
            except KeyboardInterrupt:
                # It has got the same signal and decides when it ends.
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)


def _report(code: int) -> None:
    if code < 0:
        print('[ros2run]:', signal.strsignal(-code))
    elif code > 0:
        print(f'[ros2run]: Process exited with failure {code}')


class ExecutableNameCompleter:
    """Completes names of a package's executables."""

    def __init__(self, *, package_name_key: str) -> None:
        self.package_name_key = package_name_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the names."""
        try:
            paths = get_executable_paths(package_name=getattr(parsed_args, self.package_name_key))
        except PackageNotFound:
            return []
        return [Path(path).name for path in paths]
