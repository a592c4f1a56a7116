# SPDX-License-Identifier: Apache-2.0
"""The base of everything whose text is known only at launch time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Substitution:
    """A piece of text that is worked out when an action runs."""

    def describe(self) -> str:
        """Returns a description for people, which needs no context."""
        return f"Substitution('{self}')"

    def perform(self, context: LaunchContext) -> str:
        """Returns the text in this context."""
        raise NotImplementedError(f'perform() of {type(self).__name__} is not written')
