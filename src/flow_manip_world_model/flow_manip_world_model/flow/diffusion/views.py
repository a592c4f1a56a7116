# SPDX-License-Identifier: Apache-2.0
"""What the network is shown of an observation, as plain arrays.

'clip' is shown the colour image. 'conv' is shown the whole scene at low resolution, where the goal
is, and a crop around the object, both with colour and geometry in every pixel (coordinates about
the object, height over the world's z = 0), so that places are found rather than learnt by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import transform_points
from flow_manip_world_model.flow.diffusion.codec import Anchors
from flow_manip_world_model.flow.diffusion.config import ImageConfig

# colour 3, coordinates 3, height, known depth, object, what the instruction refers to
CHANNELS = 10
XYZ = slice(3, 6)
OBJECT, REFERENCES = 8, 9
FARTHEST = 4.0  # units of reach that coordinates are clipped to
HEIGHT = 0.2  # one unit of height [m]
FACTS = 7  # the camera's up and the start's place and size

# Means and deviations of CLIP's training images.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Views:
    """Inputs of the network for one observation, float32.

    Attributes:
        scene: (C, H, W): `CHANNELS` planes, or 3 for 'clip'.
        crop: (C, S, S), or (C, 0, 0) for 'clip'.
        places: (G, G, 2) the anchors in the crop, x and y in -1..1.
        points: (G, G, 3) the anchors: for 'conv' about their middle, in units of `reach`; for
            'clip' u, v in -1..1 over the image and depth [m].
        valid: (G, G) 1 where a cell has its own anchor.
        facts: (FACTS,) up in the camera's frame, the anchors' middle [m] and extent [reach].
    """

    scene: Array
    crop: Array
    places: Array
    points: Array
    valid: Array
    facts: Array


def make_views(
    observation: Observation,
    mask: Mask,
    anchors: Anchors,
    config: ImageConfig,
    references: Sequence[Mask] = (),
) -> Views:
    """Prepare what the network is shown.

    Args:
        observation: the image and its camera.
        mask: of the object that moves.
        anchors: of the codec.
        config: what to show.
        references: masks of what the instruction refers to, where somebody knows; shown where
            `config` says so.
    """
    start = anchors.points(observation)
    own = start[anchors.valid]
    middle, extent = own.mean(axis=0), float(own.std(axis=0).max()) / config.reach
    up = observation.T_world_camera[2, :3]
    facts = np.array([*up, *middle, extent], dtype=np.float32)
    valid = anchors.valid.astype(np.float32)
    if config.kind == 'clip':
        size = np.array([observation.camera.width - 1.0, observation.camera.height - 1.0])
        uv = 2.0 * anchors.pixels / size - 1.0
        points = np.concatenate([uv, anchors.depth[..., None]], axis=-1).astype(np.float32)
        scene = _clip_image(observation.color, (config.width, config.height))
        empty = np.zeros((CHANNELS, 0, 0), dtype=np.float32)
        places = np.zeros((*valid.shape, 2), dtype=np.float32)
        return Views(scene, empty, places, points, valid, facts)
    shown = references if config.references else ()
    planes = _Planes(observation, mask, shown, middle, config.reach)
    whole = (0.0, 0.0, float(observation.camera.width), float(observation.camera.height))
    box = _crop_box(anchors, config.margin)
    corner, side = np.array(box[:2]), np.array(box[2:])
    places = (anchors.pixels + 0.5 - corner) / side * 2.0 - 1.0
    return Views(
        planes.cut(whole, (config.width, config.height)),
        planes.cut(box, (config.crop, config.crop)),
        places.astype(np.float32),
        ((start - middle) / config.reach).astype(np.float32),
        valid,
        facts,
    )


class _Planes:
    """Cuts boxes out of an observation, at any size."""

    def __init__(
        self,
        observation: Observation,
        mask: Mask,
        references: Sequence[Mask],
        middle: NDArray[np.float64],
        reach: float,
    ) -> None:
        """Keep what boxes are cut out of."""
        self._observation = observation
        self._middle, self._reach = middle, reach
        self._mask = mask.pixels.astype(np.float32)
        self._references = np.zeros_like(self._mask)
        for reference in references:
            self._references = np.maximum(self._references, reference.pixels)

    def cut(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> Array:
        """Return (CHANNELS, height, width) of a box (x, y, width, height) [px]; outside is 0."""
        observation = self._observation
        scale = np.array([box[2] / size[0], box[3] / size[1]])
        color = _warped(observation.color, box, size, scale, smooth=True) / 127.5 - 1.0
        depth = _warped(np.nan_to_num(observation.depth), box, size, scale, smooth=False)
        known = np.isfinite(depth) & (depth > 0)
        u, v = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
        pixels = np.stack([u, v], axis=-1) * scale + 0.5 * scale + np.array(box[:2]) - 0.5
        points = observation.camera.deproject(pixels, np.where(known, depth, 1.0))
        near = np.clip((points - self._middle) / self._reach, -FARTHEST, FARTHEST)
        height = transform_points(observation.T_world_camera, points)[..., 2] / HEIGHT
        planes = np.concatenate(
            [
                color,
                np.where(known[..., None], near, 0.0),
                np.where(known, np.clip(height, -FARTHEST, FARTHEST), 0.0)[..., None],
                known[..., None],
                _warped(self._mask, box, size, scale, smooth=True)[..., None],
                _warped(self._references, box, size, scale, smooth=True)[..., None],
            ],
            axis=-1,
        )
        return np.ascontiguousarray(planes.transpose(2, 0, 1), dtype=np.float32)


def _warped(
    image: NDArray,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    scale: NDArray[np.float64],
    *,
    smooth: bool,
) -> NDArray[np.float32]:
    """Cut a box out of an image and resize it: smoothly, or by the nearest pixel."""
    source = image.astype(np.float32)
    if smooth and scale.min() > 1.0:
        # What falls between the pixels of a smaller image would flicker.
        source = cv2.blur(source, (round(scale[0]), round(scale[1])))
    shift = np.array(box[:2]) + 0.5 * scale - 0.5
    matrix = np.array([[scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]]])
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return cv2.warpAffine(
        source, matrix, size, flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )


def _crop_box(anchors: Anchors, margin: float) -> tuple[float, float, float, float]:
    """Return the square (x, y, width, height) around the anchors with a margin [px]."""
    pixels = anchors.pixels.reshape(-1, 2)
    lower, upper = pixels.min(axis=0) - 0.5, pixels.max(axis=0) + 0.5
    side = float((upper - lower).max()) * (1.0 + 2.0 * margin)
    x, y = (lower + upper) / 2.0 + 0.5 - side / 2.0
    return float(x), float(y), side, side


def _clip_image(color: NDArray[np.uint8], size: tuple[int, int]) -> Array:
    """Resize and normalise as CLIP's processor does, without cutting the sides off."""
    image = cv2.resize(color, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    image = (image - np.array(CLIP_MEAN)) / np.array(CLIP_DEVIATION)
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
