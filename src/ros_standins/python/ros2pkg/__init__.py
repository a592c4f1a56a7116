# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2pkg: the command `ros2 pkg`."""
