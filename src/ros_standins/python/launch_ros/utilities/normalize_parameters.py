# SPDX-License-Identifier: Apache-2.0
"""Parameters with all of their texts as substitutions, in one flat dictionary."""

from __future__ import annotations

import collections.abc
from collections.abc import Mapping
import pathlib
from typing import Any, cast, Optional

from launch.some_substitutions_type import SomeSubstitutionsType_types_tuple
from launch.substitution import Substitution
from launch.substitutions import TextSubstitution
from launch.utilities import ensure_argument_type, normalize_to_list_of_substitutions
from launch.utilities.type_utils import is_substitution

from ..parameter_descriptions import Parameter, ParameterFile, ParameterValue
from ..parameters_type import (
    ParameterName,
    Parameters,
    ParametersDict,
    SomeParameters,
    SomeParametersDict,
)

_SCALARS = (bool, int, float, str)


def _normalize_list(value: Any) -> Any:
    """Returns a list whose items keep their types; substitutions become tuples of them."""
    items: list[Any] = []
    for item in value:
        texts = isinstance(item, (list, tuple)) and all(isinstance(part, str) for part in item)
        if texts or is_substitution(item):
            items.append(tuple(normalize_to_list_of_substitutions(item)))
        elif isinstance(item, _SCALARS):
            items.append(item)
        else:
            raise TypeError(f"a parameter's list cannot hold '{item!r}' of type '{type(item)}'")
    if {type(item) for item in items} == {int, float}:
        return [float(item) for item in items]
    return items


def _normalize_value(value: Any) -> Any:
    if isinstance(value, (ParameterValue, bytes, *_SCALARS)):
        return value
    if is_substitution(value):
        return tuple(normalize_to_list_of_substitutions(value))
    if isinstance(value, collections.abc.Sequence):
        return _normalize_list(value)
    raise TypeError(f"a parameter's value cannot be '{value!r}' of type '{type(value)}'")


def normalize_parameter_dict(
    parameters: SomeParametersDict, *, _prefix: Optional[ParameterName] = None
) -> ParametersDict:
    """Returns a dictionary of parameters without nesting: names are joined by dots.

    Args:
        parameters: From names (text or substitutions) to values, or to such dictionaries.

    Raises:
        TypeError: A name or value is of a type that parameters cannot have.
    """
    if not isinstance(parameters, collections.abc.Mapping):
        raise TypeError('expected dict')
    normalized: ParametersDict = {}
    for some_name, value in parameters.items():
        ensure_argument_type(
            some_name, SomeSubstitutionsType_types_tuple, 'name', 'normalize_parameter_dict'
        )
        name: tuple[Substitution, ...] = tuple(normalize_to_list_of_substitutions(some_name))
        if _prefix:
            name = (*_prefix, TextSubstitution(text='.'), *name)
        if isinstance(value, collections.abc.Mapping):
            normalized.update(
                normalize_parameter_dict(cast(Mapping[Any, Any], value), _prefix=name)
            )
        else:
            normalized[name] = _normalize_value(value)
    return normalized


def normalize_parameters(parameters: SomeParameters) -> Parameters:
    """Returns a list of files, dictionaries and single parameters in a form to be evaluated.

    Raises:
        TypeError: ``parameters`` is no list, or an item is none of these.
    """
    if isinstance(parameters, str) or not isinstance(parameters, collections.abc.Sequence):
        raise TypeError(f'Expecting list of parameters, got {parameters}')
    normalized: list[Any] = []
    for param in parameters:
        if isinstance(param, collections.abc.Mapping):
            normalized.append(normalize_parameter_dict(param))
        elif isinstance(param, (Parameter, ParameterFile)):
            normalized.append(param)
        else:
            ensure_argument_type(
                param,
                (*SomeSubstitutionsType_types_tuple, pathlib.Path),
                'parameters',
                'normalize_parameters',
            )
            normalized.append(ParameterFile(cast(Any, param)))
    return tuple(normalized)
