# SPDX-License-Identifier: Apache-2.0
"""Real clips to 3D object flow, without a robot: `flow_manip lift`."""

from flow_manip_task.clips.lifting import lift_clip, LiftOptions

__all__ = ['LiftOptions', 'lift_clip']
