# SPDX-License-Identifier: Apache-2.0
"""Lists of substitutions from what people write."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable
import os
import pathlib
from typing import Any, cast

from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution


def normalize_to_list_of_substitutions(subst: SomeSubstitutionsType) -> list[Substitution]:
    """Returns ``subst`` as a list in which every text is a TextSubstitution.

    Raises:
        TypeError: Something in it is neither text, path nor substitution.
    """
    from ..substitutions import TextSubstitution

    def normalize(item: Any) -> Substitution:
        if isinstance(item, str):
            return TextSubstitution(text=item)
        if isinstance(item, pathlib.Path):
            return TextSubstitution(text=os.fspath(item))
        if isinstance(item, Substitution):
            return item
        raise TypeError(
            f"failed to normalize item of type '{type(item)}', when only 'str', "
            "'pathlib.Path' or 'launch.Substitution' were expected"
        )

    if isinstance(subst, (str, pathlib.Path, Substitution)):
        return [normalize(subst)]
    if isinstance(subst, collections.abc.Iterable):
        return [normalize(item) for item in cast(Iterable[Any], subst)]
    raise TypeError(f"'{subst!r}' of type '{type(subst)}' is not text or substitutions")
