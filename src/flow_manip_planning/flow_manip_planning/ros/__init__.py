# SPDX-License-Identifier: Apache-2.0
"""Planning as a ROS node."""
