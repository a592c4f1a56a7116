# SPDX-License-Identifier: Apache-2.0
"""What training lowers: the error of undoing noise."""

from __future__ import annotations

from dataclasses import dataclass

from diffusers import DDIMScheduler
import numpy as np
import torch
from torch import nn

from flow_manip_learning.training.config import LossConfig
from flow_manip_learning.training.prepared import Batch
from flow_manip_world_model.flow.diffusion.batching import to_sample
from flow_manip_world_model.flow.diffusion.encoders import Conditions
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion
from flow_manip_world_model.flow.diffusion.sampling import make_scheduler
from flow_manip_world_model.flow.diffusion.text import TextEncoder
from flow_manip_world_model.flow.diffusion.views import REFERENCES


@dataclass(frozen=True)
class Draws:
    """What is random about one step.

    Attributes:
        color_jitter: share by which colours change.
        text_dropout: share of samples without words.
        reference_dropout: share of samples without references.
    """

    color_jitter: float
    text_dropout: float
    reference_dropout: float


@dataclass
class StepInputs:
    """A batch with everything drawn for one step.

    Attributes:
        conditions: views and words.
        clean: (B, 4, T, G, G) F.
        weights: (B, 4, T, G, G) of the loss, mean about 1.
        noise: (B, 4, T, G, G).
        steps: (B,) of the noise schedule.
    """

    conditions: Conditions
    clean: torch.Tensor
    weights: torch.Tensor
    noise: torch.Tensor
    steps: torch.Tensor


class Objective(nn.Module):
    """The network and its loss as one module, so that several processes can share the work."""

    def __init__(self, network: FlowDiffusion) -> None:
        """Keep the network and its noise schedule."""
        super().__init__()
        self.network = network
        self._scheduler: DDIMScheduler = make_scheduler(network.config.noise)

    def forward(self, inputs: StepInputs) -> torch.Tensor:
        """Return the weighted mean square error of what the schedule asks for."""
        noisy = self._scheduler.add_noise(inputs.clean, inputs.noise, inputs.steps)
        said = self.network(noisy, inputs.steps, self.network.encode(inputs.conditions))
        error = (said.float() - self._target(inputs)).square() * inputs.weights
        return error.sum() / inputs.weights.sum().clamp(min=1e-6)

    def _target(self, inputs: StepInputs) -> torch.Tensor:
        """Return what the network should say."""
        kind = self.network.config.noise.prediction
        if kind == 'epsilon':
            return inputs.noise
        if kind == 'sample':
            return inputs.clean
        return self._scheduler.get_velocity(inputs.clean, inputs.noise, inputs.steps)


def step_inputs(
    batch: Batch,
    text: TextEncoder,
    draws: Draws,
    loss: LossConfig,
    train_steps: int,
    seed: tuple[int, ...],
) -> StepInputs:
    """Draw noise, steps, and what is left out or changed, all from `seed`.

    The draws depend on nothing that happened before, so that a resumed run goes on exactly.
    """
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1)
    )
    clean = to_sample(batch.values)
    count = len(clean)
    silent = torch.rand(count, generator=generator) < draws.text_dropout
    texts = ['' if left_out else said for left_out, said in zip(silent.tolist(), batch.texts)]
    tensors = {name: torch.from_numpy(value) for name, value in vars(batch.views).items()}
    conditions = Conditions(**tensors, text=text.encode(texts))
    _jitter(conditions, draws.color_jitter, generator)
    hidden = torch.rand(count, generator=generator) < draws.reference_dropout
    if conditions.scene.shape[1] > REFERENCES:
        for image in (conditions.scene, conditions.crop):
            image[hidden, REFERENCES] = 0.0
    return StepInputs(
        conditions,
        clean,
        loss_weights(batch, loss),
        torch.randn(clean.shape, generator=generator),
        torch.randint(0, train_steps, (count,), generator=generator),
    )


def loss_weights(batch: Batch, loss: LossConfig) -> torch.Tensor:
    """Return (B, 4, T, G, G) what each number's error weighs."""
    known = torch.from_numpy(batch.known)
    own = torch.from_numpy(batch.views.valid > 0.5)[:, None].expand_as(known)
    seen = torch.from_numpy(batch.values[..., 3] > 0.0)
    place = torch.where(seen, 1.0, loss.hidden) * torch.where(own, known.float(), loss.filled)
    visibility = torch.where(own, 1.0, loss.filled) * loss.visibility
    frames = torch.linspace(1.0, loss.end, known.shape[1])[None, :, None, None]
    return torch.stack([place, place, place, visibility], dim=1) * frames[:, None]


def _jitter(conditions: Conditions, share: float, generator: torch.Generator) -> None:
    """Change brightness, colour balance and noise of scene and crop alike, in place."""
    if not share or conditions.crop.numel() == 0:
        return
    count = len(conditions.scene)
    gain = 1.0 + share * (2.0 * torch.rand(count, 1, 1, 1, generator=generator) - 1.0)
    balance = 1.0 + share / 3 * (2.0 * torch.rand(count, 3, 1, 1, generator=generator) - 1.0)
    for image in (conditions.scene, conditions.crop):
        color = (image[:, :3] + 1.0) * gain * balance - 1.0
        color = color + 0.1 * share * torch.randn(color.shape, generator=generator)
        image[:, :3] = color.clamp(-1.0, 1.0)
