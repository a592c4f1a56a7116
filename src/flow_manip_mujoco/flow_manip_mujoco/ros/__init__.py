# SPDX-License-Identifier: Apache-2.0
"""The cell as a ROS node."""
