# SPDX-License-Identifier: Apache-2.0
"""The types that remapping rules may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution

SomeRemapRule = tuple[SomeSubstitutionsType, SomeSubstitutionsType]
SomeRemapRules = Iterable[SomeRemapRule]
RemapRule = tuple[tuple[Substitution, ...], tuple[Substitution, ...]]
RemapRules = Sequence[RemapRule]
