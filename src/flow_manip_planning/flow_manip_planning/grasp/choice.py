# SPDX-License-Identifier: Apache-2.0
"""Choosing among grasps by where the object is to be touched.

Dream2Flow's rule: a grasp within 2 cm of where the thumb was in the dream is taken first, without
one the grasp nearest to the movable part there. Any proposer's grasps can be ordered like this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.plan import Grasp
from flow_manip_planning.kinematics import Array

THUMB_RADIUS = 0.02  # [m]
FADING = 0.1  # [m] over which the score of a grasp elsewhere falls to a third


def contact_of(grasp: Grasp) -> Array:
    """Return (3,) where a grasp touches: between the fingers, at the tool centre point [m]."""
    return grasp.T_world_tcp[:3, 3]


def by_contact(
    grasps: Sequence[Grasp], contact: Array | None, movable: Array, limit: int = 0
) -> list[Grasp]:
    """Order grasps, best first, by a contact hint.

    Args:
        grasps: best first.
        contact: (3,) hint in the world frame [m]; None leaves the order.
        movable: (N, 3) points of the part that is to move [m].
        limit: how many to return; 0 all.

    Returns:
        those within 2 cm of the hint in their order, scores 0.5 to 1; then the others, nearest
        first to the movable point that is nearest to the hint, scores below 0.4.

    Raises:
        InvalidInputError: the hint is no point.
    """
    if contact is None:
        return list(grasps)[: limit or None]
    hint = check_contact(contact)
    away = [float(np.linalg.norm(contact_of(grasp) - hint)) for grasp in grasps]
    # Planners weigh scores with their own terms, so the order must be in the scores, far apart.
    close = [
        replace(grasp, score=0.5 + 0.5 * grasp.score)
        for grasp, d in zip(grasps, away)
        if d <= THUMB_RADIUS
    ]
    point = movable[np.linalg.norm(movable - hint, axis=1).argmin()] if len(movable) else hint
    far = []
    for grasp, d in zip(grasps, away):
        if d > THUMB_RADIUS:
            distance = float(np.linalg.norm(contact_of(grasp) - point))
            far.append(replace(grasp, score=0.4 * float(np.exp(-distance / FADING))))
    return [*close, *sorted(far, key=lambda grasp: -grasp.score)][: limit or None]


def check_contact(contact: Array) -> Array:
    """Return the hint as (3,) floats.

    Raises:
        InvalidInputError: it is something else, or not finite.
    """
    hint = np.asarray(contact, dtype=np.float64)
    if hint.shape != (3,) or not np.isfinite(hint).all():
        raise InvalidInputError(f'contact is {np.asarray(contact).tolist()}, expected (3,) finite')
    return hint
