# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2node: the command `ros2 node`."""
