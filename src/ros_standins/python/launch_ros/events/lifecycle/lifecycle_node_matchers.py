# SPDX-License-Identifier: Apache-2.0
"""Matchers for nodes with a lifecycle."""

from ..matchers import matches_node_name

__all__ = ['matches_node_name']
