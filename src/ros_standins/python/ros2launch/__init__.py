# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ros2launch: the command `ros2 launch`."""
