# SPDX-License-Identifier: Apache-2.0
"""Nodes of flow_manip_perception."""
