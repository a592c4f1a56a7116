# SPDX-License-Identifier: Apache-2.0
"""A simulated cell: arm, table, objects and RGB-D camera, free of ROS outside `ros/`."""
