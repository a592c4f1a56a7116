# SPDX-License-Identifier: Apache-2.0
"""Fitting a camera's image into the size a generator works in, and taking its video back out.

Nothing is cropped or stretched on the way in: the image is scaled and its border repeated until
the shape fits. On the way out that border is cut off again, so that a pixel of the video is the
same pixel of the camera, and the camera's intrinsics hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError, VideoFailedError

Size = tuple[int, int]  # (width, height) [px]
MAX_STRETCH = 0.02  # by which a video's shape may differ from what was asked for


@dataclass(frozen=True)
class Framing:
    """Between a camera's image and a generator's frame.

    Attributes:
        camera: size of the camera's image.
        generator: size of the frames that are asked for.
    """

    camera: Size
    generator: Size

    @property
    def _placed(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) of the image in the frame [px]."""
        scale = min(self.generator[0] / self.camera[0], self.generator[1] / self.camera[1])
        width, height = (max(round(side * scale), 1) for side in self.camera)
        return (self.generator[0] - width) // 2, (self.generator[1] - height) // 2, width, height

    def fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame that shows a camera's (H, W, 3) image.

        Raises:
            InvalidInputError: the image is not the camera's.
        """
        if image.shape != (self.camera[1], self.camera[0], 3) or image.dtype != np.uint8:
            raise InvalidInputError(
                f'an image is {image.shape} {image.dtype}, the camera gives '
                f'{(self.camera[1], self.camera[0], 3)} uint8'
            )
        x, y, width, height = self._placed
        inside = _resize(image, (width, height))
        right, below = self.generator[0] - width - x, self.generator[1] - height - y
        framed = cv2.copyMakeBorder(inside, y, below, x, right, cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(framed, dtype=np.uint8)

    def undo(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (T, H, W, 3) frames of the camera out of a generator's.

        They may be larger or smaller than what was asked for, but not of another shape.

        Raises:
            VideoFailedError: they are of another shape.
        """
        height, width = frames.shape[1:3]
        across, down = width / self.generator[0], height / self.generator[1]
        if abs(across / down - 1.0) > MAX_STRETCH:
            raise VideoFailedError(
                f'the video is {width} x {height} px, asked for was the shape of '
                f'{self.generator[0]} x {self.generator[1]}'
            )
        x, y, inner_width, inner_height = self._placed
        left, top = round(x * across), round(y * down)
        right = max(round((x + inner_width) * across), left + 1)
        bottom = max(round((y + inner_height) * down), top + 1)
        return np.stack([_resize(frame[top:bottom, left:right], self.camera) for frame in frames])


def _resize(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Scale, without loss where nothing is to do and without aliasing where it shrinks."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    shrinks = image.shape[0] > size[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=way)  # type: ignore[return-value]
