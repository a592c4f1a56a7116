# SPDX-License-Identifier: Apache-2.0
"""Vocabulary and maths of flow_manip, free of ROS."""

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import FailureStage, FlowManipError, Stage
from flow_manip_core.flow import FlowEncoding, ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan, PlanSegment, Trajectory

__all__ = [
    'CameraModel',
    'FailureStage',
    'FlowEncoding',
    'FlowManipError',
    'Grasp',
    'Mask',
    'ObjectFlow',
    'Observation',
    'Plan',
    'PlanSegment',
    'Stage',
    'Trajectory',
]
