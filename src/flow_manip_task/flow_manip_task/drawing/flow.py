# SPDX-License-Identifier: Apache-2.0
"""The object flow over the first image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from flow_manip_core.camera import project_from
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_task.drawing.canvas import (
    ACCENT,
    Canvas,
    Color,
    focus_box,
    font,
    INK,
    PAPER,
    time_colors,
)

NUMBERED = 8  # points that are drawn large
FAINT = 60  # points that are drawn thin


def draw_flow(
    observation: Observation, flow: ObjectFlow, mask: Mask | None, title: str
) -> NDArray[np.uint8]:
    """Draw where the flow's points go: numbered ones large, others thin, coloured by time.

    Returns:
        RGB picture of the part of the image that the flow passes through.
    """
    pixels = project_from(observation.camera, observation.T_world_camera, flow.points)
    pixels[~flow.visible] = np.nan
    height, width = observation.depth.shape
    canvas = Canvas(observation.color, 0.6, focus_box(pixels, width, height))
    if mask is not None:
        canvas.tint(mask.pixels, ACCENT, 0.12)
    colors = time_colors(flow.num_steps)
    spread = spread_points(flow.points[0], max(FAINT, NUMBERED))
    for index in spread[NUMBERED:]:
        _trace(canvas, pixels[:, index], colors, 1)
    large = spread[:NUMBERED]
    for index in large:
        _trace(canvas, pixels[:, index], [INK] * len(colors), 6)
        _trace(canvas, pixels[:, index], colors, 4)
    for index in large:
        canvas.arrow(pixels[max(flow.num_steps - 4, 0), index], pixels[-1, index], colors[-1], 14)
    _numbers(canvas, pixels[0, large], flow.point_ids[large], colors[0])
    canvas.caption(title, f'{flow.source}, {flow.num_points} points, {flow.num_steps} steps')
    _scale(canvas, flow)
    return canvas.pixels


def spread_points(points: NDArray, count: int) -> list[int]:
    """Return indices of up to `count` points, each as far as possible from those before it."""
    points = np.where(np.isfinite(points), points, 0.0)
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return chosen


def _trace(canvas: Canvas, pixels: NDArray, colors: list, width: float) -> None:
    for step in range(len(pixels) - 1):
        canvas.line(pixels[step : step + 2], colors[step], width)


def _numbers(canvas: Canvas, starts: NDArray, ids: NDArray, color: Color) -> None:
    """Mark the starts and write their numbers on a ring around them, each tied to its point."""
    finite = np.isfinite(starts).all(axis=1)
    starts, ids = starts[finite], ids[finite]
    if not len(starts):
        return
    placed = canvas.place(starts)
    middle = placed.mean(axis=0)
    radius = max(np.linalg.norm(placed - middle, axis=1).max() + 34, 60.0)
    angles = np.arctan2(*(placed - middle).T[::-1])
    order = np.argsort(angles)
    # Evenly spread in the points' own order: no tie crosses another.
    even = np.linspace(0, 2 * np.pi, len(order), endpoint=False)
    even += np.angle(np.exp(1j * (angles[order] - even)).mean())
    for angle, index in zip(even, order):
        target = middle + radius * np.array([np.cos(angle), np.sin(angle)])
        canvas.tie(starts[index], target, PAPER)
        canvas.dot(starts[index], color, 5, PAPER)
        offset = target - placed[index]
        canvas.text(starts[index], str(ids[index]), size=17, anchor='mm', bold=True, offset=offset)


def _scale(canvas: Canvas, flow: ObjectFlow) -> None:
    """Draw the colour scale of time into the caption's place above it, at the lower left."""
    bottom = canvas.pixels.shape[0] - 64
    image = Image.fromarray(canvas.pixels)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((20, bottom - 62, 300, bottom - 16), radius=12, fill=INK)
    for i, color in enumerate(time_colors(128)):
        draw.rectangle((84 + i, bottom - 46, 85 + i, bottom - 32), fill=color)
    seconds = f'{flow.times[-1] - flow.times[0]:.1f} s'
    draw.text((34, bottom - 39), '0 s', font=font(18), fill=PAPER, anchor='lm')
    draw.text((286, bottom - 39), seconds, font=font(18), fill=PAPER, anchor='rm')
    canvas.pixels = np.array(image)
