# SPDX-License-Identifier: Apache-2.0
"""Where an object can be put: on a thing, in a thing, beside a thing.

Every place is searched on the scene's grid with the object's footprint as a kernel, so that a
place stands for the whole object and not for a point. Heights are those of the object's underside
at the moment it is let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, binary_opening, distance_transform_edt, label

from flow_manip_core.errors import NoFreePlaceError
from flow_manip_core.observation import Mask
from flow_manip_core.robot import GripperConfig
from flow_manip_world_model.grid import highest_under, lowest_under, rotated, share_under
from flow_manip_world_model.scene import Scene
from flow_manip_world_model.shape import convex_outline, ObjectShape

CONTACT_SHARE = 0.95  # of the cells under the object lie below where it comes to rest
TIGHT = 0.002  # [m] around the footprint where nothing else may be


@dataclass(frozen=True)
class PlacingConfig:
    """How carefully things are put down; lengths in metres."""

    release_height: float = field(default=0.005, metadata={'doc': 'Free fall at release [m]'})
    gap: float = field(default=0.03, metadata={'doc': 'Preferred gap beside a reference [m]'})
    min_gap: float = field(default=0.02, metadata={'doc': 'Smallest gap beside it [m]'})
    max_gap: float = field(default=0.10, metadata={'doc': 'Largest gap beside it [m]'})
    sector: float = field(default=0.6, metadata={'doc': 'Half-angle of "left of" etc. [rad]'})
    clearance: float = field(default=0.015, metadata={'doc': 'To other things when placed [m]'})
    min_seen: float = field(default=0.6, metadata={'doc': 'Share of a place that must be seen'})
    edge: float = field(default=0.01, metadata={'doc': 'To the border of the workspace [m]'})
    bump: float = field(default=0.010, metadata={'doc': 'Higher is an obstacle on a surface [m]'})
    thin: float = field(default=0.005, metadata={'doc': 'Higher over an area is a thing [m]'})
    thin_share: float = field(default=0.05, metadata={'doc': 'Share of a place that is an area'})
    contact_band: float = field(default=0.008, metadata={'doc': 'Heights that carry together [m]'})
    stability: float = field(
        default=0.4, metadata={'doc': 'Carried half-width / half-width of the object, at least'}
    )
    min_depth: float = field(default=0.006, metadata={'doc': 'A cavity is at least so deep [m]'})
    wall_gap: float = field(default=0.002, metadata={'doc': 'Between object and cavity wall [m]'})
    finger_room: float = field(
        default=0.01, metadata={'doc': 'Opening of a finger at release [m]'}
    )


@dataclass(frozen=True)
class Place:
    """Where an object's base goes.

    Attributes:
        position: (3,) of the point where its axis meets its underside [m].
        yaw: about the axis [rad].
        cost: smaller is better.
    """

    position: NDArray[np.float64]
    yaw: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class Target:
    """A thing that the instruction refers to, on the scene's grid.

    Attributes:
        shape: of it.
        cells: (nx, ny) True on its outline.
        surface: (nx, ny) its own height, completed where hidden; NaN elsewhere [m].
        others: (nx, ny) height of everything but it and the moving object; -inf where there is
            nothing [m].
    """

    shape: ObjectShape
    cells: NDArray[np.bool_]
    surface: NDArray[np.float64]
    others: NDArray[np.float64]


def make_target(scene: Scene, mask: Mask, shape: ObjectShape) -> Target:
    """Describe the thing of `mask`, completed as `shape`, on the scene's grid."""
    surface = scene.surface_of(mask)
    completed = scene.grid.height_map(shape.points, 0.5)
    surface = np.where(np.isnan(surface), completed, surface)
    rest = scene.points[~mask.pixels & ~scene.moving]
    others = scene.grid.height_map(rest[np.isfinite(rest).all(axis=1)], 0.9)
    return Target(
        shape=shape,
        cells=scene.grid.fill(shape.center + shape.footprint),
        surface=surface,
        others=np.where(np.isnan(others), -np.inf, others),
    )


