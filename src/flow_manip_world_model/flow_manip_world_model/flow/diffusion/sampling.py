# SPDX-License-Identifier: Apache-2.0
"""From noise to F: DDIM (Song et al. 2021) with classifier-free guidance (Ho & Salimans 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffusers import DDIMScheduler
import torch
from torch import nn

from flow_manip_core.errors import CancelledError
from flow_manip_world_model.flow.diffusion.attention import remembered_context
from flow_manip_world_model.flow.diffusion.config import FlowDiffusionConfig, NoiseConfig
from flow_manip_world_model.flow.diffusion.encoders import Encoded
from flow_manip_world_model.flow.diffusion.network import CHANNELS, FlowDiffusion
from flow_manip_world_model.progress import never_cancelled


def ignore_step(done: int, count: int) -> None:
    """Drop a report of a step of denoising."""


def make_scheduler(config: NoiseConfig) -> DDIMScheduler:
    """Return diffusers' DDIM with the configured schedule; also what training adds noise with."""
    return DDIMScheduler(
        num_train_timesteps=config.train_steps,
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule=config.schedule,
        prediction_type=config.prediction,
        timestep_spacing=config.spacing,
        clip_sample=False,
        # The release's 'leading' steps are Stable Diffusion's, which are shifted by one.
        steps_offset=1 if config.spacing == 'leading' else 0,
        set_alpha_to_one=config.spacing == 'trailing',
    )


@torch.inference_mode()
def draw(
    network: FlowDiffusion,
    given: Encoded,
    without_words: Encoded | None,
    seeds: Sequence[int],
    *,
    steps: int = 0,
    guidance: float | None = None,
    on_step: Callable[[int, int], None] = ignore_step,
    cancelled: Callable[[], bool] = never_cancelled,
) -> torch.Tensor:
    """Draw one F for each row of `given`, all in one batch.

    Args:
        network: in evaluation mode.
        given: (B, ...) of `FlowDiffusion.encode`.
        without_words: the same with an empty text; needed where guidance is not 1.
        seeds: (B,) one each: a row's noise does not depend on the others.
        steps: of DDIM; 0 is the configuration's.
        guidance: scale; None is the configuration's.
        on_step: told how many steps of how many are done.
        cancelled: looked at before every layer.

    Returns:
        (B, 4, T, G, G) float32 on the CPU.

    Raises:
        CancelledError: the caller asked to stop.
        ValueError: guidance without `without_words`.
    """
    config = network.config
    scale = config.noise.guidance if guidance is None else guidance
    both = scale != 1.0
    if both and without_words is None:
        raise ValueError(f'guidance of {scale:g} needs the conditions without words')
    device, dtype = given.tokens.device, given.tokens.dtype
    scheduler = make_scheduler(config.noise)
    scheduler.set_timesteps(steps or config.noise.steps, device=device)
    sample = first_noise(config, seeds).to(device, dtype)
    told = Encoded.joined([without_words, given]) if both else given  # type: ignore[list-item]
    count = len(scheduler.timesteps)
    with remembered_context(network.unet), stopped_by(network, cancelled):
        for number, step in enumerate(scheduler.timesteps):
            if cancelled():
                raise CancelledError(f'cancelled after {number} of {count} steps')
            noisy = torch.cat([sample, sample]) if both else sample
            said = network(noisy, step.expand(len(noisy)), told)
            if both:
                plain, led = said.chunk(2)
                said = plain + scale * (led - plain)
            sample = scheduler.step(said, step, sample).prev_sample
            on_step(number + 1, count)
    return sample.float().cpu()


def first_noise(config: FlowDiffusionConfig, seeds: Sequence[int]) -> torch.Tensor:
    """Return (B, 4, T, G, G) noise, on the CPU: a seed means the same noise on every machine."""
    codec = config.codec
    shape = (CHANNELS, codec.frames, codec.grid, codec.grid)
    return torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


@contextmanager
def stopped_by(network: nn.Module, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Look before every layer whether the caller asked to stop."""

    def look(*_: Any) -> None:
        if cancelled():
            raise CancelledError('cancelled while drawing')

    layers = [
        module
        for module in network.modules()
        if not next(module.children(), None) and any(True for _ in module.parameters())
    ]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
