# SPDX-License-Identifier: Apache-2.0
"""Names of nodes and namespaces."""

from __future__ import annotations

import re

_NODE_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]{0,254}')
_NAMESPACE = re.compile(r'/|(/[A-Za-z_][A-Za-z0-9_]*)+')


def check_node_name(name: str) -> None:
    """Raises rclpy's error unless ``name`` is one for a node."""
    if _NODE_NAME.fullmatch(name):
        return
    # Late: rclpy takes long to import, and good names need none of it.
    from rclpy.validate_node_name import validate_node_name

    validate_node_name(name)


def check_namespace(namespace: str) -> None:
    """Raises rclpy's error unless ``namespace`` is an absolute namespace."""
    if len(namespace) < 200 and '__' not in namespace and _NAMESPACE.fullmatch(namespace):
        return
    from rclpy.validate_namespace import validate_namespace

    validate_namespace(namespace)
