# SPDX-License-Identifier: Apache-2.0
"""Matchers for nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def matches_node_name(node_name: str) -> Callable[[Any], bool]:
    """Returns a matcher for the node with this full name; the first slash may be left out."""
    full_name = node_name if node_name.startswith('/') else '/' + node_name
    return lambda action: action.node_name == full_name
