# SPDX-License-Identifier: Apache-2.0
"""Names of colours as graded scores, and colour distances that shading does not change.

Chromatic names are intervals of hue with soft ends; how chromatic a pixel is comes from CIE Lab,
so that the same paint keeps its name in light and shade. Black, grey and white are intervals of
lightness.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Hue intervals [degrees] in which a name fits fully, then where it stops to fit.
_HUES: dict[str, tuple[float, float, float, float]] = {
    'red': (-28.0, -10.0, 10.0, 18.0),
    'orange': (10.0, 18.0, 36.0, 46.0),
    'yellow': (38.0, 46.0, 64.0, 76.0),
    'green': (62.0, 80.0, 160.0, 175.0),
    'cyan': (155.0, 168.0, 192.0, 205.0),
    'blue': (190.0, 204.0, 250.0, 266.0),
    'purple': (248.0, 264.0, 305.0, 325.0),
    'pink': (290.0, 310.0, 345.0, 352.0),
}
COLOR_NAMES = (*_HUES, 'brown', 'white', 'gray', 'black')
LIGHTNESS_WEIGHT = 0.3  # of a lightness difference against a chroma difference


def lab_image(color: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (H, W, 3) CIE Lab (L 0..100) of an (H, W, 3) RGB image after a 3x3 median."""
    smooth = cv2.medianBlur(color, 3)
    return cv2.cvtColor(smooth.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)


def paint_features(lab: NDArray) -> NDArray[np.float32]:
    """Return (..., 3) features of Lab colours whose distance is that of paints.

    Under dimmer light all of (L + 16, a, b) shrink by one factor, so a and b are taken relative to
    L + 16; lightness itself keeps a small weight, or black and white would be one paint.
    """
    scale = np.minimum(66.0 / (lab[..., 0] + 16.0), 1.8)
    return np.stack(
        [LIGHTNESS_WEIGHT * lab[..., 0], lab[..., 1] * scale, lab[..., 2] * scale], axis=-1
    ).astype(np.float32)


def color_scores(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Score every name for (N, 3) RGB pixels of one object.

    Returns:
        For each of `COLOR_NAMES` 0..1: 1 where at least half of the pixels wear the name.
    """
    if len(pixels) > 600:
        pixels = pixels[:: len(pixels) // 600 + 1]
    image = pixels.reshape(1, -1, 3).astype(np.float32) / 255.0
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[0]
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[0]
    member = _memberships(lab, hsv[:, 0], hsv[:, 1], hsv[:, 2])
    return {name: float(np.clip(values.mean() / 0.5, 0.0, 1.0)) for name, values in member.items()}


def _memberships(
    lab: NDArray, hue: NDArray, saturation: NDArray, value: NDArray
) -> dict[str, NDArray]:
    """Return how much each of (N,) pixels wears each name."""
    lightness = lab[:, 0]
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # A dark pixel needs less chroma to look coloured, but below some light nothing does.
    relative = chroma * 66.0 / (lightness + 16.0)
    chromatic = _rise(relative, 10.0, 24.0) * _rise(lightness, 3.0, 9.0)
    member = {name: chromatic * _hue_interval(hue, *ends) for name, ends in _HUES.items()}
    _warm_names(member, chromatic, hue, saturation, value, lightness)
    plain = 1.0 - chromatic
    member['black'] = plain * (1.0 - _rise(lightness, 22.0, 34.0))
    member['white'] = plain * _rise(lightness, 48.0, 64.0)
    member['gray'] = plain * _rise(lightness, 22.0, 34.0) * (1.0 - _rise(lightness, 58.0, 76.0))
    return member


def _warm_names(
    member: dict[str, NDArray],
    chromatic: NDArray,
    hue: NDArray,
    saturation: NDArray,
    value: NDArray,
    lightness: NDArray,
) -> None:
    """Part brown and pink from red and orange, whose hues they share."""
    warm = _hue_interval(hue, 4.0, 12.0, 42.0, 52.0)
    dull = np.maximum(1.0 - _rise(value, 0.45, 0.62), 1.0 - _rise(saturation, 0.45, 0.62))
    brown = warm * dull
    member['brown'] = chromatic * brown
    for name in ('orange', 'yellow'):
        member[name] = member[name] * (1.0 - 0.8 * brown)
    rosy = _hue_interval(hue, -60.0, -45.0, 8.0, 16.0)
    pale = rosy * (1.0 - _rise(saturation, 0.55, 0.75)) * _rise(lightness, 42.0, 58.0)
    member['pink'] = np.maximum(member['pink'], chromatic * pale)
    member['red'] = member['red'] * (1.0 - 0.9 * pale)
    member['purple'] = member['purple'] * (1.0 - 0.5 * pale)


def _rise(values: NDArray, low: float, high: float) -> NDArray:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _hue_interval(hue: NDArray, a: float, b: float, c: float, d: float) -> NDArray:
    """Return a soft membership of hues [degrees]: rising from a to b, falling from c to d."""
    middle = (b + c) / 2
    around = middle + (hue - middle + 180.0) % 360.0 - 180.0
    return _rise(around, a, b) * (1.0 - _rise(around, c, d))
