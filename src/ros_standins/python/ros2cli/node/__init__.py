# SPDX-License-Identifier: Apache-2.0
"""Nodes that the commands look at the graph with."""

# A leading underscore hides a node from lists.
HIDDEN_NODE_PREFIX = '_'
NODE_NAME_PREFIX = HIDDEN_NODE_PREFIX + 'ros2cli'
