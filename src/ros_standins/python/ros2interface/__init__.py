# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2interface: the command `ros2 interface`."""
