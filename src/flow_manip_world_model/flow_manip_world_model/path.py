# SPDX-License-Identifier: Apache-2.0
"""The way of an object from where it stands to where it goes: lift, carry over everything, lower.

The carried object is its footprint times its height. Dilating the scene's heights by the footprint
gives for every position the lowest underside that is free (the configuration space of a
translating prism), so a path is free where its height is above that. The path is rounded at its
corners and run through with a minimum-jerk profile (Flash and Hogan, 1985) whose duration respects
the limits on speed and acceleration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from flow_manip_core.errors import NoObjectPathError
from flow_manip_core.robot import GripperConfig
from flow_manip_world_model.grid import highest_under
from flow_manip_world_model.placing import Place
from flow_manip_world_model.scene import Scene
from flow_manip_world_model.shape import ObjectShape

CORNER_SAMPLES = 12
FINE_SAMPLES = 400
PEAK_SPEED = 1.875  # of a minimum-jerk motion over 1 m in 1 s
PEAK_ACCELERATION = 5.7735
CLOSE = 0.012  # [m] from start and goal in plan: there the object goes straight up or down


@dataclass(frozen=True)
class PathConfig:
    """How objects are carried."""

    speed: float = field(default=0.25, metadata={'doc': 'Largest speed of the object [m/s]'})
    acceleration: float = field(default=0.8, metadata={'doc': 'Largest acceleration [m/s^2]'})
    angular_speed: float = field(default=0.8, metadata={'doc': 'Largest turning speed [rad/s]'})
    clearance: float = field(default=0.02, metadata={'doc': 'Above what is carried over [m]'})
    margin: float = field(default=0.02, metadata={'doc': 'Beside it, for the fingers [m]'})
    min_lift: float = field(default=0.06, metadata={'doc': 'Lifted at least so far [m]'})
    corner_radius: float = field(default=0.05, metadata={'doc': 'Of rounded corners [m]'})


@dataclass(frozen=True)
class CarryMap:
    """The lowest free underside of an object over the grid.

    Attributes:
        scene: whose grid it lies on.
        floor: (nx, ny) with room for the fingers beside it, at every yaw [m].
        ceiling: the highest underside that the workspace allows, hand included [m].
    """

    scene: Scene
    floor: NDArray[np.float64]
    ceiling: float

    def floor_at(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the lowest free underside at (..., 2) positions [m]; inf outside the grid."""
        return self.scene.grid.sample(self.floor, xy, np.inf)


def make_carry_map(
    scene: Scene, shape: ObjectShape, gripper: GripperConfig, config: PathConfig
) -> CarryMap:
    """Dilate the scene by the object's footprint, turned to every yaw.

    The ceiling leaves room for the hand above the object's top.
    """
    hand = gripper.finger_length + gripper.palm_size[2]
    return CarryMap(
        scene=scene,
        floor=highest_under(scene.filled, shape.disc(scene.grid, config.margin)),
        ceiling=scene.workspace.upper[2] - hand - shape.height,
    )


def carry_line(
    carry: CarryMap, start: NDArray[np.float64], place: Place, extra: float, config: PathConfig
) -> NDArray[np.float64]:
    """Find a free polyline for the object's base, corners rounded.

    Straight over everything if the workspace is high enough, else around what is too high.

    Args:
        carry: free heights.
        start: (3,) base of the object where it stands [m].
        place: where it goes.
        extra: carried so much higher than needed [m].
        config: clearances.

    Returns:
        (K, 3) positions of the base, K >= 2 [m].

    Raises:
        NoObjectPathError: there is none; names the point that blocks.
    """
    goal = place.position
    line = np.linspace(start[:2], goal[:2], 200)
    floors = carry.floor_at(line)
    needed = max(float(floors.max()) + config.clearance, max(start[2], goal[2]) + config.min_lift)
    if needed <= carry.ceiling:
        height = min(needed + extra, carry.ceiling)
        corners = [start, [*start[:2], height], [*goal[:2], height], goal]
    else:
        route = _route_around(carry, start, goal, config, _blocking(carry, line, floors))
        corners = [start, *([*xy, carry.ceiling] for xy in route), goal]
    points = np.array(corners, dtype=np.float64)
    keep = np.r_[True, np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6]
    points = points[keep]
    for radius in (config.corner_radius, config.corner_radius / 2, config.corner_radius / 4, 0.0):
        rounded = round_corners(points, radius)
        hit = first_contact(carry, rounded, start, goal)
        if hit is None:
            return rounded
    raise NoObjectPathError(
        f'the object would touch something at ({hit[0]:.2f}, {hit[1]:.2f}) m, which reaches '
        f'{1e3 * hit[2]:.0f} mm, on its way to {np.round(goal, 3).tolist()} m'
    )


