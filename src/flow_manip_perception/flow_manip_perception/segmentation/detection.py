# SPDX-License-Identifier: Apache-2.0
"""Boxes in an image by words: Grounding DINO, and which of its boxes is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_perception.pretrained import (
    image_tensor,
    load_model,
    load_tokenizer,
    ModelRuntime,
    require,
)

SHORT_SIDE, LONG_SIDE = 800, 1333  # [px] that the detector was trained with
SAME = 0.5  # overlap over union above which two boxes are one thing
MAX_PHRASE = 200  # characters
MAX_NAMED = 6  # boxes that a message lists


@dataclass(frozen=True)
class Box:
    """One detection.

    Attributes:
        corners: (4,) left, top, right, bottom [px].
        score: 0..1.
        label: words of the phrase that it answers to.
    """

    corners: NDArray[np.float64]
    score: float
    label: str

    def __str__(self) -> str:
        """Say what, how sure and where."""
        u, v = (self.corners[:2] + self.corners[2:]) / 2
        return f"'{self.label}' {self.score:.2f} at ({u:.0f}, {v:.0f}) px"


class GroundingDetector:
    """Grounding DINO of transformers; weights are read at the first image."""

    def __init__(self, where: str, runtime: ModelRuntime, short_side: int = SHORT_SIDE) -> None:
        """Remember where the model is; `short_side` [px] is what images are resized to."""
        self._where, self._runtime, self._short = where, runtime, short_side
        self._loaded: tuple[Any, Any] | None = None

    def detect(
        self, image: NDArray[np.uint8], phrase: str, box_threshold: float, text_threshold: float
    ) -> list[Box]:
        """Return the boxes that answer to a phrase, best first, one per thing.

        Args:
            image: (H, W, 3) uint8 RGB.
            phrase: one or more noun phrases, parted by full stops.
            box_threshold: of a box's best token.
            text_threshold: of the tokens that make its label, which is '?' without any.

        Raises:
            PhraseNotUnderstoodError: there are no words, or too many.
            BackendError: the model cannot be loaded.
        """
        model, tokenizer = self._load()
        torch = require('torch')
        text = clean_phrase(phrase)
        tokens = tokenizer(
            text, return_tensors='pt', truncation=True, max_length=model.config.max_text_len
        )
        ids = tokens['input_ids'].to(model.device)
        with torch.inference_mode():
            found = model(
                pixel_values=image_tensor(image[None], self._size(image), model),
                input_ids=ids,
                attention_mask=tokens['attention_mask'].to(model.device),
                token_type_ids=torch.zeros_like(ids),
            )
        height, width = image.shape[:2]
        scores = torch.sigmoid(found.logits[0].float()).cpu().numpy()[:, : ids.shape[1]]
        boxes = found.pred_boxes[0].float().cpu().numpy().astype(np.float64)
        corners = np.concatenate(
            [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1
        ) * [width, height, width, height]
        corners = corners.clip(0, [width, height, width, height])
        plain = ids[0].cpu().numpy()
        special = np.isin(plain, [*tokenizer.all_special_ids, *_stops(tokenizer)])
        result = []
        for k in np.flatnonzero(scores.max(axis=1) > box_threshold):
            said = plain[(scores[k] > text_threshold) & ~special]
            inside = (corners[k, 2:] - corners[k, :2]).min() >= 1.0
            if inside:
                label = tokenizer.decode(said).strip() or '?'
                result.append(Box(corners[k], float(scores[k].max()), label))
        return one_per_thing(result)

    def _size(self, image: NDArray[np.uint8]) -> tuple[int, int]:
        """Return the (width, height) that an image is resized to, its shape kept."""
        height, width = image.shape[:2]
        scale = min(self._short / min(height, width), LONG_SIDE / max(height, width))
        return max(round(width * scale), 32), max(round(height * scale), 32)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            model = load_model('GroundingDinoForObjectDetection', self._where, self._runtime)
            self._loaded = model, load_tokenizer(self._where, self._runtime)
        return self._loaded


def _stops(tokenizer: Any) -> list[int]:
    """Return the tokens that part phrases."""
    return [i for i in tokenizer.convert_tokens_to_ids(['.', '?']) if i is not None]


def clean_phrase(phrase: str) -> str:
    """Return a phrase as the detector reads it: lower case, a full stop at its end.

    Raises:
        PhraseNotUnderstoodError: there are no words, or it is too long.
    """
    text = ' '.join(phrase.casefold().split())
    if not any(c.isalpha() for c in text):
        raise PhraseNotUnderstoodError(f"'{phrase[:40]}' has no words")
    if len(text) > MAX_PHRASE:
        raise PhraseNotUnderstoodError(
            f'the phrase has {len(text)} characters, at most {MAX_PHRASE} are read'
        )
    return text if text.endswith('.') else f'{text} .'


def one_per_thing(boxes: Sequence[Box]) -> list[Box]:
    """Return boxes best first, without those that overlap a better one (greedy suppression)."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: -b.score):
        if all(overlap(box.corners, other.corners) < SAME for other in kept):
            kept.append(box)
    return kept


def overlap(one: NDArray, other: NDArray) -> float:
    """Return the area that two boxes share over the area that they cover together."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0.0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return shared / max(areas - shared, 1e-9)


def choose_box(boxes: Sequence[Box], phrase: str, clear_ratio: float) -> Box:
    """Return the best box if it is clearly the best.

    Args:
        boxes: best first.
        phrase: that was looked for.
        clear_ratio: the second must stay below this share of the best; above 1 the best is taken
            always, as the published systems do.

    Raises:
        ObjectAbsentError: there is none.
        ObjectAmbiguousError: the second is about as good; the message has both with scores.
    """
    if not boxes:
        raise ObjectAbsentError(f"nothing fits '{phrase}'")
    if len(boxes) > 1 and boxes[1].score > clear_ratio * boxes[0].score:
        listed = ', '.join(str(box) for box in boxes[:MAX_NAMED])
        raise ObjectAmbiguousError(f"several things fit '{phrase}': {listed}")
    return boxes[0]


def explain_absence(boxes: Sequence[Box], phrase: str, threshold: float) -> ObjectAbsentError:
    """Return the error that says what came nearest to a phrase."""
    nearest = f'; nearest: {boxes[0]}' if boxes else ''
    return ObjectAbsentError(f"nothing fits '{phrase}' above {threshold:.2f}{nearest}")
