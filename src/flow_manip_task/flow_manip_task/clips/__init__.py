# SPDX-License-Identifier: Apache-2.0
"""Real clips to 3D object flow, without a robot: `flow_manip lift`."""

from flow_manip_task.clips.lifting import lift_clip, LiftOptions
from flow_manip_task.clips.reading import Clip, read_clip

__all__ = ['Clip', 'LiftOptions', 'lift_clip', 'read_clip']
