# SPDX-License-Identifier: Apache-2.0
"""A large anti-aliased canvas over a camera image, in that image's own pixel coordinates."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import matplotlib
from matplotlib import colormaps
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

WIDTH = 1280  # of a picture [canvas px]
SHIFT = 4  # fractional bits of OpenCV's sub-pixel drawing
INK: Color = (24, 28, 36)
PAPER: Color = (250, 250, 248)
MUTED: Color = (120, 126, 138)
ACCENT: Color = (255, 122, 26)
GOOD: Color = (38, 166, 91)
BAD: Color = (200, 70, 70)
MOVE: Color = (90, 130, 200)


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the sans-serif font that comes with matplotlib, `size` canvas pixels high."""
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / name), size)


def time_colors(count: int) -> list[Color]:
    """Return `count` colours from the beginning (violet) to the end (yellow) of a motion."""
    values = colormaps['plasma'](np.linspace(0.08, 0.95, max(count, 2)))[:count, :3]
    return [tuple(int(c) for c in row) for row in np.round(values * 255)]  # type: ignore[misc]


def label_color(index: int) -> Color:
    """Return a colour for the `index`-th object, well apart from its neighbours."""
    red, green, blue = colormaps['tab10'](index % 10)[:3]
    return int(red * 255), int(green * 255), int(blue * 255)


def focus_box(
    pixels: ArrayLike, width: int, height: int, least: float = 0.5
) -> tuple[int, int, int, int]:
    """Return the part of an image, in its proportions, that shows (N, 2) pixels with room.

    Args:
        pixels: what must be seen; non-finite ones are ignored.
        width: of the image [px].
        height: of the image [px].
        least: smallest share of the image's sides that is shown.

    Returns:
        (x, y, width, height) within the image [px].
    """
    points = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    size = np.array([width, height], dtype=np.float64)
    if not len(points):
        return 0, 0, width, height
    points = points.clip(0, size - 1)
    lower, upper = points.min(axis=0), points.max(axis=0)
    share = float(np.clip(((upper - lower) / size).max() * 1.5, least, 1.0))
    span = np.round(size * share)
    corner = np.round(((lower + upper) / 2 - span / 2).clip(0, size - span))
    return int(corner[0]), int(corner[1]), int(span[0]), int(span[1])