def place_on(
    scene: Scene, shape: ObjectShape, target: Target, yaw: float, config: PlacingConfig
) -> Place:
    """Find where `shape` rests on the target, as near to its centre as it can.

    It can where the highest of the target's own cells under it carry it: their convex hull holds
    the object's axis well inside, and nothing else stands there.

    Raises:
        NoFreePlaceError: there is no such place; says what was the matter at the centre.
    """
    options = scene.grid.centers[target.cells]
    distance = np.linalg.norm(options - target.shape.center, axis=1)
    order = np.argsort(distance)[:: max(1, len(options) // 600)]
    first_reason = ''
    for xy in (target.shape.center, *options[order]):
        place, reason = _rest_at(scene, shape, target, xy, yaw, config)
        if place is not None:
            return place
        first_reason = first_reason or reason
    raise NoFreePlaceError(
        f"'{shape.label}' does not fit on '{target.shape.label}' anywhere; at its centre "
        f'{first_reason}'
    )


def _rest_at(
    scene: Scene,
    shape: ObjectShape,
    target: Target,
    xy: NDArray[np.float64],
    yaw: float,
    config: PlacingConfig,
) -> tuple[Place | None, str]:
    """Return how `shape` rests at one position of the target, or why it does not."""
    outline = rotated(shape.footprint, yaw)
    under = scene.grid.fill(xy + outline)
    heights = target.surface[under]
    known = np.isfinite(heights)
    if known.sum() < 3:
        return None, 'nothing of its surface is seen'
    contact = float(np.percentile(heights[known], 100 * CONTACT_SHARE))
    carrying = known & (np.nan_to_num(heights, nan=-np.inf) > contact - config.contact_band)
    margin = stability_margin(scene.grid.centers[under][carrying], xy)
    needed = config.stability * shape.half_width
    if margin < needed:
        return None, (
            f'it would be carried only {1e3 * margin:.0f} mm around its axis, '
            f'{1e3 * needed:.0f} mm are needed for a width of {2e3 * shape.half_width:.0f} mm'
        )
    near = scene.grid.fill(xy + outline, config.clearance)
    blocking = target.others[near].max(initial=-np.inf)
    if blocking > contact + config.bump:
        return None, f'something stands {1e3 * (blocking - contact):.0f} mm high on it'
    position = np.array([*xy, contact + config.release_height])
    if not scene.workspace.contains(position, config.edge):
        return None, f'the place {position.round(3).tolist()} m is outside the workspace'
    return Place(position, yaw, float(np.linalg.norm(xy - target.shape.center))), ''


def stability_margin(carrying: NDArray[np.float64], xy: NDArray[np.float64]) -> float:
    """Return how far (2,) `xy` is inside the hull of (N, 2) points [m]; negative outside."""
    if len(carrying) < 3:
        return -np.inf
    hull = convex_outline(carrying)
    edges = np.roll(hull, -1, axis=0) - hull
    offset = xy - hull
    cross = edges[:, 0] * offset[:, 1] - edges[:, 1] * offset[:, 0]
    return float((cross / np.linalg.norm(edges, axis=1)).min())


def place_in(
    scene: Scene,
    shape: ObjectShape,
    target: Target,
    yaws: Sequence[float],
    gripper: GripperConfig,
    config: PlacingConfig,
) -> Place:
    """Find where `shape` is let go in the target's cavity.

    The cavity is what lies below the target's rim within its outline. The object is let go 5 mm
    above where it first touches, or higher where the fingers would meet the rim, but not above the
    rim by more than 1 cm.

    Args:
        scene: to place in.
        shape: of the object.
        target: the container.
        yaws: tried in order [rad]; the first that fits is taken.
        gripper: whose fingers must stay free.
        config: distances.

    Raises:
        NoFreePlaceError: the target has no cavity, it is too narrow, or it is full.
    """
    rim = rim_height(target)
    inside = cavity(target, rim, config.min_depth)
    name = target.shape.label
    if not inside.any():
        raise NoFreePlaceError(
            f"'{name}' has no cavity: nothing within its outline lies "
            f'{1e3 * config.min_depth:.0f} mm '
            f'below its rim at {1e3 * rim:.0f} mm'
        )
    room = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] * scene.grid.cell
    widest = 0.0
    for yaw in yaws:
        spread = lowest_under(
            inside.astype(float), shape.kernel(scene.grid, config.wall_gap, yaw), 0.0
        )
        fits = spread > 0.5
        widest = max(widest, float(room.max()))
        if not fits.any():
            continue
        # Most room all around, and of that the middle.
        best = fits & (room >= room[fits].max() - scene.grid.cell)
        xy = scene.grid.centers[best].mean(axis=0)
        if not fits[tuple(scene.grid.cells(xy))]:
            xy = scene.grid.centers[
                np.unravel_index(np.where(fits, room, -1).argmax(), room.shape)
            ]
        height = _height_in(scene, shape, target, xy, yaw, rim, gripper, config)
        return Place(np.array([*xy, height]), yaw)
    raise NoFreePlaceError(
        f"'{shape.label}', {2e3 * shape.half_width:.0f} to {2e3 * shape.radius:.0f} mm wide, does "
        'not fit into '
        f"'{name}', whose opening is {2e3 * widest:.0f} mm wide"
    )


def rim_height(target: Target) -> float:
    """Return the height of the target's rim [m]: what its outer cells reach."""
    outer = target.cells & (distance_transform_edt(np.pad(target.cells, 1))[1:-1, 1:-1] <= 4)
    heights = target.surface[outer & np.isfinite(target.surface)]
    if not len(heights):
        return target.shape.top
    return float(np.percentile(heights, 80.0))


def cavity(target: Target, rim: float, min_depth: float) -> NDArray[np.bool_]:
    """Return the (nx, ny) cells of the target's cavity: enclosed by its rim and lower than it.

    Cells of it that nobody sees (the near part of a deep one) belong to it if they are enclosed.
    """
    high = np.nan_to_num(target.surface, nan=-np.inf) >= rim - min_depth
    high |= target.cells & (distance_transform_edt(np.pad(target.cells, 1))[1:-1, 1:-1] <= 1.5)
    inside = binary_fill_holes(high) & ~high
    # Dents of a cell or two are noise, not cavities.
    low = binary_opening(inside & np.isfinite(target.surface), iterations=2)
    if not low.any():
        return np.zeros_like(inside)
    parts, count = label(inside)
    sizes = np.bincount(parts[low], minlength=count + 1)
    return parts == sizes.argmax()


def _height_in(
    scene: Scene,
    shape: ObjectShape,
    target: Target,
    xy: NDArray[np.float64],
    yaw: float,
    rim: float,
    gripper: GripperConfig,
    config: PlacingConfig,
) -> float:
    """Return at which height of its underside `shape` is let go in a cavity."""
    outline = rotated(shape.footprint, yaw)
    under = scene.grid.fill(xy + outline)
    content = np.maximum(target.others[under], np.nan_to_num(target.surface[under], nan=-np.inf))
    floor = target.shape.bottom
    contact = float(max(content[np.isfinite(content)].max(initial=floor), floor))
    if contact > rim - config.min_depth:
        raise NoFreePlaceError(
            f"'{target.shape.label}' is full: {1e3 * (rim - contact):.0f} mm of its depth are free"
        )
    scenery = np.maximum(target.others, np.nan_to_num(target.surface, nan=-np.inf))

    def highest_within(margin: float) -> float:
        beside = scenery[scene.grid.fill(xy + outline, margin)]
        return float(beside[np.isfinite(beside)].max(initial=floor))

    # The grasp is not known yet: taken about the object's middle, finger tips a bit lower.
    tips = max(shape.height / 2.0 - gripper.tip_offset, 0.0)
    palm = shape.height / 2.0 + gripper.finger_length - gripper.tip_offset
    fingers = highest_within(gripper.finger_thickness + config.finger_room) - tips
    hand = highest_within(max(gripper.palm_size[:2]) / 2.0 - shape.half_width) - palm
    wished = max(contact, fingers, hand) + config.release_height
    return min(wished, max(rim + 0.01, contact + config.release_height))


def places_beside(
    scene: Scene,
    shape: ObjectShape,
    target: Target,
    relation: str,
    count: int,
    yaw: float,
    config: PlacingConfig,
) -> list[Place]:
    """Find free places on the support beside the target, best first, at least 4 cm apart.

    Args:
        scene: to place in.
        shape: of the object.
        target: what it is to stand beside.
        relation: 'next_to', 'left_of', 'right_of', 'in_front_of' or 'behind', as seen in the
            image.
        count: at most so many.
        yaw: of the object [rad].
        config: distances.

    Raises:
        NoFreePlaceError: there is none; says how many were outside, hidden or blocked, and by
            what.
    """
    offset = scene.grid.centers - target.shape.center
    distance = distance_transform_edt(~target.cells) * scene.grid.cell
    gap = lowest_under(distance, shape.kernel(scene.grid, 0.0, yaw), 0.0)
    wanted = (gap >= config.min_gap) & (gap <= config.max_gap)
    turn = np.zeros_like(gap)
    if relation != 'next_to':
        direction = relation_direction(scene, relation)
        turn = np.abs(np.arctan2(offset @ [-direction[1], direction[0]], offset @ direction))
        wanted &= turn <= config.sector
    cost = np.maximum(gap - config.gap, 0.0) / config.gap + 2.0 * np.maximum(config.gap - gap, 0.0)
    cost += 2.0 * (turn / config.sector) ** 2
    # Among equals the way is short.
    cost += 0.5 * np.linalg.norm(scene.grid.centers - shape.center, axis=-1)
    name = f"{relation.replace('_', ' ')} '{target.shape.label}'"
    return free_places(scene, shape, wanted, cost, name, count, yaw, config)


def places_between(
    scene: Scene,
    shape: ObjectShape,
    targets: Sequence[Target],
    count: int,
    yaw: float,
    config: PlacingConfig,
) -> list[Place]:
    """Find free places on the support between two targets, best first; see `places_beside`."""
    first, second = (target.shape.center for target in targets)
    way = second - first
    along = (scene.grid.centers - first) @ way / max(float(way @ way), 1e-9)
    aside = np.linalg.norm(scene.grid.centers - first - along[..., None] * way, axis=-1)
    wanted = (along > 0.2) & (along < 0.8) & (aside < 0.05)
    kernel = shape.kernel(scene.grid, 0.0, yaw)
    for target in targets:
        distance = distance_transform_edt(~target.cells) * scene.grid.cell
        wanted &= lowest_under(distance, kernel, 0.0) >= min(config.min_gap, config.clearance)
    cost = np.abs(along - 0.5) + aside / 0.05
    names = ' and '.join(f"'{target.shape.label}'" for target in targets)
    return free_places(scene, shape, wanted, cost, f'between {names}', count, yaw, config)


def relation_direction(scene: Scene, relation: str) -> NDArray[np.float64]:
    """Return the (2,) unit vector in xy that a relation means, as seen in the image."""
    vectors = {
        'left': -scene.right,
        'right': scene.right,
        'behind': scene.away,
        'away': scene.away,
        'in_front': -scene.away,
        'towards': -scene.away,
    }
    return vectors[relation.removesuffix('_of')]


def free_places(
    scene: Scene,
    shape: ObjectShape,
    wanted: NDArray[np.bool_],
    cost: NDArray[np.float64],
    name: str,
    count: int,
    yaw: float,
    config: PlacingConfig,
) -> list[Place]:
    """Return the cheapest wanted places that are free, seen and inside, best first.

    Raises:
        NoFreePlaceError: there is none.
    """
    grid, centers = scene.grid, scene.grid.centers
    tight = shape.kernel(grid, TIGHT, yaw)
    rise = scene.rise_above(scene.support_map)
    height = highest_under(rise, shape.kernel(grid, config.clearance, yaw))
    level = np.concatenate([centers, scene.support_map[..., None]], axis=-1)
    lower, upper = scene.workspace.lower[:2], scene.workspace.upper[:2]
    border = (centers > np.add(lower, config.edge)) & (centers < np.subtract(upper, config.edge))
    inside = lowest_under(border.all(axis=-1).astype(float), tight, 0.0) > 0.5
    seen = share_under(scene.seen, tight) >= config.min_seen
    # A plate is lower than some noise, but not over an area.
    lies_on = share_under(rise > config.thin, tight) > config.thin_share
    blocked = (height > config.bump) | lies_on
    free = wanted & inside & seen & ~blocked
    if not free.any():
        raise NoFreePlaceError(_why_none(scene, shape, wanted, inside, seen, blocked, name))
    price = np.where(free, cost + 1.0 * (1.0 - share_under(scene.seen, tight)), np.inf)
    places: list[Place] = []
    while len(places) < count and np.isfinite(price).any():
        best = np.unravel_index(int(price.argmin()), price.shape)
        position = level[best] + [0.0, 0.0, config.release_height]
        places.append(Place(position, yaw, float(price[best])))
        price[np.linalg.norm(centers - centers[best], axis=-1) < 0.04] = np.inf
    return places


def _why_none(
    scene: Scene,
    shape: ObjectShape,
    wanted: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    blocked: NDArray[np.bool_],
    name: str,
) -> str:
    """Say with numbers why no wanted place is free."""
    if not wanted.any():
        return (
            f"no place {name} for '{shape.label}' ({2e3 * shape.radius:.0f} mm wide) lies in the "
            'workspace'
        )
    outside, hidden = wanted & ~inside, wanted & inside & ~seen
    occupied = wanted & inside & seen & blocked
    text = (
        f"no free place {name} for '{shape.label}' ({2e3 * shape.radius:.0f} mm wide): of "
        f'{int(wanted.sum())} places '
        f'{int(outside.sum())} are outside the workspace, {int(hidden.sum())} hidden, '
        f'{int(occupied.sum())} occupied'
    )
    if occupied.any():
        rise = np.where(occupied, scene.filled - scene.support_map, -np.inf)
        worst = np.unravel_index(int(rise.argmax()), rise.shape)
        x, y = scene.grid.centers[worst]
        text += (
            f', for example by something {1e3 * rise[worst]:.0f} mm high at ({x:.2f}, {y:.2f}) m'
        )
    return text
