# SPDX-License-Identifier: Apache-2.0
"""Descriptions of parameters and parameter files."""

from __future__ import annotations

import os
import pathlib
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from launch.some_substitutions_type import SomeSubstitutionsType, SomeSubstitutionsType_types_tuple
from launch.substitution import Substitution
from launch.utilities import (
    ensure_argument_type,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)
from launch.utilities.type_utils import normalize_typed_substitution, perform_typed_substitution

from ._temporary_files import write_temporary

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class ParameterValue:
    """A parameter's value, perhaps of a given type."""

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        """Stores the value.

        Args:
            value: A value, substitutions, or a list of both.
            value_type: The type it shall have; by default that of the value, and for
                substitutions what they read as by the rules of yaml.
        """
        self.__value = value
        self.__value_type = value_type
        self.__evaluated: Any = None

    @property
    def value(self) -> Any:
        """The value: evaluated, once :meth:`evaluate` was called, before that as given."""
        return self.__value if self.__evaluated is None else self.__evaluated

    @property
    def value_type(self) -> Any:
        """The type it shall have."""
        return self.__value_type

    def __str__(self) -> str:
        """Returns a description for people."""
        return f'launch_ros.description.ParameterValue(value={self.value})'

    def evaluate(self, context: LaunchContext) -> Any:
        """Returns the value in this context.

        Raises:
            ValueError: It is not of the type it shall have.
        """
        value = list(self.__value) if isinstance(self.__value, tuple) else self.__value
        try:
            normalized = normalize_typed_substitution(value, self.__value_type)
            self.__evaluated = perform_typed_substitution(context, normalized, self.__value_type)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return self.__evaluated


class Parameter:
    """A parameter: its name and its value."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: Any,
        *,
        value_type: Any = None,
        description: str = '',
    ) -> None:
        """Stores name and value.

        Args:
            name: The name.
            value: As of :class:`ParameterValue`.
            value_type: As of :class:`ParameterValue`.
            description: What it is for, in words.
        """
        ensure_argument_type(name, SomeSubstitutionsType_types_tuple, 'name', 'Parameter')
        self.__name = normalize_to_list_of_substitutions(name)
        self.__parameter_value = ParameterValue(value, value_type=value_type)
        self.__description = description
        self.__evaluated_name: Optional[str] = None

    @property
    def name(self) -> Union[list[Substitution], str]:
        """The name: a text, once :meth:`evaluate` was called."""
        return self.__name if self.__evaluated_name is None else self.__evaluated_name

    @property
    def value(self) -> Any:
        """The value: evaluated, once :meth:`evaluate` was called."""
        return self.__parameter_value.value

    @property
    def value_type(self) -> Any:
        """The type it shall have."""
        return self.__parameter_value.value_type

    @property
    def description(self) -> str:
        """What it is for, in words."""
        return self.__description

    def __str__(self) -> str:
        """Returns a description for people."""
        return (
            f'launch_ros.description.Parameter(name={self.name}, value={self.value}, '
            f'value_type={self.value_type})'
        )

    def evaluate(self, context: LaunchContext) -> tuple[str, Any]:
        """Returns name and value in this context.

        Raises:
            ValueError: The value is not of the type it shall have.
        """
        self.__evaluated_name = perform_substitutions(context, self.__name)
        return self.__evaluated_name, self.__parameter_value.evaluate(context)


class ParameterFile:
    """A parameter file, perhaps with substitutions in its text."""

    def __init__(
        self,
        param_file: Union[SomeSubstitutionsType, os.PathLike[str]],
        *,
        allow_substs: Union[bool, SomeSubstitutionsType] = False,
    ) -> None:
        """Stores the path.

        Args:
            param_file: Path of the file.
            allow_substs: Performs what looks like ``$(var name)`` in the file's text.
        """
        ensure_argument_type(
            param_file,
            (*SomeSubstitutionsType_types_tuple, os.PathLike, bytes),
            'param_file',
            'ParameterFile',
        )
        ensure_argument_type(
            allow_substs,
            (bool, *SomeSubstitutionsType_types_tuple),
            'allow_subst',
            'ParameterFile',
        )
        self.__param_file: Any = param_file
        if isinstance(param_file, SomeSubstitutionsType_types_tuple) and not isinstance(
            param_file, bytes
        ):
            self.__param_file = normalize_to_list_of_substitutions(
                cast(SomeSubstitutionsType, param_file)
            )
        self.__allow_substs: Any = normalize_typed_substitution(allow_substs, bool)
        self.__evaluated_allow_substs: Optional[bool] = None
        self.__evaluated_param_file: Optional[pathlib.Path] = None
        self.__created_tmp_file = False

    @property
    def param_file(self) -> Any:
        """The path: that of the file to use, once :meth:`evaluate` was called."""
        if self.__evaluated_param_file is not None:
            return self.__evaluated_param_file
        return self.__param_file

    @property
    def allow_substs(self) -> Any:
        """Whether substitutions in the text are performed."""
        if self.__evaluated_allow_substs is not None:
            return self.__evaluated_allow_substs
        return self.__allow_substs

    def __str__(self) -> str:
        """Returns a description for people."""
        return (
            f'launch_ros.description.ParameterFile(param_file={self.param_file}, '
            f'allow_substs={self.allow_substs})'
        )

    def evaluate(self, context: LaunchContext) -> pathlib.Path:
        """Returns the path of a file that holds the parameters as they are in this context.

        Raises:
            SubstitutionFailure: With the substitutions performed, the text is no yaml.
        """
        if self.__evaluated_param_file is not None:
            return self.__evaluated_param_file
        path = self.__param_file
        if isinstance(path, list):
            path = perform_substitutions(context, path)
        path = pathlib.Path(os.fsdecode(path))
        allow_substs = bool(perform_typed_substitution(context, self.__allow_substs, bool))
        if allow_substs:
            path = write_temporary(_with_substitutions(context, path))
            self.__created_tmp_file = True
        self.__evaluated_allow_substs = allow_substs
        self.__evaluated_param_file = path
        return path

    def cleanup(self) -> None:
        """Deletes the file that :meth:`evaluate` made, if it made one."""
        if self.__created_tmp_file and self.__evaluated_param_file is not None:
            self.__evaluated_param_file.unlink(missing_ok=True)
        self.__created_tmp_file = False
        self.__evaluated_param_file = None


def _with_substitutions(context: LaunchContext, path: pathlib.Path) -> str:
    from launch.frontend.parse_substitution import parse_substitution
    from launch.substitutions import SubstitutionFailure
    import yaml

    text = perform_substitutions(context, parse_substitution(path.read_text()))
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SubstitutionFailure(
            f"'{path}' is no yaml once its substitutions are performed: {error}"
        ) from error
    return text
