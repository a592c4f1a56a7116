# SPDX-License-Identifier: Apache-2.0
"""The things that can stand on the table: what they look like, weigh and are called."""

from flow_manip_mujoco.objects.catalogue import CATALOGUE, COLOURS, object_spec
from flow_manip_mujoco.objects.spec import MeshPart, ObjectSpec, Part

__all__ = ['CATALOGUE', 'COLOURS', 'MeshPart', 'ObjectSpec', 'Part', 'object_spec']
