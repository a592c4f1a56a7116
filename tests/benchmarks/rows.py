# SPDX-License-Identifier: Apache-2.0
"""One row of a benchmark's JSON."""

from __future__ import annotations

from typing import Any


def row(
    name: str,
    value: float,
    unit: str,
    *,
    n: int,
    seed: int = 0,
    peer: str = '',
    peer_value: float | None = None,
    limit: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Build a row; `ratio` is value over peer_value, `limit` the project's goal, not a test's."""
    ratio = value / peer_value if peer_value else None
    return {
        'name': name,
        'value': float(value),
        'unit': unit,
        'peer': peer,
        'peer_value': peer_value,
        'ratio': ratio,
        'limit': limit,
        'n': n,
        'seed': seed,
        **more,
    }
