# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2topic: the command `ros2 topic`."""
