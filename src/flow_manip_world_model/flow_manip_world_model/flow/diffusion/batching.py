# SPDX-License-Identifier: Apache-2.0
"""Views and flows as batches of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
import torch

from flow_manip_world_model.flow.diffusion.encoders import Conditions
from flow_manip_world_model.flow.diffusion.views import Views


def to_conditions(views: Sequence[Views], text: torch.Tensor) -> Conditions:
    """Stack views and their texts (B, L, width)."""
    stacked = {
        name: torch.from_numpy(np.stack([getattr(view, name) for view in views])).float()
        for name in vars(views[0])
    }
    return Conditions(**stacked, text=text)


def to_sample(values: NDArray) -> torch.Tensor:
    """Turn (B, T, G, G, 4) into what the network draws: (B, 4, T, G, G)."""
    return torch.from_numpy(np.ascontiguousarray(values)).float().permute(0, 4, 1, 2, 3)


def from_sample(sample: torch.Tensor) -> NDArray[np.float32]:
    """Invert `to_sample`."""
    return sample.float().cpu().permute(0, 2, 3, 4, 1).contiguous().numpy()
