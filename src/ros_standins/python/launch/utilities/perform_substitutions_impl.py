# SPDX-License-Identifier: Apache-2.0
"""The text of several substitutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..substitution import Substitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


def perform_substitutions(context: LaunchContext, subs: Iterable[Substitution]) -> str:
    """Returns the texts of ``subs`` in this context, joined."""
    return ''.join([context.perform_substitution(sub) for sub in subs])
