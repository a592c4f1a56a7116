# SPDX-License-Identifier: Apache-2.0
"""Namespaces."""

from __future__ import annotations

from typing import Optional


def is_root_namespace(ns: str) -> bool:
    """Tells whether ``ns`` is '/'."""
    return ns == '/'


def is_namespace_absolute(ns: str) -> bool:
    """Tells whether ``ns`` begins with a slash."""
    return ns.startswith('/')


def make_namespace_absolute(ns: str) -> str:
    """Returns ``ns`` with a slash at its beginning."""
    return ns if is_namespace_absolute(ns) else '/' + ns


def prefix_namespace(
    base_ns: Optional[str], ns: Optional[str], *, return_absolute_ns: bool = True
) -> Optional[str]:
    """Returns ``ns`` below ``base_ns``, or alone if it is absolute.

    Args:
        base_ns: The outer namespace, None for none.
        ns: The inner namespace, None for none.
        return_absolute_ns: Puts a slash at the beginning.

    Returns:
        The namespace without a slash at its end, but for '/'; None if both are None.
    """
    if ns is None and base_ns is None:
        return None
    if ns is None:
        combined = base_ns or ''
    elif not base_ns or is_namespace_absolute(ns):
        combined = ns
    else:
        combined = base_ns.rstrip('/') + '/' + ns
    if not is_root_namespace(combined):
        combined = combined.rstrip('/')
    return make_namespace_absolute(combined) if return_absolute_ns else combined
