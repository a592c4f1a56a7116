# SPDX-License-Identifier: Apache-2.0
"""Choosing the object that a phrase means, or saying why none or several fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from flow_manip_core.errors import (
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_perception.attributes import ObjectAttributes
from flow_manip_perception.foreground import View
from flow_manip_perception.relations import gap, relation_score
from flow_manip_perception.shapes import above, below, best_name, SHAPES
from flow_manip_perception.words import Phrase

_READABLE = {'tool': 'long tool', 'tray': 'tray', 'thing': 'thing'}


@dataclass(frozen=True)
class GroundingConfig:
    """When something fits and when it fits better than the rest.

    Attributes:
        min_score: a match must have.
        clear_ratio: the second best must stay below this share of the best.
        clear_size: how much larger the biggest must be than the next.
        clear_distance: how much farther left the leftmost must be than the next [m].
    """

    min_score: float = 0.25
    clear_ratio: float = 0.7
    clear_size: float = 1.1
    clear_distance: float = 0.015


class Grounder:
    """Scores the objects of one view against phrases."""

    def __init__(
        self, view: View, objects: Sequence[ObjectAttributes], config: GroundingConfig
    ) -> None:
        """Keep what was seen."""
        self._view = view
        self._objects = list(objects)
        self._config = config

    def choose(self, phrase: Phrase) -> tuple[int, float]:
        """Return the index of the object that `phrase` means and how well it fits.

        Raises:
            ObjectAbsentError: nothing fits.
            ObjectAmbiguousError: several fit about as well.
            PhraseNotUnderstoodError: it means the support.
        """
        scores = self.scores(phrase)
        best = int(np.argmax(scores)) if len(scores) else -1
        if best < 0 or scores[best] < self._config.min_score:
            raise ObjectAbsentError(f"no '{phrase.text}'; seen: {self.seen()}")
        rivals = [
            i
            for i, score in enumerate(scores)
            if i != best and score >= self._config.clear_ratio * scores[best]
        ]
        if rivals:
            named = ', '.join(self.locate(i) for i in [best, *rivals][:6])
            raise ObjectAmbiguousError(
                f"{len(rivals) + 1} things fit '{phrase.text}': {named}; say which"
            )
        return best, float(min(scores[best], 1.0))

    def scores(self, phrase: Phrase) -> list[float]:
        """Return how well each object fits `phrase`, 0..1."""
        if phrase.noun == 'support':
            raise PhraseNotUnderstoodError(f"'{phrase.text}' is what the objects stand on")
        values = np.array([self._alone(o, phrase) for o in self._objects])
        for name, referred in phrase.relations:
            if referred[0].noun == 'support':
                continue  # everything is on the table
            values = values * self._related(name, referred)
        if phrase.nearest_to is not None:
            values = self._extreme(values, self._distances(*phrase.nearest_to), distance=True)
        for measure, sign in phrase.sizes:
            sizes = np.array([sign * np.log(getattr(o, measure)) for o in self._objects])
            values = self._extreme(values, sizes, distance=False)
        for place, sign in phrase.places:
            values = self._extreme(values, sign * self._positions(place), distance=True)
        return [float(value) for value in values]

    def _alone(self, o: ObjectAttributes, phrase: Phrase) -> float:
        """Return how well an object fits noun, colours and form, without looking at others."""
        if phrase.noun == 'dish':
            score = max(SHAPES['bowl'](o), SHAPES['plate'](o))
        else:
            score = SHAPES[phrase.noun](o)
        for color in phrase.colors:
            score *= o.colors[color]
        for form in phrase.forms:
            score *= {
                'round': max(SHAPES['ball'](o), 1.0 if o.fullness < 0.85 else 0.2),
                'square': 1.0 if o.fullness > 0.85 else 0.2,
                'flat': 1.0 if o.height < 0.35 * o.width else 0.2,
            }[form]
        if phrase.shade == 'light':
            score *= above(o.lightness, 30.0, 60.0)
        elif phrase.shade == 'dark':
            score *= below(o.lightness, 35.0, 65.0)
        return score

    def _related(self, name: str, referred: tuple[Phrase, ...]) -> np.ndarray:
        """Return for each object its best relation to objects that fit the phrases referred to."""
        fits = [self.scores(phrase) for phrase in referred]
        best = np.zeros(len(self._objects))
        for i, o in enumerate(self._objects):
            others = [j for j in range(len(self._objects)) if j != i]
            for chosen in permutations(others, len(referred)):
                fit = min(fits[k][j] for k, j in enumerate(chosen))
                if fit < self._config.min_score:
                    continue
                named = tuple(self._objects[j] for j in chosen)
                geometry = relation_score(name, self._view, o, named)
                best[i] = max(best[i], geometry * min(1.0, fit / 0.6))
        return best

    def _distances(self, phrase: Phrase, sign: int) -> np.ndarray:
        """Return each object's signed gap to the one that `phrase` means: more is meant."""
        target, _ = self.choose(phrase)
        reference = self._objects[target]
        found = np.array([sign * gap(o, reference) for o in self._objects])
        found[target] = -np.inf
        return found

    def _positions(self, place: str) -> np.ndarray:
        """Return each object's position along a direction of the image, or its centrality [m]."""
        centers = np.array([o.center for o in self._objects]).reshape(-1, 3)
        if place == 'middle':
            return -np.abs((centers - np.median(centers, axis=0)) @ self._view.right)
        return centers @ getattr(self._view, place)

    def _extreme(self, values: np.ndarray, keys: np.ndarray, *, distance: bool) -> np.ndarray:
        """Keep of the objects that fit the one with the largest key, and those as good as it."""
        if not len(values) or values.max() < self._config.min_score:
            return values
        fits = (values >= 0.6 * values.max()) & np.isfinite(keys)
        if not fits.any():
            return np.zeros_like(values)
        margin = self._config.clear_distance if distance else np.log(self._config.clear_size)
        top = keys[fits].max()
        return np.where(fits & (keys > top - margin), values, 0.0)

    def name(self, index: int) -> str:
        """Return colour and kind of an object, e.g. 'red cube'."""
        o = self._objects[index]
        color = max(o.colors, key=lambda key: o.colors[key])
        kind = best_name(o)
        return f'{color} {_READABLE.get(kind, kind)}'

    def locate(self, index: int) -> str:
        """Return an object's name with its place in the world, e.g. 'red cube at (0.45, 0.10)'."""
        x, y, _ = self._objects[index].center
        return f'{self.name(index)} at ({x:.2f}, {y:.2f})'

    def names(self) -> list[str]:
        """Return a name for each object; equal names get their place in the image."""
        names = [self.name(i) for i in range(len(self._objects))]
        return [
            f'{name} {self._side(i)}' if names.count(name) > 1 else name
            for i, name in enumerate(names)
        ]

    def _side(self, index: int) -> str:
        """Return where an object is among those of its name, e.g. '(left)', with its place."""
        mine = self.name(index)
        same = [i for i in range(len(self._objects)) if self.name(i) == mine]
        along = self._positions('right')
        order = sorted(same, key=lambda i: along[i])
        where = {order[0]: 'left', order[-1]: 'right'}.get(index, 'middle')
        x, y, _ = self._objects[index].center
        return f'({where}, at {x:.2f}, {y:.2f})'

    def seen(self) -> str:
        """Return all names in one line, bounded."""
        names = self.names()
        if not names:
            return 'nothing'
        more = f' and {len(names) - 12} more' if len(names) > 12 else ''
        return ', '.join(names[:12]) + more
