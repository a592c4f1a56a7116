# SPDX-License-Identifier: Apache-2.0
"""Launch files of any format."""

from __future__ import annotations

import os
import pathlib
from typing import Optional, Union

from .._stand_in import refuse
from ..frontend.parser import Parser
from ..invalid_launch_file_error import InvalidLaunchFileError
from ..launch_description import LaunchDescription
from .python_launch_file_utilities import get_launch_description_from_python_launch_file

_REAL_FRONTENDS = {'.xml': 'launch_xml', '.yaml': 'launch_yaml', '.yml': 'launch_yaml'}


def get_launch_description_from_any_launch_file(
    launch_file_path: Union[str, os.PathLike[str]],
    *,
    parser: Optional[type[Parser]] = Parser,
) -> LaunchDescription:
    """Returns the launch description in a file.

    Args:
        launch_file_path: The path.
        parser: The reader of XML and YAML, which this stand-in does not have.

    Raises:
        InvalidLaunchFileError: The file is no launch file.
        FileNotFoundError: There is no such file.
        NotInStandInError: The file is in XML or YAML.
        SyntaxError: A file that ends in .py is no Python.
    """
    path = os.fspath(launch_file_path)
    extension = pathlib.PurePath(path).suffix
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"No such file or directory: '{path}'")
    if extension in _REAL_FRONTENDS:
        raise refuse(_REAL_FRONTENDS[extension], f"reading the launch file '{path}'")
    errors: list[Exception] = []
    try:
        return get_launch_description_from_python_launch_file(path)
    except Exception as error:
        # A file of another name is tried as Python too: then an error says little.
        if extension == '.py':
            errors.append(error)
        raise InvalidLaunchFileError(extension.lstrip('.'), likely_errors=errors) from error
