# SPDX-License-Identifier: Apache-2.0
"""Samples from the simulated cell, where the flow is exact."""

from flow_manip_learning.simulated.config import AXES, SimulatedConfig
from flow_manip_learning.simulated.making import (
    make_simulated_dataset,
    MakingReport,
    SimulatedRecipe,
)
from flow_manip_learning.simulated.source import SimulatedSource

__all__ = [
    'AXES',
    'MakingReport',
    'SimulatedConfig',
    'SimulatedRecipe',
    'SimulatedSource',
    'make_simulated_dataset',
]
