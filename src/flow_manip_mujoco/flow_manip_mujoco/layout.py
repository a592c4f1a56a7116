# SPDX-License-Identifier: Apache-2.0
"""Which objects stand where: scenes in words, poses without overlap or hiding each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import re

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.transforms import make_transform, rotation_about, transform_points
from flow_manip_mujoco.fixtures import FixtureSpec
from flow_manip_mujoco.objects import CATALOGUE, object_spec, ObjectSpec

Footing = tuple[float, float, float]  # x [m], y [m], yaw [rad]

_RANDOM = re.compile(r'random(?::(\d+))?$')
_MORE = re.compile(r'(?P<names>[^+]+?)(?:\+(?P<more>\d+))?$')
_MAX_OBJECTS = 12
_NAMED = {
    'empty': (),
    'tabletop': (
        'red_cube',
        'blue_cube',
        'white_plate',
        'pink_bowl',
        'yellow_mug',
        'green_bottle',
        'orange_box',
        'purple_ball',
    ),
}
_MAX_TRIES = 300


@dataclass(frozen=True)
class Scene:
    """What is on the table.

    Attributes:
        objects: names from the catalogue, or objects that a task brings along.
        distractors: how many more are drawn at random from the catalogue.
        footings: (x, y, yaw) in the world for those that must not be drawn at random.
        fixtures: what is bolted to the table.
        joints: where fixtures' joints stand at the start, by the name of the body [rad or m]; 0
            for those that are not named.
    """

    objects: tuple[str | ObjectSpec, ...] = ()
    distractors: int = 0
    footings: Mapping[str, Footing] = field(default_factory=dict)
    fixtures: tuple[FixtureSpec, ...] = ()
    joints: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown, repeated and too many objects, and joints that are not there."""
        names = [spec.name for spec in (*self.specs, *self.fixtures)]
        if len(set(names)) != len(names):
            raise ConfigurationError(f'scene names an object twice: {names}')
        if stray := set(self.footings) - set(names):
            raise ConfigurationError(f'footings of objects that the scene lacks: {sorted(stray)}')
        if self.distractors < 0 or len(self.objects) + self.distractors > _MAX_OBJECTS:
            raise ConfigurationError(
                f'{len(self.objects)} objects and {self.distractors} distractors; '
                f'at most {_MAX_OBJECTS}'
            )

        ranges = joint_ranges(self.fixtures)
        for name, value in self.joints.items():
            if name not in ranges or not ranges[name][0] <= value <= ranges[name][1]:
                raise ConfigurationError(f"joint '{name}' at {value:.3f}; there are {ranges}")

    @property
    def specs(self) -> tuple[ObjectSpec, ...]:
        """The named objects."""
        return tuple(o if isinstance(o, ObjectSpec) else object_spec(o) for o in self.objects)

    @classmethod
    def parse(cls, text: str) -> Scene:
        """Read a scene from text.

        'tabletop' (eight different things), 'empty', 'random', 'random:4', 'red_cube,white_plate',
        or 'red_cube,white_plate+3' with three distractors.
        """
        text = text.strip()
        if match := _RANDOM.match(text):
            return cls(distractors=int(match[1] or 6))
        if text in _NAMED:
            return cls(_NAMED[text])
        match = _MORE.match(text)
        if match is None:
            known = f"one of {sorted(_NAMED)} nor 'random[:n]' nor 'name,name[+n]'"
            raise ConfigurationError(f"scene '{text}' is neither {known}")
        names = tuple(name.strip() for name in match['names'].split(','))
        return cls(names, int(match['more'] or 0))


@dataclass(frozen=True)
class LayoutConfig:
    """Where objects are put.

    Attributes:
        lower: (x, y) corner of the area for their centres, in the world [m].
        upper: opposite corner [m].
        clearance: between footprints, wide enough for a finger [m].
    """

    lower: tuple[float, float] = (0.36, -0.27)
    upper: tuple[float, float] = (0.66, 0.27)
    clearance: float = 0.04


