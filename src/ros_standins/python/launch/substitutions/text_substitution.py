# SPDX-License-Identifier: Apache-2.0
"""Plain text as a substitution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..substitution import Substitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class TextSubstitution(Substitution):
    """A text that is known already."""

    def __init__(self, *, text: str) -> None:
        """Stores the text.

        Raises:
            TypeError: ``text`` is no text.
        """
        super().__init__()
        if not isinstance(text, str):
            raise TypeError(
                f"TextSubstitution expected a string, got '{text}' of type '{type(text)}'"
            )
        self.__text = text

    @property
    def text(self) -> str:
        """The text."""
        return self.__text

    def describe(self) -> str:
        """Returns the text in quotes."""
        return f"'{self.text}'"

    def perform(self, context: LaunchContext) -> str:
        """Returns the text."""
        return self.text
