# SPDX-License-Identifier: Apache-2.0
"""The data engine: raw video to samples of 3D flow, by finding what moves.

After 3DFlowAction's pipeline (see `config` for every threshold and its source); with true gripper
masks, which its release only has a placeholder for, and with background that a hand drags along
told from things that move.
"""

from flow_manip_learning.engine.config import DetectionConfig, EngineConfig, GripperConfig
from flow_manip_learning.engine.inputs import ClipSource, find_sources, InputOptions
from flow_manip_learning.engine.processing import ClipOutcome, Worker, WorkerPlan
from flow_manip_learning.engine.rejection import (
    ClipRejectedError,
    REASONS,
    Rejection,
    rejection_of,
)
from flow_manip_learning.engine.running import Progress, run_engine, RunReport
from flow_manip_learning.engine.sampling import ClipEngine, ClipNotes
from flow_manip_learning.engine.sheet import contact_sheet, Findings

__all__ = [
    'ClipEngine',
    'ClipNotes',
    'ClipOutcome',
    'ClipRejectedError',
    'ClipSource',
    'DetectionConfig',
    'EngineConfig',
    'Findings',
    'GripperConfig',
    'InputOptions',
    'Progress',
    'REASONS',
    'Rejection',
    'RunReport',
    'Worker',
    'WorkerPlan',
    'contact_sheet',
    'find_sources',
    'rejection_of',
    'run_engine',
]
