# SPDX-License-Identifier: Apache-2.0
"""Names that are unique to a launch."""

from __future__ import annotations

from collections.abc import Sequence
import os
import random
from typing import Any, TYPE_CHECKING

from ..frontend.expose import expose_substitution
from ..some_substitutions_type import SomeSubstitutionsType
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('anon')
class AnonName(Substitution):
    """A name with a process number and a random one, the same for the same name."""

    def __init__(self, name: SomeSubstitutionsType) -> None:
        """Stores the name."""
        super().__init__()
        self.__name = normalize_to_list_of_substitutions(name)

    @classmethod
    def parse(cls, data: Sequence[SomeSubstitutionsType]) -> tuple[type[AnonName], dict[str, Any]]:
        """Reads ``$(anon name)``."""
        if len(data) != 1:
            raise TypeError('anon substitution expects 1 argument')
        return cls, {'name': data[0]}

    @property
    def name(self) -> list[Substitution]:
        """The name."""
        return self.__name

    def describe(self) -> str:
        """Returns a description for people."""
        return f'AnonName({" + ".join(part.describe() for part in self.name)})'

    def perform(self, context: LaunchContext) -> str:
        """Returns the unique name, which the context keeps."""
        name = perform_substitutions(context, self.name)
        key = 'anon' + name
        if key not in context.launch_configurations:
            number = random.SystemRandom().randrange(2**63)
            context.launch_configurations[key] = f'{name}_{os.getpid()}_{number}'
        return context.launch_configurations[key]