def choose_objects(scene: Scene, rng: np.random.Generator) -> list[ObjectSpec]:
    """Return the named objects and the drawn distractors, no two alike in colour and kind."""
    chosen = list(scene.specs)
    names = sorted(CATALOGUE)
    for index in rng.permutation(len(names)):
        if len(chosen) == len(scene.objects) + scene.distractors:
            break
        candidate = CATALOGUE[names[index]]
        if all(are_told_apart(candidate, other) for other in chosen) and _fits(candidate, chosen):
            chosen.append(candidate)
    return chosen


def are_told_apart(a: ObjectSpec, b: ObjectSpec) -> bool:
    """Say whether colour and shape together name one of the two only."""
    alike = _silhouette(a) == _silhouette(b)
    return a.name != b.name and not (a.colour == b.colour and alike)


def _silhouette(spec: ObjectSpec) -> str:
    """Return what an object looks like from afar: a mug with its handle behind it is a can."""
    return 'can' if spec.category == 'mug' else spec.category


def draw_footings(
    objects: Sequence[ObjectSpec],
    fixed: Mapping[str, Footing],
    camera_position: NDArray[np.float64],
    config: LayoutConfig,
    rng: np.random.Generator,
    fixtures: Sequence[FixtureSpec] = (),
) -> dict[str, Footing]:
    """Draw where each object and each fixture stands.

    Args:
        objects: all that are to be placed.
        fixed: those that have their place already.
        camera_position: (3,) of the camera in the world, so that none hides another [m].
        config: the area and the distances.
        rng: same state, same result.
        fixtures: placed first; the objects keep clear of them.

    Raises:
        ConfigurationError: no arrangement was found; the message says how many fitted.
    """
    order = sorted(objects, key=lambda spec: (spec.name not in fixed, -spec.footprint_radius))
    most, wanted = 0, len(objects) + len(fixtures)
    for _ in range(_MAX_TRIES):
        standing = _try_fixtures(fixtures, fixed, config, rng)
        placed = _try_footings(order, fixed, camera_position, config, rng, standing)
        if len(placed) + len(standing) == wanted:
            places = {spec.name: footing for spec, footing in standing}
            return places | {spec.name: placed[spec.name] for spec in objects}
        most = max(most, len(placed) + len(standing))
    raise ConfigurationError(
        f'{wanted} objects do not fit on {config.lower}..{config.upper} m with '
        f'{config.clearance} m between them; at most {most} did'
    )


def _try_footings(
    order: Sequence[ObjectSpec],
    fixed: Mapping[str, Footing],
    camera_position: NDArray[np.float64],
    config: LayoutConfig,
    rng: np.random.Generator,
    standing: Sequence[tuple[FixtureSpec, Footing]],
) -> dict[str, Footing]:
    """Place one after the other until one finds no place."""
    placed: dict[str, Footing] = {}
    specs: list[ObjectSpec] = []
    for spec in order:
        for _ in range(40):
            footing = fixed.get(spec.name) or _draw(config, rng)
            clear = all(
                _clear_of(spec, footing, fixture, place, camera_position, config.clearance)
                for fixture, place in standing
            )
            apart = clear and all(
                _apart(spec, footing, other, placed[other.name], config.clearance)
                and not _hides(spec, footing, other, placed[other.name], camera_position)
                and not _hides(other, placed[other.name], spec, footing, camera_position)
                for other in specs
            )
            if spec.name in fixed or apart:
                placed[spec.name] = footing
                specs.append(spec)
                break
        else:
            return placed
    return placed


def _draw(config: LayoutConfig, rng: np.random.Generator) -> Footing:
    """Draw a place and a heading."""
    x, y = rng.uniform(config.lower, config.upper)
    return float(x), float(y), float(rng.uniform(-np.pi, np.pi))


def _apart(a: ObjectSpec, at: Footing, b: ObjectSpec, bt: Footing, clearance: float) -> bool:
    """Say whether the footprints' circles keep their distance."""
    distance = np.hypot(at[0] - bt[0], at[1] - bt[1])
    return bool(distance >= a.footprint_radius + b.footprint_radius + clearance)


def _hides(
    front: ObjectSpec, ft: Footing, back: ObjectSpec, bt: Footing, camera: NDArray[np.float64]
) -> bool:
    """Say whether the ray from the camera to the middle of `back` meets `front`'s cylinder."""
    target = np.array([bt[0], bt[1], back.size[2] / 2])
    return _hides_point(front, ft, target, camera)


