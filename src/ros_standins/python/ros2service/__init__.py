# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2service: the command `ros2 service`."""
