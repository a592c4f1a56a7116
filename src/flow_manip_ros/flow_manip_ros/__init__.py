# SPDX-License-Identifier: Apache-2.0
"""The rclpy glue that every node shares."""
