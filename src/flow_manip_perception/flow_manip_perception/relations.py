# SPDX-License-Identifier: Apache-2.0
"""How well two objects stand in a relation, 0..1.

Left, right, in front and behind are meant as seen in the image, measured on the ground; 'in' and
'on' by outlines seen from above and by heights.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_perception.attributes import ObjectAttributes
from flow_manip_perception.foreground import View
from flow_manip_perception.shapes import above, below

NEXT_TO = 0.15  # gap between outlines that still counts as next to [m]


def relation_score(
    name: str, view: View, a: ObjectAttributes, others: tuple[ObjectAttributes, ...]
) -> float:
    """Return how well `a` is `name` (as in `instruction.RELATIONS`) to `others`."""
    if name == 'between':
        return _between(a, *others)
    b = others[0]
    if name == 'on':
        return _within(a, b) * _higher(a, b)
    if name == 'in':
        return _within(a, b) * _higher(a, b) * above(max(b.hollow, _flat_dish(b)), 0.1, 0.3)
    if name == 'from':
        return _within(a, b) * _higher(a, b)
    if name == 'under':
        return _within(b, a) * _higher(b, a)
    offset = a.center - b.center
    if name == 'next_to':
        near = below(gap(a, b), 0.6 * NEXT_TO, 1.4 * NEXT_TO)
        return near * (1.0 - max(_within(a, b), _within(b, a)))
    direction = {
        'left_of': -view.right,
        'right_of': view.right,
        'in_front_of': -view.ahead,
        'behind': view.ahead,
    }[name]
    return _towards(offset, direction, 0.3 * (_reach(a, direction) + _reach(b, direction)))


def gap(a: ObjectAttributes, b: ObjectAttributes) -> float:
    """Return the distance between two outlines seen from above, 0 where they overlap [m]."""
    if cv2.intersectConvexConvex(a.hull, b.hull)[0] > 0:
        return 0.0
    ends = [(p.hull, q.hull[:, 0]) for p, q in ((a, b), (b, a))]
    return min(
        -cv2.pointPolygonTest(hull, (float(x), float(y)), True) for hull, qs in ends for x, y in qs
    )


def _within(a: ObjectAttributes, b: ObjectAttributes) -> float:
    """Return how much of a's outline lies within b's."""
    area = cv2.contourArea(a.hull)
    if area > cv2.contourArea(b.hull) * 1.3:
        return 0.0
    shared = cv2.intersectConvexConvex(a.hull, b.hull)[0]
    return above(shared / max(area, 1e-8), 0.35, 0.7)


def _higher(a: ObjectAttributes, b: ObjectAttributes) -> float:
    """Return whether a's top can be seen above what b's outline holds at that place."""
    inner = [float(x) for x in np.percentile(a.heights, [5, 95])]
    floor = 0.0 if b.hollow > 0.2 else b.top - 0.012
    return above(inner[1], floor, floor + 0.012) * (
        1.0 if b.hollow > 0.2 else above(inner[0], b.top - 0.03, b.top - 0.015)
    )


def _flat_dish(b: ObjectAttributes) -> float:
    """Plates and trays hold things too, people say."""
    return below(b.height / b.length, 0.2, 0.35)


def _reach(o: ObjectAttributes, direction: NDArray) -> float:
    """Return half the extent of an outline along a direction [m]."""
    return float(np.ptp(o.hull[:, 0] @ direction[:2])) / 2


def _towards(offset: NDArray, direction: NDArray, margin: float) -> float:
    """Return 1 for an offset well along `direction`, 0 for one across or against it."""
    along = float(offset[:2] @ direction[:2])
    across = float(np.linalg.norm(offset[:2] - along * direction[:2]))
    if along <= 0:
        return 0.0
    steep = along / max(np.hypot(along, across), 1e-6)
    return above(along, 0.2 * margin, max(margin, 0.01)) * above(steep, 0.35, 0.85)


def _between(a: ObjectAttributes, b: ObjectAttributes, c: ObjectAttributes) -> float:
    """Return how near the middle of the line from b to c the object a is."""
    line = (c.center - b.center)[:2]
    length = float(np.linalg.norm(line))
    if length < 0.02:
        return 0.0
    offset = (a.center - b.center)[:2]
    along = float(offset @ line) / length**2
    across = float(abs(offset[0] * line[1] - offset[1] * line[0])) / length
    ends = above(along, 0.05, 0.25) * below(along, 0.75, 0.95)
    return ends * below(across / length, 0.2, 0.45)
