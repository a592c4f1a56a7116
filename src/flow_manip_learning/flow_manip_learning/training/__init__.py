# SPDX-License-Identifier: Apache-2.0
"""Training of flow diffusion networks."""

from flow_manip_learning.training.config import find_config, TrainingConfig

__all__ = ['TrainingConfig', 'find_config']
