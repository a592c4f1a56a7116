# SPDX-License-Identifier: Apache-2.0
"""Verbs of `ros2 daemon`: there is none, and they say so."""
