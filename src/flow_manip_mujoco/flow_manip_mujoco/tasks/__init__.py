# SPDX-License-Identifier: Apache-2.0
"""What success means, read from the simulator's state, and trials that end in it."""

from flow_manip_mujoco.tasks.placement import (
    is_at_rest,
    is_in,
    is_lifted,
    is_next_to,
    is_on,
    is_released,
    is_upright,
)
from flow_manip_mujoco.tasks.trials import make_put_trial, Trial

__all__ = [
    'Trial',
    'is_at_rest',
    'is_in',
    'is_lifted',
    'is_next_to',
    'is_on',
    'is_released',
    'is_upright',
    'make_put_trial',
]
