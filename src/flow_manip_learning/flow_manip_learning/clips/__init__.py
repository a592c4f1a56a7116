# SPDX-License-Identifier: Apache-2.0
"""Real clips: read, thinned, and with what a length in them means."""

from flow_manip_learning.clips.colour import mask_in_box
from flow_manip_learning.clips.reading import (
    Clip,
    clip_without_depth,
    DISTANCE,
    FOV_DEGREES,
    in_metres,
    read_clip,
    with_estimated_depth,
)

__all__ = [
    'DISTANCE',
    'FOV_DEGREES',
    'Clip',
    'clip_without_depth',
    'in_metres',
    'mask_in_box',
    'read_clip',
    'with_estimated_depth',
]
