# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2action: the command `ros2 action`."""
