# SPDX-License-Identifier: Apache-2.0
"""Which objects stand where: scenes in words, poses without overlap or hiding each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import re

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import ConfigurationError
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
        objects: names from the catalogue.
        distractors: how many more are drawn at random.
        footings: (x, y, yaw) in the world for those that must not be drawn at random.
    """

    objects: tuple[str, ...] = ()
    distractors: int = 0
    footings: Mapping[str, Footing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown, repeated and too many objects."""
        for name in (*self.objects, *self.footings):
            object_spec(name)
        if len(set(self.objects)) != len(self.objects):
            raise ConfigurationError(f'scene names an object twice: {list(self.objects)}')
        if stray := set(self.footings) - set(self.objects):
            raise ConfigurationError(f'footings of objects that the scene lacks: {sorted(stray)}')
        if self.distractors < 0 or len(self.objects) + self.distractors > _MAX_OBJECTS:
            raise ConfigurationError(
                f'{len(self.objects)} objects and {self.distractors} distractors; '
                f'at most {_MAX_OBJECTS}'
            )

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
    chosen = [object_spec(name) for name in scene.objects]
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
) -> dict[str, Footing]:
    """Draw where each object stands.

    Args:
        objects: all that are to be placed.
        fixed: those that have their place already.
        camera_position: (3,) of the camera in the world, so that none hides another [m].
        config: the area and the distances.
        rng: same state, same result.

    Raises:
        ConfigurationError: no arrangement was found; the message says how many fitted.
    """
    order = sorted(objects, key=lambda spec: (spec.name not in fixed, -spec.footprint_radius))
    most = 0
    for _ in range(_MAX_TRIES):
        placed = _try_footings(order, fixed, camera_position, config, rng)
        if len(placed) == len(objects):
            return {spec.name: placed[spec.name] for spec in objects}
        most = max(most, len(placed))
    raise ConfigurationError(
        f'{len(objects)} objects do not fit on {config.lower}..{config.upper} m with '
        f'{config.clearance} m between them; at most {most} did'
    )


def _try_footings(
    order: Sequence[ObjectSpec],
    fixed: Mapping[str, Footing],
    camera_position: NDArray[np.float64],
    config: LayoutConfig,
    rng: np.random.Generator,
) -> dict[str, Footing]:
    """Place one after the other until one finds no place."""
    placed: dict[str, Footing] = {}
    specs: list[ObjectSpec] = []
    for spec in order:
        for _ in range(40):
            footing = fixed.get(spec.name) or _draw(config, rng)
            if spec.name in fixed or all(
                _apart(spec, footing, other, placed[other.name], config.clearance)
                and not _hides(spec, footing, other, placed[other.name], camera_position)
                and not _hides(other, placed[other.name], spec, footing, camera_position)
                for other in specs
            ):
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
    # Only the part of the ray below the top of `front` can meet it.
    if target[2] >= front.size[2] or camera[2] <= front.size[2]:
        return False
    share = (camera[2] - front.size[2]) / (camera[2] - target[2])
    start = camera[:2] + share * (target[:2] - camera[:2])
    along = target[:2] - start
    offset = np.array(ft[:2]) - start
    t = float(np.clip(offset @ along / max(along @ along, 1e-12), 0.0, 1.0))
    return bool(np.linalg.norm(offset - t * along) < front.footprint_radius)


def _fits(candidate: ObjectSpec, chosen: Sequence[ObjectSpec]) -> bool:
    """Keep room: at most two of the wide things per scene."""
    wide = sum(spec.footprint_radius > 0.07 for spec in chosen)
    return candidate.footprint_radius <= 0.07 or wide < 2
