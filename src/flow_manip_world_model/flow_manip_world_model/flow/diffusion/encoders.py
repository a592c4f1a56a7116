# SPDX-License-Identifier: Apache-2.0
"""What the network makes of its views before it draws: tokens, a map, a vector."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import grid_sample, scaled_dot_product_attention, silu

from flow_manip_core.errors import BackendError
from flow_manip_world_model.flow.diffusion.config import ImageConfig, NetworkConfig
from flow_manip_world_model.flow.diffusion.views import CHANNELS, FACTS, XYZ

FREQUENCIES = 12  # per axis: 3 axes x 12 x (sin, cos) = 72 numbers, as in the release
HEADS = 4


@dataclass
class Conditions:
    """A batch of views and words, as tensors; fields as in `Views`.

    Attributes:
        text: (B, L, width) of the text encoder.
    """

    scene: torch.Tensor
    crop: torch.Tensor
    places: torch.Tensor
    points: torch.Tensor
    valid: torch.Tensor
    facts: torch.Tensor
    text: torch.Tensor

    def to(self, device: torch.device | str) -> Conditions:
        """Return it on another device."""
        return Conditions(**{name: value.to(device) for name, value in vars(self).items()})

    def repeated(self, count: int) -> Conditions:
        """Return every sample `count` times in a row."""
        return Conditions(
            **{n: value.repeat_interleave(count, dim=0) for n, value in vars(self).items()}
        )


@dataclass
class Encoded:
    """What the U-Net is given besides the noisy flow.

    Attributes:
        tokens: (B, L, D) that it attends to.
        map: (B, M, G, G) laid beside its input, or None.
        vector: (B, V) added to the time embedding, or None.
        points: (B, 3, G, G) of the anchors.
    """

    tokens: torch.Tensor
    map: torch.Tensor | None
    vector: torch.Tensor | None
    points: torch.Tensor

    def repeated(self, count: int) -> Encoded:
        """Return every sample `count` times in a row."""
        values = {
            name: None if value is None else value.repeat_interleave(count, dim=0)
            for name, value in vars(self).items()
        }
        return Encoded(**values)

    @staticmethod
    def joined(parts: list[Encoded]) -> Encoded:
        """Lay batches one behind the other."""
        columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
        return Encoded(
            **{n: None if v[0] is None else torch.cat(v, dim=0) for n, v in columns.items()}
        )


class InitialPoints(nn.Module):
    """Sines and cosines of where the grid's points are at the start, projected to tokens."""

    def __init__(self, width: int) -> None:
        """Build the projection."""
        super().__init__()
        self.project = nn.Linear(6 * FREQUENCIES, width)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Turn (B, G, G, 3) into (B, G * G, width)."""
        octaves = torch.arange(FREQUENCIES, device=points.device, dtype=points.dtype)
        # From half a turn over the whole range in steps of half an octave.
        angles = points.flatten(1, 2)[..., None] * math.pi * 2.0 ** ((octaves - 1.0) / 2.0)
        return self.project(torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(2))


class ClipImage(nn.Module):
    """CLIP's vision model, frozen; all its tokens in the space that it shares with words."""

    def __init__(self, image: ImageConfig, *, local_files_only: bool = False) -> None:
        """Load the model.

        Raises:
            BackendError: it cannot be loaded.
        """
        super().__init__()
        from transformers import CLIPVisionModelWithProjection

        try:
            model = CLIPVisionModelWithProjection.from_pretrained(
                image.model, local_files_only=local_files_only
            )
        except (OSError, ValueError) as error:
            raise BackendError(f"image encoder '{image.model}': {error}") from error
        self.model: Any = model.eval().requires_grad_(False)
        self._only_class_token = image.only_class_token
        self.width = int(model.config.projection_dim)

    @torch.no_grad()
    def forward(self, scene: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) into (B, L, width)."""
        states = self.model.vision_model(pixel_values=scene).last_hidden_state
        tokens = self.model.visual_projection(self.model.vision_model.post_layernorm(states))
        return tokens[:, :1] if self._only_class_token else tokens


class ClipConditions(nn.Module):
    """The paper's context: words, image and initial points, one after the other."""

    def __init__(
        self,
        image: ImageConfig,
        network: NetworkConfig,
        text_width: int,
        *,
        local_files_only: bool = False,
    ) -> None:
        """Build it; words and image come as wide as the U-Net's context or are projected."""
        super().__init__()
        self.image = ClipImage(image, local_files_only=local_files_only)
        self.points = InitialPoints(network.context)
        width = network.context
        self.from_text = nn.Identity() if text_width == width else nn.Linear(text_width, width)
        same = self.image.width == width
        self.from_image = nn.Identity() if same else nn.Linear(self.image.width, width)
        self.map_channels = 0

    def forward(self, conditions: Conditions) -> Encoded:
        """Encode a batch."""
        tokens = [
            self.from_text(conditions.text),
            self.from_image(self.image(conditions.scene)),
            self.points(conditions.points),
        ]
        return Encoded(torch.cat(tokens, dim=1), None, None, conditions.points.permute(0, 3, 1, 2))