class Canvas:
    """Draws in the camera image's pixels; shows all of it or a part, WIDTH pixels wide."""

    def __init__(
        self,
        image: NDArray[np.uint8],
        dim: float = 0.0,
        focus: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Begin with an (H, W, 3) RGB image.

        Args:
            image: the camera's.
            dim: 0..1 of the way to grey, so that drawings stand out.
            focus: (x, y, width, height) of the part to show [px]; all of it if left out.
        """
        x, y, width, height = focus or (0, 0, image.shape[1], image.shape[0])
        self._corner = np.array([x, y], dtype=np.float64)
        self._zoom = WIDTH / width
        part = image[y : y + height, x : x + width]
        size = (WIDTH, round(height * self._zoom))
        large = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        grey = large.mean(axis=2, keepdims=True) * 0.75 + 40
        self.pixels = (large * (1 - dim) + grey * dim).clip(0, 255).astype(np.uint8)

    def place(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Return canvas coordinates of (..., 2) camera pixels."""
        camera = np.asarray(pixels, dtype=np.float64)
        return (camera - self._corner + 0.5) * self._zoom - 0.5

    def line(self, points: ArrayLike, color: Color, width: float = 3) -> None:
        """Draw a line through (N, 2) pixels, `width` canvas pixels, its finite parts only."""
        for a, b in zip(np.asarray(points)[:-1], np.asarray(points)[1:]):
            if np.isfinite(a).all() and np.isfinite(b).all():
                thickness = max(1, round(width))
                start, end = self._fixed(a), self._fixed(b)
                cv2.line(self.pixels, start, end, color, thickness, cv2.LINE_AA, SHIFT)

    def dot(
        self, point: ArrayLike, color: Color, radius: float = 5, ring: Color | None = None
    ) -> None:
        """Draw a disc at a pixel, `radius` canvas pixels, with a thin `ring` if given."""
        if not np.isfinite(point).all():
            return
        center, unit = self._fixed(point), 2**SHIFT
        if ring is not None:
            outer = int((radius + 2) * unit)
            cv2.circle(self.pixels, center, outer, ring, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(self.pixels, center, int(radius * unit), color, -1, cv2.LINE_AA, SHIFT)

    def tie(self, pixel: ArrayLike, target: ArrayLike, color: Color) -> None:
        """Draw a thin line from a camera pixel to a place on the canvas."""
        end = tuple(round(v * 2**SHIFT) for v in np.asarray(target, dtype=np.float64))
        cv2.line(self.pixels, self._fixed(pixel), end, color, 1, cv2.LINE_AA, SHIFT)

    def arrow(self, start: ArrayLike, end: ArrayLike, color: Color, size: float = 12) -> None:
        """Draw a filled arrow head at the pixel `end`, pointing away from `start`."""
        tail, tip = self.place(start), self.place(end)
        length = float(np.linalg.norm(tip - tail))
        if not np.isfinite(length) or length < 1e-6:
            return
        along = (tip - tail) / length
        across = np.array([-along[1], along[0]])
        corners = [tip + along * size, tip + across * size * 0.6, tip - across * size * 0.6]
        fixed = np.round(np.array(corners).clip(-1e4, 1e4) * 2**SHIFT).astype(np.int32)
        cv2.fillPoly(self.pixels, [fixed], color, cv2.LINE_AA, SHIFT)

    def tint(self, mask: NDArray[np.bool_], color: Color, strength: float = 0.4) -> None:
        """Colour the pixels of an (H, W) mask and outline it."""
        height, width = self.pixels.shape[:2]
        # The inverse of `place`, as OpenCV wants it for a smooth edge at the canvas' resolution.
        shift = (0.5 - self._corner) * self._zoom - 0.5
        matrix = np.array([[self._zoom, 0, shift[0]], [0, self._zoom, shift[1]]])
        soft = cv2.warpAffine(mask.astype(np.float32), matrix, (width, height))
        shape = cv2.GaussianBlur(soft, (0, 0), max(self._zoom * 0.6, 0.5)) > 0.5
        alpha = shape[..., None] * strength
        self.pixels = (self.pixels * (1 - alpha) + np.array(color) * alpha).astype(np.uint8)
        outlines, _ = cv2.findContours(
            shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(self.pixels, outlines, -1, (255, 255, 255), 5, cv2.LINE_AA)
        cv2.drawContours(self.pixels, outlines, -1, color, 3, cv2.LINE_AA)

    def text(
        self,
        point: ArrayLike,
        text: str,
        *,
        size: int = 22,
        color: Color = PAPER,
        back: Color | None = INK,
        anchor: str = 'lm',
        bold: bool = False,
        offset: ArrayLike = (0, 0),
    ) -> None:
        """Write `offset` canvas pixels from a pixel (PIL's anchors), on a plate if `back`."""
        x, y = (float(v) for v in self.place(point) + np.asarray(offset))
        image = Image.fromarray(self.pixels)
        draw = ImageDraw.Draw(image)
        face = font(size, bold)
        left, top, right, bottom = draw.textbbox((x, y), text, font=face, anchor=anchor)
        # Text at the border moves inside, whole.
        dx = max(0.0, 10 - left) + min(0.0, image.width - 10 - right)
        dy = max(0.0, 8 - top) + min(0.0, image.height - 8 - bottom)
        if back is not None:
            box = (left + dx - 7, top + dy - 5, right + dx + 7, bottom + dy + 5)
            draw.rounded_rectangle(box, radius=7, fill=back)
        draw.text((x + dx, y + dy), text, font=face, fill=color, anchor=anchor)
        self.pixels = np.array(image)

    def caption(self, text: str, note: str = '') -> None:
        """Put a bar with a title and a note under the picture."""
        image = Image.new('RGB', (self.pixels.shape[1], 64), PAPER)
        draw, small = ImageDraw.Draw(image), font(19)
        room = image.width - 64 - draw.textlength(note, font=small)
        title = _fit(draw, text, font(24, True), room)
        draw.text((24, 32), title, font=font(24, True), fill=INK, anchor='lm')
        draw.text((image.width - 24, 32), note, font=small, fill=MUTED, anchor='rm')
        self.pixels = np.vstack([self.pixels, np.array(image)])

    def beside(self, panel: Image.Image) -> None:
        """Put a panel of the same height to the right of the picture."""
        self.pixels = np.hstack([self.pixels, np.array(panel)])

    def _fixed(self, pixel: ArrayLike) -> tuple[int, int]:
        """Return OpenCV's fixed-point canvas coordinates of a camera pixel."""
        x, y = self.place(pixel).clip(-1e4, 1e4) * 2**SHIFT
        return round(x), round(y)


def _fit(draw: ImageDraw.ImageDraw, text: str, face: ImageFont.FreeTypeFont, room: float) -> str:
    """Shorten a text to the room that there is."""
    if draw.textlength(text, font=face) <= room:
        return text
    while text and draw.textlength(text + '…', font=face) > room:
        text = text[:-1]
    return text.rstrip() + '…'
