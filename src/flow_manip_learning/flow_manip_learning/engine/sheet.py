# SPDX-License-Identifier: Apache-2.0
"""A contact sheet per clip: frames, gripper, movers, box and tracks, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.video import Video
from flow_manip_learning.engine.detection import Movers
from flow_manip_learning.engine.retracking import DenseMovers

Picture = NDArray[np.uint8]
PANEL = 320  # [px] width of a panel
FRAMES = 4  # of the clip in the first row
TAILS = 60  # tracks that are drawn
BAR = 22  # [px] of a line of text
INK, PAPER = (24, 28, 36), (250, 250, 248)
GRIPPER, EARLY, STILL, MOVER = (200, 70, 70), (240, 170, 60), (150, 150, 150), (40, 200, 90)
GOOD, BAD = (38, 140, 80), (176, 52, 52)


@dataclass
class Findings:
    """What is known of a clip so far; filled in stage by stage.

    Attributes:
        video: the sample's frames.
        working: the frames that movers are looked for in.
        movers: of the first pass.
        dense: of the second.
    """

    video: Video | None = None
    working: Video | None = None
    movers: Movers | None = None
    dense: DenseMovers | None = None


def contact_sheet(findings: Findings, title: str, verdict: str, good: bool) -> Picture:
    """Draw everything that is known of a clip.

    Args:
        findings: whatever there is.
        title: the clip.
        verdict: what came of it, in a line.
        good: whether that is a sample.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width = PANEL * FRAMES
    rows = [_line(title, width, INK)]
    if findings.video is not None:
        rows.append(_frames(findings.video))
        rows.append(_panels(findings, rows[-1].shape[0]))
    rows += [_line(text, width, GOOD if good else BAD) for text in _wrapped(verdict)]
    return np.vstack(rows)


def _frames(video: Video) -> Picture:
    """Return the first row: frames spread over the clip."""
    chosen = np.linspace(0, video.num_frames - 1, FRAMES).round().astype(int)
    return np.hstack([_tagged(_panel(video.frames[k]), f'{video.times[k]:.2f} s') for k in chosen])


def _panels(findings: Findings, height: int) -> Picture:
    """Return the second row: gripper, grid, mask and box, tracks."""
    assert findings.video is not None
    first, last = findings.video.frames[0], findings.video.frames[-1]
    panels = [_panel(first) for _ in range(3)] + [_panel(last)]
    tags = ['gripper', 'grid', 'object', 'tracks, last frame']
    if findings.movers is not None:
        panels[0] = _gripper(panels[0], findings.movers)
        panels[1], tags[1] = _grid(panels[1], findings.movers)
    if findings.dense is not None:
        factor = PANEL / first.shape[1]
        panels[2] = _object(panels[2], findings.dense, factor)
        panels[3] = _tails(panels[3], findings.dense.tracks, factor)
        tags[2] = f'object, {findings.dense.tracks.points.shape[1]} points'
    return np.hstack([_tagged(panel, tag) for panel, tag in zip(panels, tags)])[:height]


def _gripper(panel: Picture, movers: Movers) -> Picture:
    size = (panel.shape[1], panel.shape[0])
    mask = cv2.resize(movers.gripper.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    panel[mask] = (0.4 * panel[mask] + 0.6 * np.array(GRIPPER)).astype(np.uint8)
    return panel


def _grid(panel: Picture, movers: Movers) -> tuple[Picture, str]:
    """Draw the grid's points: early movers, still ones, movers; with the box."""
    side = movers.gripper.shape[0]
    factor = np.array([panel.shape[1], panel.shape[0]]) / side
    points = set(movers.points.tolist())
    for index, start in enumerate(movers.movement.start):
        chosen = index in points
        colour = MOVER if chosen else EARLY if movers.early[index] else STILL
        at = np.rint((start + 0.5) * factor).astype(int)
        cv2.circle(panel, at.tolist(), 3 if chosen else 1, colour, -1, cv2.LINE_AA)
    x, y, w, h = movers.box
    low = np.rint((np.array([x, y]) + 0.5) * factor).astype(int)
    high = np.rint((np.array([x + w, y + h]) + 0.5) * factor).astype(int)
    cv2.rectangle(panel, low.tolist(), high.tolist(), MOVER, 1, cv2.LINE_AA)
    return panel, f'{len(points)} movers, {int(movers.early.sum())} early'


def _object(panel: Picture, dense: DenseMovers, factor: float) -> Picture:
    size = (panel.shape[1], panel.shape[0])
    mask = cv2.resize(dense.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    panel[mask > 0] = (0.6 * panel[mask > 0] + 0.4 * np.array(MOVER)).astype(np.uint8)
    cv2.drawContours(panel, outlines, -1, (255, 255, 255), 1, cv2.LINE_AA)
    x, y, w, h = (v * factor for v in dense.box)
    corners = [(round(x), round(y)), (round(x + w), round(y + h))]
    cv2.rectangle(panel, *corners, (255, 255, 0), 1, cv2.LINE_AA)
    return panel


def _tails(panel: Picture, tracks: PointTracks, factor: float) -> Picture:
    count = tracks.points.shape[1]
    for index in np.linspace(0, count - 1, min(count, TAILS)).round().astype(int):
        seen = tracks.visible[:, index]
        way = np.rint((tracks.points[seen, index] + 0.5) * factor - 0.5).astype(np.int32)
        cv2.polylines(panel, [way.reshape(-1, 1, 2)], False, MOVER, 1, cv2.LINE_AA)
        if len(way):
            cv2.circle(panel, way[0].tolist(), 2, EARLY, -1, cv2.LINE_AA)
            cv2.circle(panel, way[-1].tolist(), 2, GRIPPER, -1, cv2.LINE_AA)
    return panel


def _panel(frame: Picture) -> Picture:
    height = round(frame.shape[0] * PANEL / frame.shape[1])
    return cv2.resize(frame, (PANEL, height), interpolation=cv2.INTER_AREA)


def _tagged(panel: Picture, text: str) -> Picture:
    cv2.rectangle(panel, (0, 0), (10 + 8 * len(text), BAR - 4), INK, -1)
    cv2.putText(panel, text, (5, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, PAPER, 1, cv2.LINE_AA)
    return panel


def _line(text: str, width: int, colour: tuple[int, int, int]) -> Picture:
    bar = np.full((BAR + 6, width, 3), colour, np.uint8)
    # OpenCV's letters are ASCII only.
    ascii_text = text.encode('ascii', 'replace').decode()
    cv2.putText(bar, ascii_text, (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, PAPER, 1, cv2.LINE_AA)
    return bar


def _wrapped(text: str, letters: int = 140) -> list[str]:
    """Break a text into lines of so many letters, three at most."""
    return [text[k : k + letters] for k in range(0, min(len(text), 3 * letters), letters)] or ['']
