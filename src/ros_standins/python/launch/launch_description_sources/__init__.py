# SPDX-License-Identifier: Apache-2.0
"""Launch descriptions from files."""

from .._stand_in import refusing_getattr
from ..frontend.parser import InvalidFrontendLaunchFileError
from ..invalid_launch_file_error import InvalidLaunchFileError
from .any_launch_description_source import AnyLaunchDescriptionSource
from .any_launch_file_utilities import get_launch_description_from_any_launch_file
from .python_launch_description_source import PythonLaunchDescriptionSource
from .python_launch_file_utilities import (
    get_launch_description_from_python_launch_file,
    InvalidPythonLaunchFileError,
    load_python_launch_file_as_module,
)

__all__ = [
    'AnyLaunchDescriptionSource',
    'get_launch_description_from_any_launch_file',
    'get_launch_description_from_python_launch_file',
    'InvalidFrontendLaunchFileError',
    'InvalidLaunchFileError',
    'InvalidPythonLaunchFileError',
    'load_python_launch_file_as_module',
    'PythonLaunchDescriptionSource',
]

__getattr__ = refusing_getattr(
    'launch',
    __name__,
    (
        'FrontendLaunchDescriptionSource',
        'get_launch_description_from_frontend_launch_file',
        'XMLLaunchDescriptionSource',
        'YAMLLaunchDescriptionSource',
    ),
)
