# SPDX-License-Identifier: Apache-2.0
"""Whether two values differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..frontend.expose import expose_substitution
from .equals_substitution import EqualsSubstitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


@expose_substitution('not-equals')
class NotEqualsSubstitution(EqualsSubstitution):
    """True if two values differ; see EqualsSubstitution for how they are compared."""

    def perform(self, context: LaunchContext) -> str:
        """Returns 'true' or 'false'."""
        return 'false' if self._equal(context) else 'true'
