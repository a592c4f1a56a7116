# SPDX-License-Identifier: Apache-2.0
"""Grasps, the planned way of the object, and what the plan consists of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from flow_manip_core.camera import project_from
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp, Plan
from flow_manip_core.transforms import transform_points
from flow_manip_task.drawing.canvas import (
    ACCENT,
    BAD,
    Canvas,
    Color,
    focus_box,
    font,
    GOOD,
    INK,
    MOVE,
    MUTED,
    PAPER,
    time_colors,
)

CONSIDERED = 25  # grasps that are drawn beside the chosen one
FINGER = 0.045  # [m] drawn length of a finger
PANEL = 520  # canvas pixels that the panel is wide


def draw_plan(observation: Observation, plan: Plan, mask: Mask, title: str) -> NDArray[np.uint8]:
    """Draw considered grasps (grey), the chosen one (green), the object's way, and the parts.

    Returns:
        RGB picture.
    """
    points = mask.points(observation)
    way = np.array([transform_points(pose, points.mean(axis=0)) for pose in plan.object_poses])
    grasp = gripper_lines(plan.grasp).reshape(-1, 3)
    seen = _project(observation, np.vstack([way, grasp]))
    height, width = observation.depth.shape
    canvas = Canvas(observation.color, 0.6, focus_box(seen, width, height))
    canvas.tint(mask.pixels, ACCENT, 0.18)
    _draw_way(canvas, observation, way, transform_points(plan.object_poses[-1], points))
    for other in plan.considered[:CONSIDERED]:
        _draw_gripper(canvas, observation, other, (165, 170, 180), 2)
    _draw_gripper(canvas, observation, plan.grasp, PAPER, 9)
    _draw_gripper(canvas, observation, plan.grasp, GOOD, 5)
    canvas.caption(title, f'{len(plan.considered)} grasps considered')
    canvas.beside(_panel(plan, canvas.pixels.shape[0]))
    return canvas.pixels


def gripper_lines(grasp: Grasp) -> NDArray[np.float64]:
    """Return (4, 2, 3) line segments in the world: handle, palm and two fingers."""
    half = max(grasp.width, 0.01) / 2 + 0.006
    palm, tip = -FINGER + 0.01, 0.01
    local = np.array(
        [
            [[0, 0, palm - 0.05], [0, 0, palm]],
            [[0, -half, palm], [0, half, palm]],
            [[0, -half, palm], [0, -half, tip]],
            [[0, half, palm], [0, half, tip]],
        ]
    )
    return transform_points(grasp.T_world_tcp, local)


def _project(observation: Observation, points: NDArray) -> NDArray[np.float64]:
    return project_from(observation.camera, observation.T_world_camera, points)


def _draw_gripper(
    canvas: Canvas, observation: Observation, grasp: Grasp, color: Color, width: float
) -> None:
    for segment in gripper_lines(grasp):
        canvas.line(_project(observation, segment), color, width)


def _draw_way(canvas: Canvas, observation: Observation, way: NDArray, end: NDArray) -> None:
    """Draw the (T, 3) way of the object's centre and its (N, 3) points at the end."""
    pixels, colors = _project(observation, way), time_colors(len(way))
    for pixel in _project(observation, end[:: max(len(end) // 500, 1)]):
        canvas.dot(pixel, colors[-1], 2)
    canvas.line(pixels, INK, 9)
    for step in range(len(way) - 1):
        canvas.line(pixels[step : step + 2], colors[step], 6)
    canvas.arrow(pixels[max(len(way) - 4, 0)], pixels[-1], colors[-1], 20)


def _panel(plan: Plan, height: int) -> Image.Image:
    """Write the segments with bars for their durations, and why grasps were dropped."""
    image = Image.new('RGB', (PANEL, height), PAPER)
    draw = ImageDraw.Draw(image)
    y = _heading(draw, 44, f'Plan: {plan.duration:.1f} s of motion')
    moves = [s.trajectory.duration for s in plan.segments if s.trajectory is not None]
    for segment in plan.segments:
        move = segment.trajectory
        text = f'{move.duration:.1f} s' if move else f'{segment.gripper_width * 1000:.0f} mm'
        color = GOOD if move is None else ACCENT if segment.holding else MOVE
        share = move.duration / max(*moves, 1e-6) if move else 0.12
        y = _row(draw, y, segment.name, text, share, color)
    y = _legend(draw, y + 10)
    grasp = plan.grasp
    y = _heading(draw, y + 64, f'Grasp: {grasp.width * 1000:.0f} mm wide, score {grasp.score:.2f}')
    _rejections(draw, y, plan.rejections)
    return image


def _heading(draw: ImageDraw.ImageDraw, y: int, text: str) -> int:
    draw.text((32, y), text, font=font(23, True), fill=INK, anchor='lm')
    return y + 42


def _row(
    draw: ImageDraw.ImageDraw, y: int, name: str, value: str, share: float, color: Color
) -> int:
    """One line: name, bar, value."""
    draw.text((32, y), name[:16], font=font(19), fill=INK, anchor='lm')
    draw.rounded_rectangle((210, y - 8, 210 + max(190 * share, 6), y + 8), radius=5, fill=color)
    draw.text((PANEL - 28, y), value, font=font(19), fill=MUTED, anchor='rm')
    return y + 35


def _legend(draw: ImageDraw.ImageDraw, y: int) -> int:
    """Say what the colours of the bars mean."""
    x = 32
    for text, color in (('arm', MOVE), ('arm with object', ACCENT), ('gripper', GOOD)):
        draw.rounded_rectangle((x, y - 7, x + 14, y + 7), radius=4, fill=color)
        draw.text((x + 22, y), text, font=font(16), fill=MUTED, anchor='lm')
        x += 50 + int(draw.textlength(text, font=font(16)))
    return y


def _rejections(draw: ImageDraw.ImageDraw, y: int, rejections: Mapping[str, int]) -> None:
    """Write how many grasps each reason cost."""
    title = 'Grasps that were dropped' if rejections else 'No grasp was dropped before it'
    draw.text((32, y), title, font=font(19), fill=MUTED, anchor='lm')
    for reason, count in sorted(rejections.items(), key=lambda item: -item[1]):
        y += 38
        draw.text((32, y), f'{count}', font=font(19, True), fill=BAD, anchor='lm')
        draw.text((90, y), reason[:44], font=font(19), fill=INK, anchor='lm')
