# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2run: the command `ros2 run`."""
