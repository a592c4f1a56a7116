# SPDX-License-Identifier: Apache-2.0
"""Where an object can be pushed along what it stands on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from flow_manip_core.errors import NoFreePlaceError
from flow_manip_world_model.grid import highest_under, lowest_under
from flow_manip_world_model.placing import Place
from flow_manip_world_model.scene import Scene
from flow_manip_world_model.shape import ObjectShape

DIRECTIONS = 16
SAMPLES = 60
DROP = 0.015  # [m] a step down that lets a pushed thing fall


@dataclass(frozen=True)
class PushConfig:
    """How far things are pushed; lengths in metres."""

    distance: float = field(default=0.15, metadata={'doc': 'Preferred [m]'})
    min_distance: float = field(default=0.05, metadata={'doc': 'Shorter is not worth it [m]'})
    lift: float = field(default=0.003, metadata={'doc': 'Off the support while sliding [m]'})
    clearance: float = field(default=0.02, metadata={'doc': 'To other things, for fingers [m]'})
    bump: float = field(default=0.008, metadata={'doc': 'Higher is an obstacle [m]'})
    edge: float = field(default=0.01, metadata={'doc': 'To the border of the workspace [m]'})


@dataclass(frozen=True)
class PushMap:
    """What a pushed object meets.

    Attributes:
        scene: whose grid it lies on.
        height: (nx, ny) of what the object and its margin would meet above the level they slide on
            [m].
        free: (nx, ny) True where there is nothing to meet and the object is inside the workspace.
        room: (nx, ny) distance from the object's axis to the closest obstacle [m].
    """

    scene: Scene
    height: NDArray[np.float64]
    free: NDArray[np.bool_]
    room: NDArray[np.float64]


def make_push_map(scene: Scene, shape: ObjectShape, config: PushConfig) -> PushMap:
    """Find where `shape` can slide on the level of its underside."""
    grid, centers = scene.grid, scene.grid.centers
    # A leaning support is no obstacle; what the object stands on, if that is higher, neither.
    bumps = scene.rise_above(np.maximum(shape.bottom, scene.support_map))
    kernel = shape.kernel(grid, config.clearance)
    height = highest_under(bumps, kernel)
    border = (
        (centers > np.add(scene.workspace.lower[:2], config.edge))
        & (centers < np.subtract(scene.workspace.upper[:2], config.edge))
    ).all(axis=-1)
    inside = lowest_under(border.astype(float), shape.kernel(grid, 0.0), 0.0) > 0.5
    # What a pushed thing slides on must be there all the way: an edge lets it fall.
    carried = np.isnan(scene.top) | (scene.top > shape.bottom - DROP)
    carried = lowest_under(carried.astype(float), shape.kernel(grid, 0.0), 0.0) > 0.5
    room = distance_transform_edt(bumps <= config.bump) * grid.cell
    return PushMap(scene, height, (height <= config.bump) & inside & carried, room)


def push_along(
    ground: PushMap, shape: ObjectShape, direction: NDArray[np.float64], config: PushConfig
) -> Place:
    """Push as far as is free in one direction, at most the preferred distance.

    Raises:
        NoFreePlaceError: less than the smallest distance is free; says what is in the way.
    """
    reach, blocking = _free_distance(ground, shape, direction, config)
    if reach < config.min_distance:
        raise NoFreePlaceError(
            f"'{shape.label}' can be pushed only {1e3 * reach:.0f} mm towards "
            f'({direction[0]:.2f}, {direction[1]:.2f}), {1e3 * config.min_distance:.0f} mm are '
            f'needed: {blocking}'
        )
    goal = shape.center + reach * direction
    return Place(np.array([*goal, shape.bottom + config.lift]))


def push_aside(ground: PushMap, shape: ObjectShape, config: PushConfig) -> list[Place]:
    """Push to where there is most room, of 16 directions; best first.

    Raises:
        NoFreePlaceError: no direction is free for the smallest distance.
    """
    grid, places, reasons = ground.scene.grid, [], []
    for angle in np.arange(DIRECTIONS) * 2.0 * np.pi / DIRECTIONS:
        direction = np.array([np.cos(angle), np.sin(angle)])
        reach, blocking = _free_distance(ground, shape, direction, config)
        if reach < config.min_distance:
            reasons.append(blocking)
            continue
        goal = shape.center + reach * direction
        room = float(grid.sample(ground.room, goal, 0.0))
        # More than a hand's width of room is no better.
        cost = -min(room, 0.2) - 0.5 * reach
        places.append(Place(np.array([*goal, shape.bottom + config.lift]), 0.0, cost))
    if not places:
        raise NoFreePlaceError(
            f"'{shape.label}' cannot be pushed aside by {1e3 * config.min_distance:.0f} mm in any "
            'of '
            f'{DIRECTIONS} directions, for example: {reasons[0]}'
        )
    return sorted(places, key=lambda place: place.cost)


def _free_distance(
    ground: PushMap, shape: ObjectShape, direction: NDArray, config: PushConfig
) -> tuple[float, str]:
    """Return how far `shape` can slide in a direction [m], and what stops it."""
    grid = ground.scene.grid
    distances = np.linspace(0.0, config.distance, SAMPLES)
    line = shape.center + distances[:, None] * direction
    free = grid.sample(ground.free, line, False).astype(bool)
    height = grid.sample(ground.height, line, 0.0)
    # A neighbour closer than the margin does not stop a push that leads away from it.
    parting = height <= height[0]
    start = distances < config.clearance + 2 * grid.cell
    free |= start & parting & (height[0] > config.bump)
    stops = np.flatnonzero(~free)
    if not len(stops):
        return config.distance, ''
    x, y = line[stops[0]]
    met = float(height[stops[0]])
    what = (
        f'something {1e3 * met:.0f} mm high' if met > config.bump else 'the end of the workspace'
    )
    return float(distances[max(stops[0] - 1, 0)]), f'{what} at ({x:.2f}, {y:.2f}) m'
