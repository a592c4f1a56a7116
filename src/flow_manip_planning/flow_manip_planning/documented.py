# SPDX-License-Identifier: Apache-2.0
"""Parameters that carry their own description."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def documented(default: Any, doc: str) -> Any:
    """Return a dataclass field with a default and the description that ROS shows."""
    return field(default=default, metadata={'doc': doc})
