# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2lifecycle: the command `ros2 lifecycle`."""
