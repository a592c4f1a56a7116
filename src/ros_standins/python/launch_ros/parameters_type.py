# SPDX-License-Identifier: Apache-2.0
"""The types that parameters may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any, Union

from launch.some_substitutions_type import SomeSubstitutionsType, SomeSubstitutionsType_types_tuple
from launch.substitution import Substitution

from .parameter_descriptions import Parameter, ParameterFile

SomeParameterName = Sequence[Union[Substitution, str]]
SomeParameterValue = Any
SomeParametersDict = Mapping[Any, Any]
SomeParameterFile = Union[SomeSubstitutionsType, pathlib.Path, ParameterFile]
SomeParameters = Sequence[Union[SomeParameterFile, Parameter, SomeParametersDict]]

ParameterName = tuple[Substitution, ...]
ParametersDict = dict[ParameterName, Any]
Parameters = Sequence[Union[ParameterFile, Parameter, ParametersDict]]

EvaluatedParameterValue = Union[
    str, int, float, bool, Sequence[str], Sequence[int], Sequence[float], Sequence[bool], bytes
]
EvaluatedParameters = Sequence[Union[pathlib.Path, dict[str, EvaluatedParameterValue]]]

SomeParameterFile_types_tuple = (*SomeSubstitutionsType_types_tuple, pathlib.Path, ParameterFile)