class _Block(nn.Module):
    """Two convolutions around a residual, scaled and shifted by words where there are any."""

    def __init__(self, channels: int, words: int = 0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(8, channels) for _ in range(2))
        self.layers = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.told = nn.Linear(words, 2 * channels) if words else None

    def forward(self, x: torch.Tensor, words: torch.Tensor | None = None) -> torch.Tensor:
        y = self.layers[0](silu(self.norms[0](x)))
        y = self.norms[1](y)
        if self.told is not None:
            scale, shift = self.told(words)[..., None, None].chunk(2, dim=1)
            y = y * (1.0 + scale) + shift
        return x + self.layers[1](silu(y))


class _Stem(nn.Sequential):
    """An image at a quarter of its size."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(CHANNELS, channels // 2, 3, stride=2, padding=1),
            nn.GroupNorm(8, channels // 2),
            nn.SiLU(),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
        )


class _PointsOfInterest(nn.Module):
    """Learned questions, sharpened by the words, that point at places of the scene.

    Each head of each question gives, besides what it saw, the mean coordinates of where it looked:
    a point in space that words chose, exact to less than a cell of the map (a spatial soft-argmax,
    as Levine et al. 2016 had on image coordinates).
    """

    def __init__(self, queries: int, channels: int, width: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.5)
        self.ask = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.told = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, width, 1)
        self.out = nn.Linear(width + 3 * HEADS, width)

    def forward(
        self, seen: torch.Tensor, places: torch.Tensor, words: torch.Tensor, sentence: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (B, Q, width) tokens and (B, Q, 3 HEADS) places.

        Args:
            seen: (B, C, h, w) map.
            places: (B, 4, h, w) coordinates and whether they are known.
            words: (B, L, width).
            sentence: (B, width).
        """
        queries = self.queries + self.told(sentence)[:, None]
        queries = self.norm(queries + self.ask(queries, words, words, need_weights=False)[0])
        query = self.query(queries).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        key = self.key(seen).flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3)
        value = self.value(seen).flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3)
        where = places[:, None, :3].expand(-1, HEADS, -1, -1, -1).flatten(3).transpose(2, 3)
        # Where depth is unknown there are no coordinates to give.
        unknown = (places[:, 3].flatten(1) < 0.5).float() * -1e4
        found = scaled_dot_product_attention(
            query, key, torch.cat([value, where], dim=-1), attn_mask=unknown[:, None, None]
        )
        found = found.transpose(1, 2)
        points = found[..., -3:].flatten(2)
        features = found[..., :-3].flatten(2)
        return queries + self.out(torch.cat([features, points], dim=-1)), points


class ConvConditions(nn.Module):
    """Ours: small convolutions over scene and crop, led by the words."""

    def __init__(self, image: ImageConfig, network: NetworkConfig, text_width: int) -> None:
        """Build it."""
        super().__init__()
        channels, width = image.channels, network.context
        self.words = nn.Sequential(nn.Linear(text_width, width), nn.LayerNorm(width))
        self.scene = _Stem(channels)
        self.scene_blocks = nn.ModuleList(_Block(channels, width) for _ in range(2))
        self.interest = _PointsOfInterest(image.queries, channels, width)
        self.crop = _Stem(channels)
        self.crop_blocks = nn.ModuleList(_Block(channels) for _ in range(1))
        self.crop_tokens = nn.Conv2d(channels, width, 3, stride=3)
        self.at_points = nn.Conv2d(channels, image.map_channels, 1)
        self.points = InitialPoints(width)
        places = image.queries * HEADS * 3
        self.vector = nn.Sequential(
            nn.Linear(places + width + channels + FACTS, network.vector),
            nn.SiLU(),
            nn.Linear(network.vector, network.vector),
        )
        self.map_channels = image.map_channels + 4

    def forward(self, conditions: Conditions) -> Encoded:
        """Encode a batch."""
        words = self.words(conditions.text)
        there = conditions.text.abs().sum(dim=-1, keepdim=True) > 0
        words = words * there
        sentence = words.sum(dim=1) / there.sum(dim=1).clamp(min=1)
        scene = self.scene(conditions.scene)
        for block in self.scene_blocks:
            scene = block(scene, sentence)
        # Coordinates and whether they are known, at the middle of every cell of the map.
        places = conditions.scene[:, [XYZ.start, XYZ.start + 1, XYZ.start + 2, 7], ::4, ::4]
        interest, found = self.interest(silu(scene), places, words, sentence)
        crop = self.crop(conditions.crop)
        for block in self.crop_blocks:
            crop = block(crop)
        crop = silu(crop)
        facts = torch.cat([found.flatten(1), sentence, crop.mean((2, 3)), conditions.facts], dim=1)
        points = conditions.points.permute(0, 3, 1, 2)
        at_points = grid_sample(self.at_points(crop), conditions.places, align_corners=False)
        # One initial point in four is told as a token: a rigid thing needs no more.
        start = self.points(conditions.points[:, ::2, ::2])
        tokens = [words, interest, self.crop_tokens(crop).flatten(2).transpose(1, 2), start]
        return Encoded(
            torch.cat(tokens, dim=1),
            torch.cat([points, conditions.valid[:, None], at_points], dim=1),
            self.vector(facts),
            points,
        )
