# SPDX-License-Identifier: Apache-2.0
"""Values of given types from texts and substitutions, by the rules of yaml."""

from __future__ import annotations

from collections.abc import Sequence
import typing
from typing import Any, cast, Optional, TYPE_CHECKING, Union

from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from .ensure_argument_type_impl import ensure_argument_type
from .normalize_to_list_of_substitutions_impl import normalize_to_list_of_substitutions
from .perform_substitutions_impl import perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

ScalarTypesTuple = (int, float, bool, str)
ScalarValueType = Union[int, float, bool, str]
ListValueType = Union[list[int], list[float], list[bool], list[str]]
AllowedValueType = Union[ScalarValueType, ListValueType]
AllowedTypesType = Any
SomeValueType = Union[AllowedValueType, SomeSubstitutionsType, Sequence[Any]]
NormalizedValueType = Union[AllowedValueType, list[Substitution], list[Any]]

_DESCRIPTIONS = (
    'a scalar type: int, float, bool, str; a uniform list of those: List[int], List[float], '
    'List[bool], List[str]; or None, by which the type is found by the rules of yaml'
)


def is_typing_list(data_type: Any) -> bool:
    """Tells whether ``data_type`` is ``typing.List``, or a list of something."""
    return data_type is typing.List or getattr(data_type, '__origin__', None) is list  # noqa: UP006


def is_valid_scalar_type(data_type: Any) -> bool:
    """Tells whether ``data_type`` is int, float, bool or str."""
    return data_type in ScalarTypesTuple


def extract_type(data_type: Any) -> tuple[Any, bool]:
    """Returns the scalar type in ``data_type`` and whether it stands in a ``List``.

    Raises:
        ValueError: The type is not among those allowed.
    """
    is_list = False
    scalar = data_type
    if is_typing_list(data_type):
        is_list = True
        arguments = getattr(data_type, '__args__', ())
        if len(arguments or ()) != 1:
            raise ValueError(f"'{data_type}' has no element type; expected {_DESCRIPTIONS}")
        scalar = arguments[0]
    if not is_valid_scalar_type(scalar):
        raise ValueError(f"unrecognized data type '{data_type}'; expected {_DESCRIPTIONS}")
    return scalar, is_list


def is_instance_of_valid_type(value: Any, *, can_be_str: bool = False) -> bool:
    """Tells whether ``value`` is a scalar or a uniform list of scalars.

    Args:
        value: The value.
        can_be_str: Allows strings in a list of another type.
    """
    if not isinstance(value, list):
        return isinstance(value, ScalarTypesTuple)
    types = {type(item) for item in value}
    if can_be_str and len(types) > 1:
        types.discard(str)
    return (len(types) == 1 and types.pop() in ScalarTypesTuple) or not value


def is_instance_of(value: Any, data_type: Any, can_be_str: bool = False) -> bool:
    """Tells whether ``value`` is of ``data_type``.

    Args:
        value: The value.
        data_type: An allowed type, or None for any of them.
        can_be_str: Allows strings in the place of scalars.
    """
    if data_type is None:
        return is_instance_of_valid_type(value, can_be_str=can_be_str)
    scalar, is_list = extract_type(data_type)
    allowed = (scalar, str) if can_be_str else (scalar,)
    if is_list:
        return isinstance(value, list) and all(type(item) in allowed for item in value)
    return type(value) in allowed


def _from_yaml(value: str) -> Any:
    import yaml  # Late: most launches never need it.

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"'{value}' is not yaml: {error}") from None


def _coerce_to_bool(value: str, can_be_str: bool) -> Union[bool, str]:
    # yaml's rules, plus the two digits of shells.
    result = {'1': True, '0': False}.get(value)
    if result is None:
        result = _from_yaml(value)
    if isinstance(result, bool):
        return result
    if can_be_str:
        return value
    raise ValueError(f"cannot convert value '{value}' to bool")


def _coerce_to_scalar(value: str, scalar: Any, can_be_str: bool) -> ScalarValueType:
    if scalar is str:
        return value
    if scalar is bool:
        return _coerce_to_bool(value, can_be_str)
    try:
        return cast(ScalarValueType, scalar(value))
    except ValueError:
        if can_be_str:
            return value
        raise ValueError(f"cannot convert value '{value}' to {scalar.__name__}") from None


def coerce_to_type(
    value: str, data_type: Any = None, *, can_be_str: bool = False
) -> AllowedValueType:
    """Returns a text as a value.

    Args:
        value: The text.
        data_type: An allowed type, or None to find it by the rules of yaml.
        can_be_str: Keeps the text where it does not fit the type.

    Raises:
        TypeError: ``value`` is not a text.
        ValueError: The text does not fit.
    """
    ensure_argument_type(value, str, 'value', 'coerce_to_type')
    if data_type is None:
        result = _from_yaml(value) if value else value
        if result is None or not is_instance_of_valid_type(result, can_be_str=can_be_str):
            raise ValueError(
                f"'{value}' is neither a scalar nor a uniform list by the rules of yaml"
            )
        return cast(AllowedValueType, result)
    scalar, is_list = extract_type(data_type)
    if not is_list:
        return _coerce_to_scalar(value, scalar, can_be_str)
    result = _from_yaml(value)
    if not is_instance_of(result, data_type, can_be_str):
        raise ValueError(f"'{value}' is not a list of {scalar.__name__}")
    return cast(AllowedValueType, result)


