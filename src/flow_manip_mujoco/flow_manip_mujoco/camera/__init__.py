# SPDX-License-Identifier: Apache-2.0
"""The simulated RGB-D camera."""

from flow_manip_mujoco.camera.noise import add_depth_noise, DepthNoiseConfig
from flow_manip_mujoco.camera.renderer import Renderer

__all__ = ['DepthNoiseConfig', 'Renderer', 'add_depth_noise']
