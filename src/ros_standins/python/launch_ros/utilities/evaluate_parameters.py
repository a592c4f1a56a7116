# SPDX-License-Identifier: Apache-2.0
"""Parameters in a context."""

from __future__ import annotations

from typing import Any, cast, TYPE_CHECKING

from launch.substitution import Substitution
from launch.utilities import ensure_argument_type, perform_substitutions

from ..parameter_descriptions import Parameter, ParameterFile, ParameterValue
from ..parameters_type import (
    EvaluatedParameters,
    EvaluatedParameterValue,
    Parameters,
    ParametersDict,
)

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_SCALARS = (bool, int, float, str)


def _check_sequence(name: str, value: Any) -> tuple[Any, ...]:
    types = {type(item) for item in value}
    if len(types) != 1 or not types <= set(_SCALARS):
        raise TypeError(
            f"Expected a non-empty sequence, with items of uniform type for parameter '{name}'. "
            f'Allowed sequence item types are bool, int, float, str. Got {value!r}.'
        )
    return tuple(value)


def _check(name: str, value: Any) -> EvaluatedParameterValue:
    if isinstance(value, (list, tuple)):
        return cast(EvaluatedParameterValue, _check_sequence(name, value))
    if isinstance(value, (*_SCALARS, bytes)):
        return value
    raise TypeError(
        f'Allowed value types are bytes, bool, int, float, str, Sequence[bool], Sequence[int], '
        f"Sequence[float], Sequence[str]. Got {type(value)} for parameter '{name}'."
    )


def _is_substitutions(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and bool(value)
        and all(isinstance(part, Substitution) for part in value)
    )


def _evaluate_text(context: LaunchContext, name: str, value: Any) -> Any:
    """Performs substitutions and reads their text by the rules of yaml."""
    import yaml

    text = perform_substitutions(context, value)
    try:
        return yaml.safe_load(text) if text else text
    except yaml.YAMLError as error:
        raise TypeError(
            f"the text '{text}' of parameter '{name}' is no yaml: {error}; "
            'ParameterValue(..., value_type=str) keeps it as it is'
        ) from error


def evaluate_parameter_dict(
    context: LaunchContext, parameters: ParametersDict
) -> dict[str, EvaluatedParameterValue]:
    """Returns a normalized dictionary of parameters with names and values in this context.

    Raises:
        TypeError: A value is of a type that parameters cannot have.
    """
    if not isinstance(parameters, dict):
        raise TypeError('expected dict')
    evaluated: dict[str, EvaluatedParameterValue] = {}
    for name_parts, value in parameters.items():
        ensure_argument_type(name_parts, tuple, 'name', 'evaluate_parameter_dict')
        name = perform_substitutions(context, list(name_parts))
        if isinstance(value, ParameterValue):
            value = value.evaluate(context)
        elif _is_substitutions(value):
            value = _evaluate_text(context, name, value)
        elif isinstance(value, (list, tuple)):
            value = [
                _evaluate_text(context, name, item) if _is_substitutions(item) else item
                for item in value
            ]
        evaluated[name] = _check(name, value)
    return evaluated


def evaluate_parameters(context: LaunchContext, parameters: Parameters) -> EvaluatedParameters:
    """Returns normalized parameters in this context.

    Args:
        context: The context.
        parameters: As of :func:`normalize_parameters`.

    Returns:
        Paths for files, dictionaries for dictionaries, single parameters as they are.
    """
    output: list[Any] = []
    for param in parameters:
        if isinstance(param, ParameterFile):
            output.append(param.evaluate(context))
        elif isinstance(param, Parameter):
            output.append(param)
        elif isinstance(param, dict):
            output.append(evaluate_parameter_dict(context, param))
        else:
            raise TypeError(f'Unexpected type when evaluating parameters: {param!r}')
    return tuple(output)
