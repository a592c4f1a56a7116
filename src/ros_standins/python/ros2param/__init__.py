# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2param: the command `ros2 param`."""