def _blocking(carry: CarryMap, line: NDArray, floors: NDArray) -> str:
    """Say what stands in the straight way."""
    worst = int(floors.argmax())
    x, y = line[worst]
    return (
        f'at ({x:.2f}, {y:.2f}) m the scene reaches {1e3 * floors[worst]:.0f} mm, '
        f'the underside can be lifted to {1e3 * carry.ceiling:.0f} mm'
    )


def _route_around(
    carry: CarryMap, start: NDArray, goal: NDArray, config: PathConfig, blocking: str
) -> NDArray[np.float64]:
    """Return (K, 2) positions from start to goal over cells lower than the ceiling.

    Shortest path over the eight neighbours (Dijkstra), then corners are cut where the straight
    line is free.
    """
    grid = carry.scene.grid
    centers = grid.centers
    lower, upper = carry.scene.workspace.lower[:2], carry.scene.workspace.upper[:2]
    free = (carry.floor + config.clearance <= carry.ceiling) & (
        (centers >= lower) & (centers <= upper)
    ).all(axis=-1)
    ends = [tuple(grid.cells(p[:2])) for p in (start, goal)]
    if max(start[2], goal[2]) > carry.ceiling or not all(free[e] for e in ends):
        raise NoObjectPathError(f'the object cannot be lifted clear of the scene: {blocking}')
    numbers = np.arange(free.size).reshape(free.shape)
    rows, columns, lengths = [], [], []
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        here = (slice(0, free.shape[0] - dx), slice(max(-dy, 0), free.shape[1] - max(dy, 0)))
        there = (slice(dx, None), slice(max(dy, 0), free.shape[1] - max(-dy, 0)))
        both = free[here] & free[there]
        rows.append(numbers[here][both])
        columns.append(numbers[there][both])
        lengths.append(np.full(int(both.sum()), np.hypot(dx, dy)))
    graph = coo_array(
        (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))),
        shape=(free.size, free.size),
    ).tocsr()
    _, before = dijkstra(graph, directed=False, indices=numbers[ends[0]], return_predecessors=True)
    node, cells = int(numbers[ends[1]]), []
    while node >= 0:
        cells.append(node)
        node = int(before[node])
    if cells[-1] != numbers[ends[0]]:
        raise NoObjectPathError(f'there is no way over or around: {blocking}')
    route = centers.reshape(-1, 2)[cells[::-1]]
    route[0], route[-1] = start[:2], goal[:2]
    return _cut_corners(carry, route, config)


