# SPDX-License-Identifier: Apache-2.0
"""Attention to tokens that are the same for every frame and every step.

AnimateDiff's pipeline repeats the tokens for each frame, and every layer projects all of the
copies again at every step. Here the frames of a sample attend to one set of tokens together, and
while a sample is drawn each layer projects them once. The result is the same to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


class SharedContextAttention:
    """A processor for diffusers' `Attention`: (B T, N, C) queries attend to (B, L, D) tokens."""

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self.remember = False
        self._projected: tuple[torch.Tensor, torch.Tensor] | None = None

    def forget(self) -> None:
        """Drop what was projected."""
        self._projected = None

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """Attend; diffusers calls it with these names.

        Args:
            attn: the layer with its projections.
            hidden_states: (B T, N, C).
            encoder_hidden_states: (B, L, D).
            attention_mask: not used by the blocks of this network.
        """
        del attention_mask
        key, value = self._project(attn, encoder_hidden_states)
        batch, rows = len(encoder_hidden_states), hidden_states.shape[0] * hidden_states.shape[1]
        query = attn.to_q(hidden_states).view(batch, rows // batch, attn.heads, -1)
        mixed = scaled_dot_product_attention(query.transpose(1, 2), key, value)
        mixed = mixed.transpose(1, 2).reshape(*hidden_states.shape[:2], -1)
        mixed = attn.to_out[1](attn.to_out[0](mixed))
        return mixed / attn.rescale_output_factor

    def _project(self, attn: Any, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values (B, heads, L, C / heads)."""
        if self._projected is not None:
            return self._projected
        key, value = (
            layer(tokens).view(*tokens.shape[:2], attn.heads, -1).transpose(1, 2)
            for layer in (attn.to_k, attn.to_v)
        )
        if self.remember:
            self._projected = key, value
        return key, value


def share_context(unet: nn.Module) -> None:
    """Give every attention to tokens of a U-Net its own `SharedContextAttention`."""
    for name, module in unet.named_modules():
        if name.endswith('attn2') and '.attentions.' in name:
            module.set_processor(SharedContextAttention())  # type: ignore[operator]


@contextmanager
def remembered_context(unet: nn.Module) -> Iterator[None]:
    """Project tokens once until the end: they must stay the same meanwhile."""
    processors = [
        module.processor
        for module in unet.modules()
        if isinstance(getattr(module, 'processor', None), SharedContextAttention)
    ]
    for processor in processors:
        processor.remember = True
    try:
        yield
    finally:
        for processor in processors:
            processor.remember = False
            processor.forget()
