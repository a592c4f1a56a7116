# SPDX-License-Identifier: Apache-2.0
"""How well a network draws flows that it was not trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch

from flow_manip_core.errors import TooFewPointsError
from flow_manip_core.flow import VISIBLE_ABOVE
from flow_manip_core.observation import Observation
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_learning.dataset import FlowSample
from flow_manip_learning.training.config import ValidationConfig
from flow_manip_learning.training.prepared import prepare_sample
from flow_manip_world_model.flow.diffusion.batching import from_sample, to_conditions
from flow_manip_world_model.flow.diffusion.codec import EncodedFlow, FlowCodec
from flow_manip_world_model.flow.diffusion.config import FlowDiffusionConfig
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion
from flow_manip_world_model.flow.diffusion.sampling import draw
from flow_manip_world_model.flow.diffusion.text import TextEncoder
from flow_manip_world_model.flow.diffusion.views import Views

HORIZONS = (25, 50, 75, 100)  # [%] of the motion
FIRST_SEED = 1000


@dataclass(frozen=True)
class Example:
    """A sample to measure by.

    Attributes:
        observation: the image and its camera.
        instruction: in words.
        encoded: the truth as F.
        views: what the network is shown.
        task: that it is of; '' where the sample does not say.
    """

    observation: Observation
    instruction: str
    encoded: EncodedFlow
    views: Views
    task: str


@dataclass(frozen=True)
class Drawn:
    """A truth and what was drawn, (T + 1, N, 3) positions in the camera's frame [m]."""

    example: Example
    true: NDArray[np.float64]
    drawn: NDArray[np.float64]


@dataclass(frozen=True)
class Validation:
    """What was measured.

    Attributes:
        numbers: by name: `error_<p>` is the mean distance between drawn and true points at p % of
            the motion, `end_<task>` that at its end for the samples of a task, `rest_100` what an
            object that never moves would score [m]; `visibility_f1` of seen points.
        drawn: of every example.
    """

    numbers: dict[str, float]
    drawn: list[Drawn]


def make_examples(
    samples: Iterable[FlowSample], config: FlowDiffusionConfig, count: int
) -> list[Example]:
    """Prepare the first `count` samples that the codec can take."""
    examples: list[Example] = []
    for sample in samples:
        if len(examples) == count:
            break
        try:
            encoded, views = prepare_sample(sample, config)
        except TooFewPointsError:
            continue
        task = sample.tags.get('task', '')
        examples.append(Example(sample.observation, sample.instruction, encoded, views, task))
    return examples


def validate(
    network: FlowDiffusion,
    text: TextEncoder,
    examples: Sequence[Example],
    config: ValidationConfig,
) -> Validation:
    """Draw one flow per example, always from the same noise, and measure it.

    Args:
        network: with the weights to measure; its mode is left as it is.
        text: reads the instructions.
        examples: to draw.
        config: how to draw.
    """
    codec = FlowCodec(network.config.codec)
    values: list[NDArray] = []
    for first in range(0, len(examples), config.batch):
        some = examples[first : first + config.batch]
        values += list(_draw(network, text, some, config, first))
    drawn, true_positive, wrong = [], 0, 0
    for example, value in zip(examples, values):
        truth = example.encoded
        pair = []
        for each in (truth.values, value):
            flow = codec.decode(each, truth.anchors, example.observation)
            inverse = invert_transform(example.observation.T_world_camera)
            pair.append(transform_points(inverse, flow.points.astype(np.float64)))
        drawn.append(Drawn(example, *pair))
        level = 2.0 * VISIBLE_ABOVE - 1.0
        own = truth.anchors.valid
        said, seen = value[:, own, 3] > level, truth.values[:, own, 3] > level
        true_positive += int((said & seen).sum())
        wrong += int((said != seen).sum())
    numbers = _errors(drawn)
    numbers['visibility_f1'] = 2.0 * true_positive / max(2 * true_positive + wrong, 1)
    return Validation(numbers, drawn)


def _draw(
    network: FlowDiffusion,
    text: TextEncoder,
    examples: Sequence[Example],
    config: ValidationConfig,
    first: int,
) -> NDArray[np.float32]:
    """Return (B, T, G, G, 4)."""
    device = next(network.parameters()).device
    guidance = config.guidance or network.config.noise.guidance
    with torch.inference_mode():
        given, without = (
            network.encode(to_conditions([e.views for e in examples], words).to(device))
            for words in (
                text.encode([e.instruction for e in examples]),
                text.encode([''] * len(examples)),
            )
        )
    seeds = range(FIRST_SEED + first, FIRST_SEED + first + len(examples))
    return from_sample(draw(network, given, without, seeds, steps=config.steps, guidance=guidance))


def _errors(drawn: Sequence[Drawn]) -> dict[str, float]:
    """Return mean distances at each horizon, over points that are known."""
    at: dict[int, list[float]] = defaultdict(list)
    by_task: dict[str, list[float]] = defaultdict(list)
    rest: list[float] = []
    for each in drawn:
        known = each.example.encoded.known[:, each.example.encoded.anchors.valid]
        for horizon in HORIZONS:
            step = max(1, round(horizon / 100 * len(known)))
            there = known[step - 1]
            if not there.any():
                continue
            true = each.true[step, there]
            error = float(np.linalg.norm(each.drawn[step, there] - true, axis=-1).mean())
            at[horizon].append(error)
            if horizon == 100:
                by_task[each.example.task].append(error)
                still = np.linalg.norm(each.true[0, there] - true, axis=-1).mean()
                rest.append(float(still))
    numbers = {f'error_{horizon}': float(np.mean(values)) for horizon, values in at.items()}
    numbers |= {f'end_{task}': float(np.mean(v)) for task, v in sorted(by_task.items()) if task}
    if rest:
        numbers['rest_100'] = float(np.mean(rest))
    return numbers
