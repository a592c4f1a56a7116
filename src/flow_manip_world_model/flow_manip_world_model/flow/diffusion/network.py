# SPDX-License-Identifier: Apache-2.0
"""The network: AnimateDiff's motion U-Net on 3D flow (3DFlowAction, after Im2Flow2Act).

There is no VAE: F goes straight into the U-Net, one frame of G x G points after the other, with
temporal attention in between. All blocks are diffusers' `UNetMotionModel`.
"""

from __future__ import annotations

from typing import Any

from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
import torch
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from flow_manip_core.errors import BackendError
from flow_manip_world_model.flow.diffusion.attention import share_context
from flow_manip_world_model.flow.diffusion.config import FlowDiffusionConfig, NetworkConfig
from flow_manip_world_model.flow.diffusion.encoders import (
    ClipConditions,
    Conditions,
    ConvConditions,
    Encoded,
)

CHANNELS = 4  # u, v, depth, visibility
AFFINE = 12  # numbers of an affine motion
# The spatial attention of the U-Net, which LoRA adapts; motion modules are trained themselves.
LORA_TARGETS = r'.*\.attentions\..*\.(to_q|to_k|to_v|to_out\.0)'


class FlowDiffusion(nn.Module):
    """Draws F (B, 4, T, G, G) from noise, by `Conditions`."""

    def __init__(
        self, config: FlowDiffusionConfig, text_width: int, *, local_files_only: bool = False
    ) -> None:
        """Build the network; a base and CLIP are loaded, everything else starts at random.

        Args:
            config: sizes and names.
            text_width: of the text encoder's tokens.
            local_files_only: never ask the hub.

        Raises:
            BackendError: a model cannot be loaded, or the sizes do not fit together.
        """
        super().__init__()
        self.config = config
        network = config.network
        self.conditions: Any
        if config.image.kind == 'clip':
            self.conditions = ClipConditions(
                config.image, network, text_width, local_files_only=local_files_only
            )
        else:
            self.conditions = ConvConditions(config.image, network, text_width)
        try:
            if network.base:
                self.unet = _adapted_unet(network, local_files_only=local_files_only)
            else:
                self.unet = _new_unet(config, self.conditions.map_channels)
        except (ImportError, OSError, ValueError) as error:  # peft may be missing
            raise BackendError(f'{config.name}: {error}') from error
        if self.unet.config.cross_attention_dim != network.context:
            raise BackendError(
                f'{config.name}: the U-Net attends to tokens of '
                f'{self.unet.config.cross_attention_dim}, the context has {network.context}'
            )
        share_context(self.unet)

    def encode(self, conditions: Conditions) -> Encoded:
        """Turn views and words into what every step of denoising is given."""
        return self.conditions(conditions)

    def forward(self, noisy: torch.Tensor, steps: torch.Tensor, given: Encoded) -> torch.Tensor:
        """Say what the noise schedule asks for.

        Args:
            noisy: (B, 4, T, G, G).
            steps: (B,) of the noise schedule.
            given: of `encode`.

        Returns:
            (B, 4, T, G, G) noise, sample or velocity.
        """
        frames, patch = noisy.shape[2], self.config.network.patch
        sample = _folded(noisy, patch)
        if given.map is not None:
            beside = pixel_unshuffle(given.map, patch)[:, :, None]
            sample = torch.cat([sample, beside.expand(-1, -1, frames, -1, -1)], dim=1)
        made = self.unet(
            sample, steps, encoder_hidden_states=given.tokens, timestep_cond=given.vector
        ).sample
        if not self.config.network.affine:
            return _unfolded(made, patch)
        details, moved = made[:, :-AFFINE], made[:, -AFFINE:].mean(dim=(3, 4))
        return _unfolded(details, patch) + self._affine(moved, given.points)

    def _affine(self, numbers: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Turn (B, 12, T) into the motion (B, 4, T, G, G) of the points, visibility untouched."""
        turn = numbers[:, :9].unflatten(1, (3, 3))
        scale = self.config.image.reach / self.config.codec.scale
        moved = torch.einsum('bijt,bjhw->bithw', turn, points * scale)
        moved = moved + numbers[:, 9:, :, None, None]
        return torch.cat([moved, torch.zeros_like(moved[:, :1])], dim=1)

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that training changes and weights hold, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}


def _folded(sample: torch.Tensor, patch: int) -> torch.Tensor:
    """Turn (B, C, T, G, G) into (B, C p p, T, G / p, G / p)."""
    return pixel_unshuffle(sample.transpose(1, 2), patch).transpose(1, 2)


def _unfolded(sample: torch.Tensor, patch: int) -> torch.Tensor:
    """Invert `_folded`."""
    return pixel_shuffle(sample.transpose(1, 2), patch).transpose(1, 2)


def _new_unet(config: FlowDiffusionConfig, map_channels: int) -> UNetMotionModel:
    """Return a U-Net of its own, all of it to be trained."""
    network = config.network
    levels, area = len(network.channels), network.patch**2
    unet = UNetMotionModel(
        sample_size=config.codec.grid // network.patch,
        in_channels=(CHANNELS + map_channels) * area,
        out_channels=CHANNELS * area + (AFFINE if network.affine else 0),
        down_block_types=('CrossAttnDownBlockMotion',) * levels,
        up_block_types=('CrossAttnUpBlockMotion',) * levels,
        block_out_channels=network.channels,
        layers_per_block=network.layers,
        norm_num_groups=network.groups,
        cross_attention_dim=network.context,
        num_attention_heads=network.heads,
        motion_num_attention_heads=network.heads,
        motion_max_seq_length=network.max_frames,
        use_motion_mid_block=network.motion_mid_block,
        time_cond_proj_dim=network.vector or None,
    )
    _silence_motion(unet)
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    return unet


def _adapted_unet(network: NetworkConfig, *, local_files_only: bool) -> UNetMotionModel:
    """Return an image U-Net with new motion modules, and LoRA on its frozen layers."""
    from peft import LoraConfig

    base = UNet2DConditionModel.from_pretrained(
        network.base, subfolder='unet', local_files_only=local_files_only
    )
    adapter = MotionAdapter(
        block_out_channels=tuple(base.config.block_out_channels),
        motion_layers_per_block=base.config.layers_per_block,
        motion_num_attention_heads=network.heads,
        motion_norm_num_groups=base.config.norm_num_groups,
        motion_max_seq_length=network.max_frames,
        use_motion_mid_block=network.motion_mid_block,
    )
    unet = UNetMotionModel.from_unet2d(base, adapter)
    unet.add_adapter(
        LoraConfig(
            r=network.lora_rank,
            lora_alpha=network.lora_alpha,
            init_lora_weights='gaussian',
            target_modules=LORA_TARGETS,
        )
    )
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_('motion_modules' in name or 'lora_' in name)
    _silence_motion(unet)
    return unet


def _silence_motion(unet: UNetMotionModel) -> None:
    """Let motion modules change nothing at first, as AnimateDiff starts them."""
    for name, module in unet.named_modules():
        if 'motion_modules' in name and name.endswith('proj_out'):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