def coerce_list(
    value: list[str], data_type: Any = None, *, can_be_str: bool = False
) -> ListValueType:
    """Returns a list of texts as a list of values.

    Args:
        value: The texts.
        data_type: Type of the items, or None to find it by the rules of yaml.
        can_be_str: Keeps a text where it does not fit the type.

    Raises:
        TypeError: ``value`` is not a list of texts.
        ValueError: A text does not fit, or the items differ in type.
    """
    ensure_argument_type(value, list, 'value', 'coerce_list')
    for item in value:
        ensure_argument_type(item, str, 'value', 'coerce_list')
    if data_type is not None and not is_valid_scalar_type(data_type):
        raise ValueError(f"items of a list cannot be of type '{data_type}'")
    result = [coerce_to_type(item, data_type, can_be_str=can_be_str) for item in value]
    if data_type is None and not is_instance_of_valid_type(result, can_be_str=can_be_str):
        raise ValueError(f"the items of '{value}' differ in type by the rules of yaml")
    return cast(ListValueType, result)


def get_typed_value(
    value: Union[str, list[str]], data_type: Any, can_be_str: bool = False
) -> AllowedValueType:
    """Returns a text or a list of texts as a value; see the two functions above.

    Raises:
        TypeError: A list of texts is to become a scalar, or the input is neither.
        ValueError: A text does not fit.
    """
    if not isinstance(value, list):
        return coerce_to_type(value, data_type, can_be_str=can_be_str)
    scalar = None
    if data_type is not None:
        scalar, is_list = extract_type(data_type)
        if not is_list:
            raise TypeError(f"cannot convert the list '{value}' to {data_type}")
    return coerce_list(value, scalar, can_be_str=can_be_str)


def is_substitution(value: Any) -> bool:
    """Tells whether ``value`` is a substitution or a list of texts with at least one."""
    if isinstance(value, Substitution):
        return True
    if not isinstance(value, (list, tuple)):
        return False
    return any(isinstance(item, Substitution) for item in value) and all(
        isinstance(item, (Substitution, str)) for item in value
    )


def is_normalized_substitution(value: Any) -> bool:
    """Tells whether ``value`` is a list of substitutions only."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Substitution) for item in value)
    )


def normalize_typed_substitution(value: SomeValueType, data_type: Any) -> NormalizedValueType:
    """Returns a value as it is and substitutions as lists of substitutions.

    Args:
        value: A value, substitutions, or a list of both.
        data_type: The type that is wanted, or None for any allowed one.

    Raises:
        TypeError: The value is of another type.
        ValueError: The type is not an allowed one.
    """
    scalar, is_list = extract_type(data_type) if data_type is not None else (None, True)
    if is_substitution(value):
        return normalize_to_list_of_substitutions(cast(SomeSubstitutionsType, value))
    if is_instance_of(value, data_type):
        return cast(NormalizedValueType, value)
    problem = TypeError(f"'{value}' can't be normalized to {data_type or 'any allowed type'}")
    if not is_list or not isinstance(value, (list, tuple)):
        raise problem
    items: list[Any] = []
    for item in value:
        if is_substitution(item):
            items.append(normalize_to_list_of_substitutions(cast(Any, item)))
        elif is_instance_of(item, scalar) and not isinstance(item, list):
            items.append(item)
        else:
            raise problem
    if scalar is None:
        plain = [item for item in items if not isinstance(item, list)]
        if plain and not is_instance_of_valid_type(plain):
            raise problem
    return items


def perform_typed_substitution(
    context: LaunchContext, value: NormalizedValueType, data_type: Optional[Any]
) -> AllowedValueType:
    """Returns what :func:`normalize_typed_substitution` gave as a value in this context.

    Args:
        context: Where the substitutions are performed.
        value: The normalized value.
        data_type: The type that is wanted, or None to find it by the rules of yaml.

    Raises:
        TypeError: A value is of another type.
        ValueError: A text does not fit the type.
    """
    if data_type is not None:
        extract_type(data_type)
    if is_normalized_substitution(value):
        text = perform_substitutions(context, cast(list[Substitution], value))
        return coerce_to_type(text, data_type)
    if isinstance(value, list) and any(is_normalized_substitution(item) for item in value):
        return _perform_list(context, value, data_type)
    if not is_instance_of(value, data_type):
        raise TypeError(f"'{value}' is not of type {data_type or 'any allowed type'}")
    return cast(AllowedValueType, value)


def _perform_list(context: LaunchContext, value: list[Any], data_type: Any) -> AllowedValueType:
    scalar = None
    if data_type is not None:
        scalar, is_list = extract_type(data_type)
        if not is_list:
            raise TypeError(f"the list '{value}' can't become {data_type}")
    result: list[Any] = []
    for item in value:
        if is_normalized_substitution(item):
            text = perform_substitutions(context, item)
            result.append(coerce_to_type(text, scalar))
        else:
            result.append(item)
    if not is_instance_of(result, data_type):
        raise ValueError(f"the items of '{result}' are not all of one allowed type")
    return cast(AllowedValueType, result)