def _hides_point(
    front: ObjectSpec, ft: Footing, target: NDArray[np.float64], camera: NDArray[np.float64]
) -> bool:
    """Say whether the ray from the camera to `target` (3,) meets `front`'s cylinder."""
    # Only the part of the ray below the top of `front` can meet it.
    if target[2] >= front.size[2] or camera[2] <= front.size[2]:
        return False
    share = (camera[2] - front.size[2]) / (camera[2] - target[2])
    start = camera[:2] + share * (target[:2] - camera[:2])
    along = target[:2] - start
    offset = np.array(ft[:2]) - start
    t = float(np.clip(offset @ along / max(along @ along, 1e-12), 0.0, 1.0))
    return bool(np.linalg.norm(offset - t * along) < front.footprint_radius)


def joint_ranges(fixtures: Sequence[FixtureSpec]) -> dict[str, tuple[float, float]]:
    """Return the range of every joint of the fixtures by the name of its body [rad or m]."""
    return {f.body_name(b.name): b.joint.range for f in fixtures for b in f.moving}


def fixture_pose(footing: Footing, height: float) -> NDArray[np.float64]:
    """Return the (4, 4) T_world_fixture of a footing on a table whose top is at `height` [m]."""
    x, y, yaw = footing
    return make_transform([x, y, height], rotation_about([0.0, 0.0, 1.0], yaw))


def _try_fixtures(
    fixtures: Sequence[FixtureSpec],
    fixed: Mapping[str, Footing],
    config: LayoutConfig,
    rng: np.random.Generator,
) -> list[tuple[FixtureSpec, Footing]]:
    """Place fixtures, those without a place at random, until one finds none."""
    standing: list[tuple[FixtureSpec, Footing]] = []
    for spec in fixtures:
        for _ in range(40):
            footing = fixed.get(spec.name) or _draw(config, rng)
            if spec.name in fixed or all(
                np.hypot(footing[0] - place[0], footing[1] - place[1])
                >= spec.footprint_radius + other.footprint_radius
                for other, place in standing
            ):
                standing.append((spec, footing))
                break
        else:
            return standing
    return standing


def _clear_of(
    spec: ObjectSpec,
    footing: Footing,
    fixture: FixtureSpec,
    place: Footing,
    camera: NDArray[np.float64],
    clearance: float,
) -> bool:
    """Say whether an object stands outside a fixture's area, sees the camera and hides no grip."""
    T_world_fixture = fixture_pose(place, 0.0)
    middle = np.array([footing[0], footing[1], spec.size[2] / 2])
    turn, origin = T_world_fixture[:3, :3], T_world_fixture[:3, 3]
    middle_in, camera_in = (middle - origin) @ turn, (camera - origin) @ turn
    lower, upper = np.array(fixture.area)
    beyond = np.maximum(np.maximum(lower - middle_in[:2], middle_in[:2] - upper), 0.0)
    if np.linalg.norm(beyond) < spec.footprint_radius + clearance:
        return False
    half = np.array(fixture.size) / 2
    if _meets_box(camera_in, middle_in, half * [-1, -1, 0], half * [1, 1, 2]):
        return False
    grips = [np.array(body.grip) for body in fixture.bodies if body.grip is not None]
    return not any(
        _hides_point(spec, footing, transform_points(T_world_fixture, grip), camera)
        for grip in grips
    )


def _meets_box(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> bool:
    """Say whether the segment between two (3,) points meets a box.

    Slab test of T. L. Kay and J. T. Kajiya, "Ray tracing complex scenes", 1986.
    """
    way = end - start
    way = np.where(np.abs(way) < 1e-12, 1e-12, way)
    near, far = (lower - start) / way, (upper - start) / way
    first, last = np.minimum(near, far).max(), np.maximum(near, far).min()
    return bool(max(first, 0.0) <= min(last, 1.0))


def _fits(candidate: ObjectSpec, chosen: Sequence[ObjectSpec]) -> bool:
    """Keep room: at most two of the wide things per scene."""
    wide = sum(spec.footprint_radius > 0.07 for spec in chosen)
    return candidate.footprint_radius <= 0.07 or wide < 2
