# SPDX-License-Identifier: Apache-2.0
"""Videos of what should happen, drawn from the simulator: the generator that can be scored."""

from flow_manip_mujoco.video.simulated import SimulatedVideo
from flow_manip_mujoco.video.truth import VideoTruth

__all__ = ['SimulatedVideo', 'VideoTruth']
