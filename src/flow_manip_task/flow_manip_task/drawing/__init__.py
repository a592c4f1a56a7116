# SPDX-License-Identifier: Apache-2.0
"""Pictures of what the stages made."""

from flow_manip_task.drawing.candidates import draw_candidates
from flow_manip_task.drawing.flow import draw_flow
from flow_manip_task.drawing.flow_3d import draw_flow_3d
from flow_manip_task.drawing.mask import draw_masks
from flow_manip_task.drawing.plan import draw_plan

__all__ = ['draw_candidates', 'draw_flow', 'draw_flow_3d', 'draw_masks', 'draw_plan']
