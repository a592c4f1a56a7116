# SPDX-License-Identifier: Apache-2.0
"""Python launch files."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
import os
import sys
from types import ModuleType
from typing import Union

from ..launch_description import LaunchDescription

_FilePath = Union[str, 'os.PathLike[str]']


class InvalidPythonLaunchFileError(Exception):
    """A Python file has no generate_launch_description() function."""


def load_python_launch_file_as_module(python_launch_file_path: _FilePath) -> ModuleType:
    """Returns a Python launch file as a module of its own."""
    path = os.fspath(python_launch_file_path)
    loader = SourceFileLoader('python_launch_file', path)
    spec = spec_from_loader(loader.name, loader)
    if spec is None:
        raise InvalidPythonLaunchFileError(f"'{path}' cannot be loaded as a module")
    module = module_from_spec(spec)
    # Launch files live among sources and installed data: no caches are left beside them.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def get_launch_description_from_python_launch_file(
    python_launch_file_path: _FilePath,
) -> LaunchDescription:
    """Returns what the file's generate_launch_description() returns.

    Raises:
        InvalidPythonLaunchFileError: The file has no such function.
    """
    module = load_python_launch_file_as_module(python_launch_file_path)
    if not hasattr(module, 'generate_launch_description'):
        raise InvalidPythonLaunchFileError(
            f"launch file at '{os.fspath(python_launch_file_path)}' does not contain the "
            "required function 'generate_launch_description()'"
        )
    description: LaunchDescription = module.generate_launch_description()
    return description
