# SPDX-License-Identifier: Apache-2.0
"""The types that a parameter accepting substitutions may have."""

import collections.abc
from collections.abc import Iterable
import pathlib
from typing import Union

from .substitution import Substitution

SomeSubstitutionsType = Union[
    str, pathlib.Path, Substitution, Iterable[Union[str, pathlib.Path, Substitution]]
]

SomeSubstitutionsType_types_tuple = (
    str,
    pathlib.Path,
    Substitution,
    collections.abc.Iterable,
)
