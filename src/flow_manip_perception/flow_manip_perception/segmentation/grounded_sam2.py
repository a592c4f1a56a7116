# SPDX-License-Identifier: Apache-2.0
"""Segmentation by words with models: Grounding DINO finds the box, SAM 2 the mask.

Thresholds: box 0.25 and text 0.3 (NovaFlow; its models are Grounding DINO tiny and SAM 2.1 Hiera
large), or 0.4 and 0.3 (Dream2Flow: Grounding DINO base, the mask eroded by 11 x 11 px).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    InvalidInputError,
    ObjectAbsentError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_perception.pretrained import (
    image_tensor,
    interruptible,
    load_model,
    ModelRuntime,
    require,
    square_side,
)
from flow_manip_perception.segmentation.detection import (
    choose_box,
    explain_absence,
    GroundingDetector,
)

DETECTOR = 'IDEA-Research/grounding-dino-tiny'
SAM2 = 'facebook/sam2.1-hiera-large'
NAMES = (
    'cup', 'mug', 'bowl', 'plate', 'bottle', 'can', 'box', 'block', 'ball', 'pen', 'tool', 'pot',
    'fruit', 'bread', 'basket', 'drawer', 'cabinet', 'oven', 'rack', 'toy',
)  # fmt: skip


class GroundedSam2:
    """Finds one object by words; keeps nothing between calls but the models."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            detector: hub id or folder of a Grounding DINO.
            segmenter: hub id or folder of a SAM 2.
            box_threshold: of a box's best token.
            text_threshold: of the tokens that make a box's label.
            clear_ratio: the second best box must stay below this share of the best; above 1 the
                best is taken always, as the published systems do.
            erosion: side of the square that the mask is eroded by [px]; 0 and 1 leave it.
            min_pixels: of a mask.
            short_side: that images are resized to for the detector [px].
            names: what `describe` looks for.
            runtime: where the models run.
        """

        detector: str = field(default=DETECTOR, metadata={'doc': 'Hub id or folder'})
        segmenter: str = field(default=SAM2, metadata={'doc': 'Hub id or folder'})
        box_threshold: float = field(default=0.25, metadata={'doc': "Of a box's best token"})
        text_threshold: float = field(default=0.3, metadata={'doc': "Of a label's tokens"})
        clear_ratio: float = field(default=0.95, metadata={'doc': 'Second best over best'})
        erosion: int = field(default=0, metadata={'doc': 'Erosion of the mask [px]'})
        min_pixels: int = field(default=40, metadata={'doc': 'Of a mask'})
        short_side: int = field(default=800, metadata={'doc': "Of the detector's images [px]"})
        names: tuple[str, ...] = field(default=NAMES, metadata={'doc': 'What is described'})
        runtime: ModelRuntime = field(default_factory=ModelRuntime)

        def __post_init__(self) -> None:
            """Refuse numbers without meaning.

            Raises:
                ConfigurationError: with what is wrong.
            """
            shares = (self.box_threshold, self.text_threshold)
            if not all(0 <= share < 1 for share in shares) or self.clear_ratio <= 0:
                raise ConfigurationError(
                    f'grounded_sam2: thresholds {shares}, clear_ratio {self.clear_ratio}'
                )
            if self.erosion < 0 or self.min_pixels < 1 or self.short_side < 32:
                raise ConfigurationError(
                    f'grounded_sam2: erosion {self.erosion}, min_pixels {self.min_pixels}, '
                    f'short_side {self.short_side}'
                )

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the parameters; weights are read at the first image."""
        self._config = config
        self._detector = GroundingDetector(config.detector, config.runtime, config.short_side)
        self._sam: Any = None

    def segment(self, observation: Observation, phrase: str) -> Mask:
        """Return the one object that `phrase` names; its score is the box's.

        Raises:
            ObjectAbsentError: nothing fits; the message has the nearest and its score.
            ObjectAmbiguousError: several fit about equally; the message has their scores.
            PhraseNotUnderstoodError: there are no words.
            BackendError: a model cannot be loaded.
        """
        config = self._config
        # What comes near is looked for as well, so that a message can name it.
        boxes = self._detector.detect(
            observation.color, phrase, 0.5 * config.box_threshold, config.text_threshold
        )
        fitting = [box for box in boxes if box.score > config.box_threshold]
        if not fitting:
            raise explain_absence(boxes, phrase, config.box_threshold)
        box = choose_box(fitting, phrase, config.clear_ratio)
        pixels = eroded(self._mask_in(observation.color, box.corners), config.erosion)
        if pixels.sum() < config.min_pixels:
            raise ObjectAbsentError(
                f'the mask of {box} has {int(pixels.sum())} pixels, {config.min_pixels} are needed'
            )
        return Mask(pixels, phrase, min(box.score, 1.0))

    def describe(self, observation: Observation) -> list[str]:
        """Return the label of every box that answers to one of `names`.

        Raises:
            BackendError: a model cannot be loaded.
        """
        config = self._config
        boxes = self._detector.detect(
            observation.color, ' . '.join(config.names), config.box_threshold,
            config.text_threshold,
        )  # fmt: skip
        return [box.label for box in boxes]

    def _mask_in(self, image: NDArray[np.uint8], corners: NDArray) -> NDArray[np.bool_]:
        """Return the (H, W) mask of what fills a box."""
        if self._sam is None:
            self._sam = load_model('Sam2Model', self._config.segmenter, self._config.runtime)
        return box_mask(self._sam, image, corners)


def box_mask(model: Any, image: NDArray[np.uint8], corners: NDArray) -> NDArray[np.bool_]:
    """Return SAM 2's (H, W) mask for a box (4,) of an (H, W, 3) RGB image."""
    torch = require('torch')
    return _prompted(
        model, image, input_boxes=torch.tensor(_scaled(model, image, corners)[None, None])
    )


