# SPDX-License-Identifier: Apache-2.0
"""Small scenes for training: a block on a table seen from above, carried where the words say."""

from dataclasses import dataclass
from pathlib import Path
import sys

import numpy as np

from flow_manip_core.camera import CameraModel
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_learning.dataset import FlowSample
from flow_manip_learning.training.config import LossConfig, TrainingConfig, ValidationConfig

# The tiny networks live with the tests of the package that has the networks.
WORLD_MODEL_TESTS = Path(__file__).parents[2] / 'flow_manip_world_model' / 'test'
sys.path.append(str(WORLD_MODEL_TESTS))

HEIGHT = 1.0  # [m] of the camera over the table
STEPS = 9


def make_scene(key='scene', seed=0, way=(0.15, 0.0, 0.05), words='put the red cube on the plate'):
    """Return a sample in which a block is carried `way` in a curve and turned a little."""
    rng = np.random.default_rng(seed)
    camera = CameraModel.from_fov(64, 48, 0.9)
    looking_down = make_transform([0.5, 0.0, HEIGHT], rotation_about([1, 0, 0], np.pi))
    corner = rng.integers([8, 8], [20, 40])
    mask = np.zeros((48, 64), dtype=bool)
    mask[corner[0] : corner[0] + 8, corner[1] : corner[1] + 10] = True
    depth = np.where(mask, HEIGHT - 0.05, HEIGHT).astype(np.float32)
    color = np.where(mask[..., None], [200, 40, 40], [120, 120, 110]).astype(np.uint8)
    points = transform_points(looking_down, camera.lift(depth))[mask]
    middle = points.mean(axis=0)
    poses = [
        make_transform(middle + share * np.array(way), rotation_about([0, 0, 1], 0.5 * share))
        @ make_transform(-middle)
        for share in np.linspace(0.0, 1.0, STEPS)
    ]
    flow = flow_from_transforms(points, poses, np.linspace(0, 2, STEPS), object='red cube')
    flow.confidence[5:, ::7] = 0.0
    return FlowSample(
        color=color,
        depth=depth,
        camera=camera,
        T_world_camera=looking_down,
        instruction=words,
        mask=mask,
        flow=flow,
        source='simulated',
        licence='Apache-2.0',
        key=key,
        tags={'task': words.split()[0]},
    )


@dataclass(frozen=True)
class Folders:
    """Where a test's data set, text encoder and runs are."""

    dataset: Path
    bert: Path
    runs: Path

    def config(self, name, **changes):
        """Return a tiny run."""
        values = {
            'dataset': str(self.dataset),
            'output': str(self.runs / name),
            'prepared': str(self.runs / 'prepared'),
            'overrides': tiny_overrides(self.bert),
            'steps': 6,
            'batch': 3,
            'learning_rate': 2e-3,
            'checkpoint_every': 3,
            'ema': 0.9,
            'color_jitter': 0.2,
            'tensorboard': False,
            'loss': LossConfig(hidden=0.5, filled=0.1, visibility=0.2, end=2.0),
            'validation': ValidationConfig(samples=2, every=0, pictures=2, steps=2),
        }
        return TrainingConfig(**{**values, **changes})


def tiny_overrides(bert):
    """Return what makes the compact model tiny."""
    return {
        'codec': {'grid': 4, 'frames': 4},
        'image': {
            **{'height': 24, 'width': 32, 'crop': 24, 'channels': 16},
            **{'queries': 2, 'map_channels': 4},
        },
        'text': {'model': str(bert), 'tokens': 12},
        'network': {'channels': [32], 'heads': 2, 'context': 16, 'patch': 2, 'vector': 16},
        'noise': {'steps': 4},
    }
