# SPDX-License-Identifier: Apache-2.0
"""Samples of 3D object flow: one type, written to shards and read back checked."""

from flow_manip_learning.dataset.sample import FlowSample

__all__ = ['FlowSample']
