# SPDX-License-Identifier: Apache-2.0
"""Samples from the simulated cell, where the flow is exact."""
