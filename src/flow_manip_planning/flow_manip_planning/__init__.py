# SPDX-License-Identifier: Apache-2.0
"""Grasp proposals, and joint motion with which the held object follows a flow."""
