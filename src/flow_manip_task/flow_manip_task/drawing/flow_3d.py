# SPDX-License-Identifier: Apache-2.0
"""The object flow in space, seen from the side."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Observation
from flow_manip_task.drawing.canvas import time_colors
from flow_manip_task.drawing.flow import spread_points

CLOUD = 9000  # points of the scene that are drawn
LINES = 24  # points of the flow that are drawn as lines
GREY = '#787e8a'
MARGIN = 0.14  # [m] of the scene around the flow


def draw_flow_3d(observation: Observation, flow: ObjectFlow, title: str) -> NDArray[np.uint8]:
    """Draw the scene's cloud and the flow from the side of the motion and from above.

    Returns:
        RGB picture.
    """
    figure = Figure(figsize=(12.8, 6.4), dpi=100, facecolor='#fafaf8')
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.02, y=0.97, ha='left', fontsize=13, fontweight='bold')
    points, colors = _cloud(observation, flow)
    moved = np.where(flow.visible[..., None], flow.points, np.nan)
    travel = np.nanmean(moved[-1], axis=0) - np.nanmean(moved[0], axis=0)
    side = np.degrees(np.arctan2(travel[0], -travel[1])) if np.hypot(*travel[:2]) > 0.02 else -60
    views = ((16, side, 'across the motion'), (89.9, 180, 'from above, x up'))
    for index, (elevation, azimuth, name) in enumerate(views):
        axes = figure.add_subplot(1, 2, index + 1, projection='3d', computed_zorder=False)
        axes.set_position((0.01 + 0.49 * index, 0.0, 0.49, 0.9))
        axes.set_facecolor('#fafaf8')
        axes.set_proj_type('ortho')
        axes.view_init(elev=elevation, azim=azimuth)
        middle, half = _frame(axes, moved, name, above=index == 1)
        inside = (np.abs(points - middle)[:, :2] <= half).all(axis=1)
        axes.scatter(*points[inside].T, c=colors[inside], s=9, alpha=0.75, lw=0, zorder=1)
        _draw_flow(axes, moved, flow)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _cloud(observation: Observation, flow: ObjectFlow) -> tuple[NDArray, NDArray]:
    """Return points and colours of the scene around the flow, thinned."""
    points = observation.points_world().reshape(-1, 3)
    colors = observation.color.reshape(-1, 3) / 255.0
    lower, upper = _bounds(np.where(flow.visible[..., None], flow.points, np.nan))
    near = ((points >= lower - MARGIN) & (points <= upper + MARGIN)).all(axis=1)
    points, colors = points[near], colors[near]
    keep = np.linspace(0, len(points) - 1, min(CLOUD, len(points))).astype(int)
    return points[keep], colors[keep]


def _bounds(points: NDArray) -> tuple[NDArray, NDArray]:
    flat = points.reshape(-1, 3)
    return np.nanmin(flat, axis=0), np.nanmax(flat, axis=0)


def _draw_flow(axes, moved: NDArray, flow: ObjectFlow) -> None:
    """Draw some points' ways, and all points at a few moments."""
    colors = np.array(time_colors(flow.num_steps)) / 255.0
    for index in spread_points(flow.points[0], LINES):
        for step in range(flow.num_steps - 1):
            axes.plot(*moved[step : step + 2, index].T, color=colors[step], lw=0.9, zorder=3)
    for step in np.unique(np.linspace(0, flow.num_steps - 1, 6).astype(int)):
        axes.scatter(*moved[step].T, color=colors[step], s=7, zorder=4, depthshade=False, lw=0)


def _frame(axes, moved: NDArray, name: str, above: bool) -> tuple[NDArray, float]:
    """Set equal scales around the flow; return the middle and half of the side [m]."""
    lower, upper = _bounds(moved)
    middle, half = (lower + upper) / 2, max(float((upper - lower)[:2].max()) / 2, 0.05) + 0.08
    bottom = float(lower[2]) - 0.05
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_zlim(bottom, bottom + 1.4 * half)
    axes.set_box_aspect((1, 1, 0.7), zoom=1.12)
    axes.set_xlabel('x [m]', fontsize=8, color=GREY)
    axes.set_ylabel('y [m]', fontsize=8, color=GREY)
    axes.set_zlabel('' if above else 'z [m]', fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, colors=GREY)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.93, 0.93, 0.92, 0.5))
        axis.set_major_locator(MaxNLocator(5))
    if above:
        axes.set_zticks([])
    axes.set_title(name, fontsize=10, color=GREY, y=0.97)
    return middle, half
