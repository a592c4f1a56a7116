# SPDX-License-Identifier: Apache-2.0
"""From object flow to object poses: robust rigid fits, joints, smooth and bounded paths."""

from __future__ import annotations

from flow_manip_planning.flow_to_poses.fit import fit_motion
from flow_manip_planning.flow_to_poses.motion import FitReport, Joint, ObjectMotion
from flow_manip_planning.flow_to_poses.settings import FitConfig

__all__ = ['fit_motion', 'FitConfig', 'FitReport', 'Joint', 'ObjectMotion']