def _cut_corners(carry: CarryMap, route: NDArray, config: PathConfig) -> NDArray[np.float64]:
    """Keep only the positions of a (K, 2) route that its straight pieces need."""
    kept, at = [0], 0
    while at < len(route) - 1:
        following = len(route) - 1
        while following > at + 1:
            floors = carry.floor_at(np.linspace(route[at], route[following], 100))
            if floors.max() + config.clearance <= carry.ceiling:
                break
            following -= max(1, (following - at) // 8)
        at = max(following, at + 1)
        kept.append(at)
    return route[kept]


def round_corners(points: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Round the inner corners of a (K, 3) polyline by Bezier curves from `radius` before."""
    if radius <= 0.0 or len(points) < 3:
        return points
    s = np.linspace(0.0, 1.0, CORNER_SAMPLES)[:, None]
    result = [points[:1]]
    for before, corner, after in zip(points[:-2], points[1:-1], points[2:]):
        to, fro = before - corner, after - corner
        reach = min(radius, np.linalg.norm(to) / 2.0, np.linalg.norm(fro) / 2.0)
        a = corner + to / np.linalg.norm(to) * reach
        b = corner + fro / np.linalg.norm(fro) * reach
        result.append((1 - s) ** 2 * a + 2 * s * (1 - s) * corner + s**2 * b)
    return np.concatenate([*result, points[-1:]])


def first_contact(
    carry: CarryMap, line: NDArray, start: NDArray, goal: NDArray
) -> NDArray[np.float64] | None:
    """Return (x, y, height) of the first place where the (K, 3) polyline is too low, or None."""
    length = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    at = np.linspace(0.0, length[-1], FINE_SAMPLES)
    points = np.stack([np.interp(at, length, line[:, i]) for i in range(3)], axis=1)
    from_start = np.linalg.norm(points[:, :2] - start[:2], axis=1)
    from_goal = np.linalg.norm(points[:, :2] - goal[:2], axis=1)
    # What the object stands on or comes to rest on was settled with its goal; in between there
    # must be room.
    vertical = (from_start < CLOSE) | (from_goal < CLOSE)
    floors = np.where(vertical, -np.inf, carry.floor_at(points[:, :2]))
    hits = np.flatnonzero(points[:, 2] < floors)
    return np.array([*points[hits[0], :2], floors[hits[0]]]) if len(hits) else None


@dataclass(frozen=True)
class TimedPath:
    """Positions of an object's base over time.

    Attributes:
        times: (T,) seconds from 0.
        points: (T, 3) [m].
        phase: (T,) 0..1, how far along the carrying between lift and lowering: what turns the
            object.
    """

    times: NDArray[np.float64]
    points: NDArray[np.float64]
    phase: NDArray[np.float64]


def time_path(
    line: NDArray[np.float64], num_steps: int, turn: float, config: PathConfig
) -> TimedPath:
    """Run through a (K, 3) polyline with a minimum-jerk profile in `num_steps` equal time steps.

    The duration is the shortest that keeps the object's speed, acceleration (that in the rounded
    corners included) and turning speed within the limits.
    """
    length = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    total = float(length[-1])
    across = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1))]
    duration = max(
        PEAK_SPEED * total / config.speed,
        np.sqrt(PEAK_ACCELERATION * total / config.acceleration),
        0.5,
    )
    fine = np.linspace(0.0, 1.0, FINE_SAMPLES)
    points = _at(line, length, minimum_jerk(fine) * total)
    # Over windows as long as a flow step: a polyline's own corners are no real acceleration.
    stride = max(1, FINE_SAMPLES // num_steps)
    window = (fine[1] - fine[0]) * stride
    second = (
        points[2 * stride :] - 2 * points[stride:-stride] + points[: -2 * stride]
    ) / window**2
    peak = float(np.linalg.norm(second, axis=1).max()) / duration**2
    duration *= max(1.0, np.sqrt(peak / config.acceleration))
    share = np.linspace(0.0, 1.0, num_steps)
    at = minimum_jerk(share) * total
    phase = minimum_jerk(np.interp(at, length, across) / max(across[-1], 1e-9))
    turning = abs(turn) * float(np.diff(phase).max()) * (num_steps - 1)
    duration = max(duration, turning / config.angular_speed)
    return TimedPath(share * duration, _at(line, length, at), phase)


def _at(line: NDArray, length: NDArray, at: NDArray) -> NDArray[np.float64]:
    """Return the (M, 3) points of a polyline at (M,) lengths along it."""
    return np.stack([np.interp(at, length, line[:, i]) for i in range(3)], axis=1)


def minimum_jerk(s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Go from 0 to 1 while `s` does, with zero speed and acceleration at both ends."""
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
