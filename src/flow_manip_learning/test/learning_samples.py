# SPDX-License-Identifier: Apache-2.0
"""Small made-up samples."""

import numpy as np

from flow_manip_core.camera import CameraModel
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.transforms import make_transform
from flow_manip_learning.dataset import FlowSample


def make_sample(key='sample', seed=0, steps=4, points=12, **changes):
    """Return a sample whose numbers come from a seed."""
    rng = np.random.default_rng(seed)
    height, width = 24, 32
    mask = np.zeros((height, width), bool)
    mask[8:14, 10:20] = True
    depth = rng.uniform(0.5, 1.5, (height, width)).astype(np.float32)
    depth[0, :3] = np.nan
    flow = flow_from_transforms(
        rng.uniform(0.3, 0.6, (points, 3)),
        [make_transform([0.02 * t, 0.0, 0.05 * t]) for t in range(steps)],
        0.5 * np.arange(steps),
        object='red cube',
        source='simulated',
        contact=np.array([0.4, 0.0, 0.1]),
    )
    values = {
        'color': rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        'depth': depth,
        'camera': CameraModel.from_fov(width, height, 0.8),
        'T_world_camera': make_transform([0.1, 0.2, 1.0]),
        'instruction': 'lift the red cube',
        'mask': mask,
        'flow': flow,
        'source': 'simulated',
        'licence': 'Apache-2.0',
        'key': key,
        'tags': {'task': 'lift', 'seed': str(seed)},
    }
    return FlowSample(**{**values, **changes})
