# SPDX-License-Identifier: Apache-2.0
"""RRT-Connect (Kuffner and LaValle 2000) that looks up after every edge.

roboplan's own planner answers when it is done and holds the interpreter until then, seconds for a
hard problem, in which nobody sees a cancel. Here the search is a loop and its edges, where the
time goes, are roboplan's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flow_manip_planning.kinematics import Array

EdgeIsFree = Callable[[Array, Array], bool]
SAME = 1e-9
CAPACITY = 256  # nodes; doubled where they do not suffice


@dataclass(frozen=True)
class Search:
    """How a search ended.

    Attributes:
        path: (K, J) nodes from start to goal; None where the budget did not suffice.
        samples: nodes of both trees.
    """

    path: Array | None
    samples: int


class Tree:
    """Nodes with their parents, the root first."""

    def __init__(self, root: Array) -> None:
        """Plant a tree at (J,)."""
        self._nodes = np.empty((CAPACITY, len(root)))
        self._parents = np.zeros(CAPACITY, dtype=int)
        self._nodes[0], self.size = root, 1

    def nearest(self, q: Array) -> int:
        """Return the index of the node nearest to (J,)."""
        return int(((self._nodes[: self.size] - q) ** 2).sum(axis=1).argmin())

    def extend(self, q: Array, step: float, edge_is_free: EdgeIsFree) -> Array | None:
        """Go from the nearest node towards (J,), at most `step` rad; None if that is blocked."""
        parent = self.nearest(q)
        base = self._nodes[parent]
        distance = float(np.linalg.norm(q - base))
        if distance < SAME:
            return base
        reached = q if distance <= step else base + (q - base) * (step / distance)
        if not edge_is_free(base, reached):
            return None
        if self.size == len(self._nodes):
            self._nodes = np.concatenate([self._nodes, np.empty_like(self._nodes)])
            self._parents = np.concatenate([self._parents, np.zeros_like(self._parents)])
        self._nodes[self.size], self._parents[self.size] = reached, parent
        self.size += 1
        return reached

    def way_to_root(self, q: Array) -> Array:
        """Return (K, J) from the node at (J,) to the root."""
        index, way = self.nearest(q), []
        while True:
            way.append(self._nodes[index])
            if index == 0:
                return np.array(way)
            index = int(self._parents[index])


def search(
    start: Array,
    goal: Array,
    sample: Callable[[], Array],
    edge_is_free: EdgeIsFree,
    *,
    step: float,
    samples: int,
    go_on: Callable[[], bool],
) -> Search:
    """Connect two (J,) configurations.

    Args:
        start: (J,).
        goal: (J,).
        sample: draws a (J,) configuration.
        edge_is_free: says whether a straight line between two may be driven.
        step: longest edge [rad].
        samples: nodes of both trees together before giving up.
        go_on: asked before every sample and every edge of a connection; may raise.
    """
    trees = Tree(start), Tree(goal)
    one, other = trees
    while one.size + other.size < samples and go_on():
        reached = one.extend(sample(), step, edge_is_free)
        if reached is not None:
            met = _connect(other, reached, step, samples - one.size, edge_is_free, go_on)
            if met:
                ways = [tree.way_to_root(reached) for tree in trees]
                return Search(np.concatenate([ways[0][::-1], ways[1][1:]]), one.size + other.size)
        one, other = (one, other) if one.size < other.size else (other, one)
    return Search(None, one.size + other.size)


def _connect(
    tree: Tree,
    q: Array,
    step: float,
    capacity: int,
    edge_is_free: EdgeIsFree,
    go_on: Callable[[], bool],
) -> bool:
    """Grow a tree straight towards (J,) until it is there or blocked."""
    while tree.size < capacity and go_on():
        reached = tree.extend(q, step, edge_is_free)
        if reached is None:
            return False
        if np.abs(reached - q).max() < SAME:
            return True
    return False
