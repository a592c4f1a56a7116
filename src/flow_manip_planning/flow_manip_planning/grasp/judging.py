# SPDX-License-Identifier: Apache-2.0
"""Judging one sampled hand: how deep it may go, what it closes on, what it hits."""

from __future__ import annotations

from collections import Counter

import numpy as np

from flow_manip_core.robot import GripperConfig
from flow_manip_planning.grasp.candidate import Candidate, hand_rotation
from flow_manip_planning.grasp.completion import ObjectShape
from flow_manip_planning.grasp.hand import hand_boxes, opening_for
from flow_manip_planning.kinematics import Array
from flow_manip_planning.surroundings import Surroundings

GAP_IN_RIM = 0.02  # [m] between two walls: a finger fits between them
FINGER_MARGIN = 0.003  # [m] between the open fingers and the object
THIN = 0.025  # [m]: walls and rims
LEAST_DEPTH = 0.006  # [m]
DEPTHS = (0.012, 0.02, 0.03, 0.042)  # [m] of the finger tips below the object's top


class HandJudge:
    """Knows the gripper and how much room it needs."""

    def __init__(
        self,
        gripper: GripperConfig,
        *,
        friction: float,
        support_clearance: float,
        obstacle_margin: float,
    ) -> None:
        """Take the gripper and the limits.

        Args:
            gripper: the hand.
            friction: half angle of the friction cone [rad].
            support_clearance: from the finger tips to the support [m].
            obstacle_margin: from the hand to others, beside half a voxel [m].
        """
        self._gripper = gripper
        self._cone = float(np.cos(friction))
        self._support_clearance, self._obstacle_margin = support_clearance, obstacle_margin

    def close_on(
        self,
        shape: ObjectShape,
        bottom: float,
        anchor: Array,
        closing: Array,
        approach: Array,
        dropped: Counter[str],
    ) -> list[Candidate]:
        """Turn one sampled hand into grasps at several depths, or count why not."""
        rotation = hand_rotation(closing, approach)
        local = (shape.points - anchor) @ rotation
        normals = shape.normals @ rotation
        slab = np.abs(local[:, 0]) < 0.5 * self._gripper.finger_width
        reach = slab & (np.abs(local[:, 1]) < self._gripper.max_width)
        if reach.sum() < 5:
            dropped['nothing between the fingers'] += 1
            return []
        heights = np.sort(local[reach, 2])
        top = float(heights[len(heights) // 50])
        # How far the outer finger reaches down depends on the opening, which is known only later.
        palm = self._palm_limit(local)
        deepest = min(palm, self._support_limit(anchor, rotation, bottom, 0.0))
        found, seen_tips = [], set()
        for depth in DEPTHS:
            tip = min(top + depth, deepest)
            if tip < top + LEAST_DEPTH:
                dropped['too low over the support'] += 1
                continue
            if round(tip, 3) in seen_tips:
                continue
            seen_tips.add(round(tip, 3))
            pad = slab & (local[:, 2] > tip - self._gripper.pad_length) & (local[:, 2] < tip)
            for low, high in walls_around(local[pad, 1]):
                width = high - low
                if width + 0.004 > self._gripper.max_width:
                    dropped['too wide'] += 1
                    continue
                reached = min(tip, self._support_limit(anchor, rotation, bottom, width))
                if reached < top + LEAST_DEPTH:
                    dropped['too low over the support'] += 1
                    continue
                faces = facing_of(local[pad], normals[pad], low, high)
                if faces < self._cone:
                    dropped['not antipodal'] += 1
                    continue
                offset = np.array([0.0, 0.5 * (low + high), reached - self._gripper.tip_offset])
                tcp = anchor + rotation @ offset
                score = self._score(shape, tcp, rotation, faces, reached - top, width)
                found.append(Candidate(tcp, rotation, width, score))
        return found

    def _support_limit(self, anchor: Array, rotation: Array, bottom: float, width: float) -> float:
        """Return how deep the tips may go before the open fingers meet the support."""
        gripper = self._gripper
        outer = 0.5 * opening_for(width, gripper) + gripper.finger_thickness
        approach = rotation[:, 2]
        # The lowest point of the tips' outline relative to their middle.
        below = 0.5 * gripper.finger_width * abs(rotation[2, 0]) + outer * abs(rotation[2, 1])
        to_support = float(anchor[2]) - bottom - self._support_clearance - below
        if approach[2] < -0.15:
            return to_support / -float(approach[2])
        return -np.inf if to_support < 0 else np.inf

    def _palm_limit(self, local: Array) -> float:
        """Return how deep the tips may go until the palm meets the object."""
        gripper = self._gripper
        under_palm = (np.abs(local[:, 0]) < 0.5 * gripper.palm_size[0]) & (
            np.abs(local[:, 1]) < 0.5 * gripper.palm_size[1]
        )
        return float(local[under_palm, 2].min(initial=np.inf)) + gripper.finger_length - 0.004

    def hits(self, candidate: Candidate, shape: ObjectShape, surroundings: Surroundings) -> str:
        """Say what the open hand would hit, '' if nothing."""
        tcp, rotation = candidate.tcp, candidate.rotation
        opening = candidate.opening or opening_for(candidate.width, self._gripper)
        left, right, palm = hand_boxes(self._gripper, opening)
        own = (shape.points - tcp) @ rotation
        room = min(FINGER_MARGIN, 0.125 * (opening - candidate.width))
        touching = left.contains(own, room) | right.contains(own, room)
        if (touching & shape.seen).sum() > 1 or touching.sum() > 4:
            return 'fingers in the object'
        if (palm.contains(own) & shape.seen).sum() > 1:
            return 'palm in the object'
        corners = np.concatenate([b.corners for b in (left, right, palm)]) @ rotation.T + tcp
        if (corners[:, 2] - surroundings.support_at(corners)).min() < 0.001:
            return 'in the support'
        margin = 0.5 * surroundings.voxel + self._obstacle_margin
        obstacles = surroundings.obstacles
        lower, upper = corners.min(axis=0) - margin, corners.max(axis=0) + margin
        for axis in range(3):  # one axis after the other leaves ever fewer to compare
            inside = (obstacles[:, axis] > lower[axis]) & (obstacles[:, axis] < upper[axis])
            obstacles = obstacles[inside]
        near = (obstacles - tcp) @ rotation
        if any(b.contains(near, margin).any() for b in (left, right, palm)):
            return 'in collision'
        return ''

    def _score(
        self,
        shape: ObjectShape,
        tcp: Array,
        rotation: Array,
        faces: float,
        depth: float,
        width: float,
    ) -> float:
        """Weigh how antipodal, central, deep, vertical and easy the grasp is; 0..1."""
        cone = self._cone
        antipodal = (faces - cone) / (1.0 - cone)
        arm = shape.center - tcp
        # Seen from above: a hand from the side must reach the middle as well.
        central = np.exp(-float(np.hypot(arm[0], arm[1])) / 0.04 - abs(float(arm[2])) / 0.25)
        deep = np.clip(depth / 0.03, 0.0, 1.0)
        vertical = 0.5 * (1.0 - rotation[2, 2])
        roomy = np.clip((self._gripper.max_width - width) / 0.02, 0.0, 1.0)
        weighted = 0.35 * antipodal + 0.3 * central + 0.1 * deep + 0.15 * vertical + 0.1 * roomy
        # Fingers turn a wall that they do not meet flush until they do: the object tips.
        if width < THIN:
            weighted -= 0.2 * (1.0 - antipodal)
        return float(np.clip(weighted, 0.0, 1.0))


def walls_around(y: Array) -> list[tuple[float, float]]:
    """Return what fingers could close on: everything, and the nearest of several walls."""
    if len(y) < 3:
        return []
    ordered = np.sort(y)
    spans = [(float(ordered[0]), float(ordered[-1]))]
    breaks = np.flatnonzero(np.diff(ordered) > GAP_IN_RIM)
    if len(breaks):
        parts = np.split(ordered, breaks + 1)
        nearest = min(parts, key=lambda part: np.abs(part).min())
        if len(nearest) >= 3:
            spans.append((float(nearest[0]), float(nearest[-1])))
    return spans


def facing_of(local: Array, normals: Array, low: float, high: float) -> float:
    """Return the cosine by which the worse of the two contact patches faces its finger."""
    band = 0.004 + 0.1 * (high - low)
    worst = 1.0
    for sign, patch in ((-1.0, local[:, 1] < low + band), (1.0, local[:, 1] > high - band)):
        inside = patch & (local[:, 1] >= low - 1e-9) & (local[:, 1] <= high + 1e-9)
        # Points of the top face lie at the edge too and are not what the pad meets.
        side = inside & (np.abs(normals[:, 2]) < 0.8)
        if side.sum() < 2:
            return -1.0
        cosines = np.sort(sign * normals[side, 1])
        # On a round thing only the middle of the pad touches: the better half counts.
        first = 0 if high - low < THIN else len(cosines) // 2
        worst = min(worst, float(cosines[first:].mean()))
    return worst
