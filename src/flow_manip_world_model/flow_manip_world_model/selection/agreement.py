# SPDX-License-Identifier: Apache-2.0
"""What candidates say about each other: dreams of one goal fail in many ways, and succeed in one.

A failure of a video generator (another direction, another hinge, a wandering camera) is seldom
drawn twice alike, so the candidate that others come nearest to is likely good: the densest, a
medoid. One failure does repeat and looks good in itself: a motion that stops short lies on the way
of those that go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flow_manip_world_model.selection.facts import Array, Facts

MIN_CANDIDATES = 3
SAMPLES = 24  # of a way, spread evenly over its length
PROBES = 24  # points of the object that poses are compared by
GROWTH = 0.12  # of a motion's length by which equal motions may differ
SHORT = 0.8  # of the longer one's length: a way that ends before is cut off
TURN_BACK = 0.5  # share of the ends in the distance, beside the ways


@dataclass(frozen=True)
class Agreement:
    """How much the others agree with each of C candidates.

    Attributes:
        support: (C,) 0..1 share of the others that say the same.
        complete: (C,) 0..1, below one for a way that others go on from.
    """

    support: Array
    complete: Array


def measure_agreement(candidates: Sequence[Facts], probes: Array, scale: float) -> Agreement:
    """Compare every candidate with every other one.

    Args:
        candidates: C of them.
        probes: (P, 3) points of the object at the start, carried along each motion [m].
        scale: distance at which two short motions hardly agree [m]; long ones may differ more.
    """
    count = len(candidates)
    ways = [_way(facts, probes) for facts in candidates]
    lengths = np.array([_length(way) for way in ways])
    support, complete = np.zeros(count), np.ones(count)
    off = np.zeros((count, count))  # of the way of i from that of j
    ends = np.zeros((count, count))
    for i, one in enumerate(ways):
        for j, other in enumerate(ways):
            between = _distances(one, other)
            off[i, j] = between.min(axis=1).mean()
            ends[i, j] = between[-1, -1]
    for i in range(count):
        others = np.arange(count) != i
        reach = scale + GROWTH * np.minimum(lengths, lengths[i])
        apart = np.maximum(off[i], off[:, i]) + TURN_BACK * ends[i]
        support[i] = np.exp(-((apart / reach) ** 2))[others].mean()
    for i in range(count):
        longer = lengths[i] < SHORT * lengths
        on_the_way = np.exp(-((off[i] / (0.5 * scale)) ** 2)) * longer
        # One longer way could be the one that goes too far; the more say so, the likelier.
        weight = float((on_the_way * (0.3 + 0.7 * support)).max(initial=0.0))
        complete[i] = 1.0 - 0.9 * weight
    return Agreement(support, complete)


def _way(facts: Facts, probes: Array) -> Array:
    """Return (S, P, 3) the probes carried along the motion, at steps even along its length [m]."""
    turned = np.einsum('tij,pj->tpi', facts.poses[:, :3, :3], probes)
    moved = turned + facts.poses[:, None, :3, 3]
    steps = np.linalg.norm(np.diff(moved, axis=0), axis=-1).mean(axis=1)
    # Shaking on the spot is no way.
    along = np.concatenate([[0.0], np.cumsum(np.maximum(steps - 0.002, 0.0) + 1e-9)])
    at = np.linspace(0.0, along[-1], SAMPLES)
    index = np.searchsorted(along, at).clip(1, len(along) - 1)
    share = (at - along[index - 1]) / (along[index] - along[index - 1])
    share = share[:, None, None]
    return np.asarray((1.0 - share) * moved[index - 1] + share * moved[index])


def _length(way: Array) -> float:
    """Return the mean length of the probes' ways [m]."""
    return float(np.linalg.norm(np.diff(way, axis=0), axis=-1).mean(axis=1).sum())


def _distances(one: Array, other: Array) -> Array:
    """Return (S, S) RMS distance of the probes between every two steps of two ways [m]."""
    left, right = one.reshape(len(one), -1), other.reshape(len(other), -1)
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2.0 * left @ right.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) / one.shape[1]))
