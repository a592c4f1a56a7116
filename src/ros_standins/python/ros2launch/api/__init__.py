# SPDX-License-Identifier: Apache-2.0
"""Launch files, found, described and launched."""

from collections.abc import Iterable, Iterator
import os
from pathlib import Path
from typing import Any, Optional

from ament_index_python import get_package_share_directory, PackageNotFoundError

LAUNCH_FILE_SUFFIXES = ('launch.py', 'launch.xml', 'launch.yaml', 'launch.yml')


class MultipleLaunchFilesError(Exception):
    """A package has more than one file of a name.

    Attributes:
        paths: where they are.
    """

    def __init__(self, msg: str, paths: list[str]) -> None:
        super().__init__(msg)
        self.paths = paths


def get_share_file_path_from_package(*, package_name: str, file_name: str) -> str:
    """Return the path of a file anywhere in the share folder of a package.

    Raises:
        PackageNotFoundError: no such package.
        FileNotFoundError: no such file in it.
        MultipleLaunchFilesError: there are several.
    """
    share = get_package_share_directory(package_name)
    found = [path for path in _walk(share) if Path(path).name == file_name]
    if not found:
        raise FileNotFoundError(
            f"file '{file_name}' was not found in the share directory of package "
            f"'{package_name}' which is at '{share}'"
        )
    if len(found) > 1:
        listed = ', '.join(f"'{path}'" for path in found)
        raise MultipleLaunchFilesError(
            f"file '{file_name}' was found more than once in the share directory of package "
            f"'{package_name}': [{listed}]",
            found,
        )
    return found[0]


def get_launch_file_paths(*, path: str) -> list[str]:
    """Return all launch files below a folder."""
    return [file for file in _walk(path) if is_launch_file(file)]


def is_launch_file(path: str) -> bool:
    """Tell whether a file is a launch file, by its name."""
    return path.endswith(LAUNCH_FILE_SUFFIXES) and Path(path).is_file()


def _walk(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield str(Path(parent, name))


def parse_launch_arguments(launch_arguments: Iterable[str]) -> list[tuple[str, str]]:
    """Split arguments of the form 'name:=value'; of two with one name, the last one counts.

    Raises:
        RuntimeError: an argument has another form.
    """
    parsed: dict[str, str] = {}
    for argument in launch_arguments:
        name, separator, value = argument.partition(':=')
        # 'a:=:=' is a value that looks odd, 'a:=' is none at all.
        if not separator or not name or not value:
            raise RuntimeError(
                f"malformed launch argument '{argument}', expected format '<name>:=<value>'"
            )
        parsed[name] = value
    return list(parsed.items())


def print_a_launch_file(*, launch_file_path: str) -> None:
    """Print what a launch file describes."""
    import launch
    from launch.launch_description_sources import get_launch_description_from_any_launch_file

    description = get_launch_description_from_any_launch_file(launch_file_path)
    print(launch.LaunchIntrospector().format_launch_description(description))


def print_arguments_of_launch_file(*, launch_file_path: str) -> None:
    """Print the arguments that a launch file declares."""
    from launch.launch_description_sources import get_launch_description_from_any_launch_file

    description = get_launch_description_from_any_launch_file(launch_file_path)
    print_arguments_of_launch_description(launch_description=description)


def print_arguments_of_launch_description(*, launch_description: Any) -> None:
    """Print the arguments that a launch description declares."""
    arguments = launch_description.get_launch_arguments()
    print("Arguments (pass arguments as '<name>:=<value>'):")
    for argument in arguments:
        print(_describe_argument(argument))
    if not arguments:
        print('\n  No arguments.')
    elif any(_is_conditional(argument) for argument in arguments):
        print('\n* argument(s) which are only used if specific conditions occur')


def _describe_argument(argument: Any) -> str:
    """Return the lines for one argument: name, description and default."""
    star = '*' if _is_conditional(argument) else ''
    lines = [f"\n    '{argument.name}':{star}", f'        {argument.description}']
    if argument.default_value is not None:
        default = ' + '.join(token.describe() for token in argument.default_value)
        lines.append(f'        (default: {default})')
    return '\n'.join(lines)


def _is_conditional(argument: Any) -> bool:
    return bool(getattr(argument, '_conditionally_included', False))


def launch_a_launch_file(
    *,
    launch_file_path: str,
    launch_file_arguments: list[str],
    noninteractive: bool = False,
    args: Optional[Any] = None,
    option_extensions: Optional[dict] = None,
    debug: bool = False,
) -> int:
    """Launch a file and return the exit code of the launch.

    Args:
        launch_file_path: the file.
        launch_file_arguments: texts 'name:=value'.
        noninteractive: there is no terminal.
        args: of the command; `launch_prefix` and `launch_prefix_filter` count.
        option_extensions: not known here; must be empty.
        debug: let the launch system say more.

    Raises:
        RuntimeError: a malformed argument, or a prefix filter without a prefix.
    """
    import launch
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    if option_extensions:
        raise RuntimeError("'option_extensions' needs the package 'ros2launch' of a full ROS 2")
    arguments = parse_launch_arguments([*launch_file_arguments, *_prefix_arguments(args)])
    service = launch.LaunchService(
        argv=launch_file_arguments, noninteractive=noninteractive, debug=debug
    )
    description = launch.LaunchDescription(
        [
            # An include, so that the file knows where it is.
            IncludeLaunchDescription(
                AnyLaunchDescriptionSource(launch_file_path), launch_arguments=arguments
            )
        ]
    )
    service.include_launch_description(description)
    return service.run()


def _prefix_arguments(args: Any) -> list[str]:
    prefix = getattr(args, 'launch_prefix', None)
    prefix_filter = getattr(args, 'launch_prefix_filter', None)
    if prefix_filter is not None and prefix is None:
        raise RuntimeError(
            '--launch-prefix must be specified if --launch-prefix-filter is provided'
        )
    found = [] if prefix is None else [f'launch-prefix:={prefix}']
    return found if prefix_filter is None else [*found, f'launch-prefix-filter:={prefix_filter}']


class LaunchFileNameCompleter:
    """Completes names of launch files of a package."""

    def __init__(self, *, package_name_key: str = 'package_name') -> None:
        self.package_name_key = package_name_key

    def __call__(self, prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        """Return the names."""
        try:
            share = get_package_share_directory(getattr(parsed_args, self.package_name_key))
        except (PackageNotFoundError, ValueError):
            return []
        return [Path(path).name for path in get_launch_file_paths(path=share)]
