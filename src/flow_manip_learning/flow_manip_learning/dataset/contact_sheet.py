# SPDX-License-Identifier: Apache-2.0
"""Many samples on one picture: the first frame, what moves, where it goes, and the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
import textwrap

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import project_from
from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset.images import encode_color
from flow_manip_learning.dataset.index import write_whole
from flow_manip_learning.dataset.reader import read_samples
from flow_manip_learning.dataset.sample import FlowSample

_TILE = 384  # [px] width of a picture
_LINE = 15  # [px] height of a line of text
_LINES = 4
_TRACKS = 30  # points of a flow that are drawn
_LETTERS = 58  # of a line


def write_contact_sheet(
    folder: Path,
    path: Path,
    *,
    count: int = 16,
    seed: int = 0,
    tags: Mapping[str, str] | None = None,
) -> int:
    """Write a PNG of random samples of a dataset and return how many are on it.

    Args:
        folder: of the dataset.
        path: of the picture.
        count: at most this many.
        seed: of the choice.
        tags: only samples that have these.

    Raises:
        InvalidInputError: it is no dataset, damaged, or no sample has the tags.
        RecordError: the picture cannot be written.
    """
    rng = np.random.default_rng([seed, 0x7368])
    chosen: list[FlowSample] = []
    fitting = 0
    for sample in read_samples(folder):
        if any(sample.tags.get(name) != value for name, value in (tags or {}).items()):
            continue
        fitting += 1
        # Every sample has the same chance (reservoir sampling, Vitter 1985, algorithm R).
        if len(chosen) < count:
            chosen.append(sample)
        elif (place := int(rng.integers(fitting))) < count:
            chosen[place] = sample
    if not chosen:
        raise InvalidInputError(f'no sample of {folder} has {dict(tags or {})}')
    write_whole(path, encode_color(contact_sheet(chosen)))
    return len(chosen)


def contact_sheet(samples: Sequence[FlowSample], columns: int = 4) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB with the samples side by side.

    What moves is outlined in white; its points' tracks run from blue (first step) to red (last),
    thin and grey where they cannot be seen.
    """
    tiles = [draw_sample(sample) for sample in samples]
    height = max(len(tile) for tile in tiles)
    tiles = [np.pad(tile, ((0, height - len(tile)), (0, 0), (0, 0))) for tile in tiles]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


def draw_sample(sample: FlowSample) -> NDArray[np.uint8]:
    """Return (H, 384, 3) uint8 RGB of one sample with its words below."""
    scale = _TILE / sample.camera.width
    size = (_TILE, round(sample.camera.height * scale))
    image = cv2.resize(sample.color, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(sample.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, (255, 255, 255), 1)
    _draw_tracks(image, sample, scale)
    return np.vstack([image, _words(sample)])


def _draw_tracks(image: NDArray[np.uint8], sample: FlowSample, scale: float) -> None:
    flow = sample.flow
    chosen = np.unique(np.linspace(0, flow.num_points - 1, _TRACKS).astype(int))
    uv = project_from(sample.camera, sample.T_world_camera, flow.points[:, chosen])
    uv, visible = (uv + 0.5) * scale, flow.visible[:, chosen]
    limit = 4.0 * image.shape[1]
    for step in range(1, flow.num_steps):
        share = step / (flow.num_steps - 1)
        colour = (int(255 * share), 60, int(255 * (1 - share)))
        for point in range(len(chosen)):
            ends = uv[step - 1 : step + 1, point]
            if not np.isfinite(ends).all() or np.abs(ends).max() > limit:
                continue
            a, b = (tuple(round(float(v)) for v in end) for end in ends)
            seen = visible[step, point]
            cv2.line(image, a, b, colour if seen else (128, 128, 128), 1, cv2.LINE_AA)
            if step == flow.num_steps - 1:
                cv2.circle(image, b, 2, (255, 0, 0) if seen else (128, 128, 128), -1)


def _words(sample: FlowSample) -> NDArray[np.uint8]:
    """Return the strip of text below a picture."""
    strip = np.full((_LINES * _LINE + 6, _TILE, 3), 24, np.uint8)
    tags = sample.tags
    about = ' '.join(tags[n] for n in ('task', 'action', 'relation', 'axis') if tags.get(n))
    lines = textwrap.wrap(sample.instruction or '(no words)', _LETTERS)[: _LINES - 2]
    lines += [f'{sample.flow.object}; {about}'[:_LETTERS], sample.key[-_LETTERS:]]
    for number, line in enumerate(lines):
        shown = line.encode('ascii', 'replace').decode()
        colour = (255, 255, 255) if number < len(lines) - 2 else (160, 160, 160)
        place = (4, (number + 1) * _LINE)
        cv2.putText(strip, shown, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
    return strip