def point_mask(
    model: Any, image: NDArray[np.uint8], inside: NDArray, outside: NDArray
) -> NDArray[np.bool_]:
    """Return SAM 2's (H, W) mask for (P, 2) pixels on a thing and (Q, 2) beside it."""
    torch = require('torch')
    points = np.concatenate([inside, outside])
    labels = np.r_[np.ones(len(inside), np.int64), np.zeros(len(outside), np.int64)]
    return _prompted(
        model,
        image,
        input_points=torch.tensor(_scaled(model, image, points)[None, None]),
        input_labels=torch.tensor(labels[None, None]),
    )


def _scaled(model: Any, image: NDArray[np.uint8], values: NDArray) -> NDArray[np.float32]:
    """Return pixels (..., 2k) of the image as pixels of the model's square."""
    side, (height, width) = square_side(model.config), image.shape[:2]
    factors = np.tile([side / width, side / height], values.shape[-1] // 2)
    return (np.asarray(values) * factors).astype(np.float32)


def _prompted(model: Any, image: NDArray[np.uint8], **prompts: Any) -> NDArray[np.bool_]:
    """Return the (H, W) mask for prompts, one mask asked for."""
    torch = require('torch')
    side = square_side(model.config)
    prompts = {
        name: value.to(model.device, None if name == 'input_labels' else model.dtype)
        for name, value in prompts.items()
    }
    with torch.inference_mode():
        found = model(
            pixel_values=image_tensor(image[None], (side, side), model),
            multimask_output=False,
            **prompts,
        )
        logits = found.pred_masks.float().reshape(1, 1, *found.pred_masks.shape[-2:])
    return upsampled(logits, image.shape[0], image.shape[1])


def upsampled(logits: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Return (1, 1, h, w) logits as an (H, W) mask."""
    torch = require('torch')
    grown = torch.nn.functional.interpolate(
        logits.float(), size=(height, width), mode='bilinear', align_corners=False
    )
    return np.asarray(grown[0, 0].cpu().numpy() > 0.0)


def eroded(pixels: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Return a mask eroded by a square of `side` px; as given for 0 and 1."""
    if side <= 1:
        return pixels
    return cv2.erode(pixels.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)


class GroundedSam2Video:
    """Follows a mask through a video with SAM 2's memory; keeps nothing between calls."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            segmenter: hub id or folder of a SAM 2.
            runtime: where the model runs.
        """

        segmenter: str = field(default=SAM2, metadata={'doc': 'Hub id or folder'})
        runtime: ModelRuntime = field(default_factory=ModelRuntime)

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the parameters; weights are read at the first video."""
        self._config = config
        self._model: Any = None

    def propagate(
        self, video: Video, mask: Mask, *, cancelled: Callable[[], bool] = lambda: False
    ) -> NDArray[np.bool_]:
        """Return (T, H, W) masks, the first one as given.

        Frames are handed over one by one, and what the memory no longer reads is dropped, so that
        beside the result the same memory is needed for every length.

        Raises:
            InvalidInputError: the mask is not of the video's size.
            CancelledError: `cancelled` said so, between two layers of the model.
            BackendError: the model cannot be loaded.
        """
        if mask.pixels.shape != video.frames.shape[1:3]:
            raise InvalidInputError(
                f'mask is {mask.pixels.shape}, the frames {video.frames.shape[1:3]}'
            )
        if self._model is None:
            config = self._config
            self._model = load_model('Sam2VideoModel', config.segmenter, config.runtime)
        model, session = self._model, self._session(video, mask)
        side = square_side(model.config)
        result = np.empty(video.frames.shape[:3], dtype=bool)
        for t in range(video.num_frames):
            if cancelled():
                raise CancelledError(f'cancelled at frame {t} of {video.num_frames}')
            frame = image_tensor(video.frames[t : t + 1], (side, side), model)
            with interruptible(model, cancelled, f'a mask was followed to frame {t}'):
                found = model(inference_session=session, frame=frame, frame_idx=t)
            result[t] = upsampled(found.pred_masks[:1], *mask.pixels.shape)
            forget(session, t, model.config)
        result[0] = mask.pixels
        return result

    def _session(self, video: Video, mask: Mask) -> Any:
        """Return a session that knows the mask of frame 0 and no frames."""
        torch = require('torch')
        module = require('transformers.models.sam2_video.modeling_sam2_video')
        model = self._model
        side = square_side(model.config)
        width, height = video.size
        session = module.Sam2VideoInferenceSession(
            video_height=height,
            video_width=width,
            inference_device=model.device,
            dtype=model.dtype,
        )
        small = cv2.resize(
            mask.pixels.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
        )
        prompt = torch.from_numpy((small >= 0.5).astype(np.float32))[None, None]
        index = session.obj_id_to_idx(1)
        session.add_mask_inputs(index, 0, prompt.to(model.device))
        session.obj_with_new_inputs = [1]
        return session


def forget(session: Any, frame: int, config: Any) -> None:
    """Drop from a session what no later frame will read.

    The memory reads the outputs of the last `num_maskmem` frames and the object pointers of the
    last `max_object_pointers_in_encoder`; the frames themselves are read once.
    """
    session.processed_frames.pop(frame, None)
    kept = max(config.num_maskmem, config.max_object_pointers_in_encoder)
    for outputs in session.output_dict_per_obj.values():
        stored = outputs['non_cond_frame_outputs']
        for old in [t for t in stored if t <= frame - kept]:
            del stored[old]
    for tracked in session.frames_tracked_per_obj.values():
        for old in [t for t in tracked if t <= frame - kept]:
            del tracked[old]
