# SPDX-License-Identifier: Apache-2.0
"""Antipodal grasps on the partial cloud of one object.

Hand poses are sampled at surface points and judged by what lies in the gripper's boxes (ten Pas
and Platt 2015): the fingers and the palm must be free, the two contact patches must face each
other within the friction cone (Nguyen 1988; Mahler et al. 2017 score alike). Works on whole
objects between the fingers and on rims with one finger inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flow_manip_core.errors import NoGraspError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.robot import Context
from flow_manip_core.transforms import make_transform
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.grasp.completion import complete_object, ObjectShape
from flow_manip_planning.grasp.hand import hand_boxes, opening_for
from flow_manip_planning.kinematics import Array
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive, Surroundings

DOWN = np.array([0.0, 0.0, -1.0])
PAD_LENGTH = 0.02  # [m] of the finger that presses
GAP_IN_RIM = 0.02  # [m] between two walls: a finger fits between them
TILTS = np.radians([0.0, -30.0, 30.0, -60.0, 60.0])
FINGER_MARGIN = 0.003  # [m] between the open fingers and the object
DEPTHS = (0.012, 0.02, 0.03, 0.042)  # [m] of the finger tips below the object's top


@dataclass(frozen=True)
class Candidate:
    """A hand that closes on two facing patches; whether it is free is not known yet.

    Attributes:
        tcp: (3,) tool centre point [m].
        rotation: (3, 3) columns: side, closing and approach direction.
        width: between the patches [m].
        score: 0..1.
    """

    tcp: Array
    rotation: Array
    width: float
    score: float

    def grasp(self, swapped: bool) -> Grasp:
        """Return it with the fingers one way or the other."""
        signs = np.array([-1.0, -1.0, 1.0]) if swapped else np.ones(3)
        return Grasp(make_transform(self.tcp, self.rotation * signs), self.width, self.score)


class AntipodalGrasps:
    """Samples, judges and spreads antipodal grasps."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        num_anchors: int = _doc(50, 'Surface points that hands are tried at')
        max_grasps: int = _doc(64, 'How many to return where the caller does not say')
        friction_angle_degrees: float = _doc(35.0, 'Half angle of the friction cone')
        support_clearance: float = _doc(0.004, 'From the finger tips to the support [m]')
        obstacle_margin: float = _doc(0.003, 'From the hand to others, beside half a voxel [m]')
        max_tilt_degrees: float = _doc(80.0, 'Approaches farther from straight down are dropped')

    def __init__(self, config: Config, context: Context) -> None:
        """Keep the context; its robot is used to leave the arm out of the scene."""
        self._config = config
        self._context = context
        self._gripper = context.robot.gripper
        self._robot = RobotModel.from_context(context)

    def propose(
        self,
        observation: Observation,
        mask: Mask,
        *,
        max_grasps: int = 0,
        seed: int = 0,
        cancelled: Cancelled = never_cancelled,
    ) -> list[Grasp]:
        """Return grasps in the world frame, best first, each in both finger orders.

        Raises:
            NoGraspError: none was found; the message counts why candidates were dropped.
            CancelledError: `cancelled` said so.
        """
        surroundings = perceive(observation, mask, self._context, self._robot)
        stop_if(cancelled)
        shape = complete_object(observation, mask, surroundings)
        rng = np.random.default_rng(seed)
        # On a leaning support the uphill finger meets it first.
        reach = 0.5 * self._gripper.max_width + self._gripper.finger_thickness
        bottom = shape.bottom + reach * float(np.hypot(*surroundings.slope))
        dropped: Counter[str] = Counter()
        found: list[Candidate] = []
        for anchor, closing, approach in self._hands(shape, rng):
            stop_if(cancelled)
            found.extend(self._judge(shape, bottom, anchor, closing, approach, dropped))
        limit = max_grasps or self._config.max_grasps
        kept = self._free_and_spread(found, shape, surroundings, (limit + 1) // 2, dropped)
        if not kept:
            reasons = ', '.join(f'{n} {reason}' for reason, n in dropped.most_common())
            raise NoGraspError(
                f"no grasp on '{mask.label}' among {dropped.total()} hands: {reasons}"
            )
        # The same hand with the fingers swapped asks another wrist angle of the arm.
        return [c.grasp(swapped) for c in kept for swapped in (False, True)][:limit]

    def _hands(
        self, shape: ObjectShape, rng: np.random.Generator
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Sample (anchor, closing direction, approach direction)."""
        flat = shape.points[:, :2] - shape.points[:, :2].mean(axis=0)
        _, _, axes = np.linalg.svd(flat, full_matrices=False)
        main_yaw = float(np.arctan2(axes[1, 1], axes[1, 0]))
        picks = rng.choice(
            len(shape.points), min(self._config.num_anchors, len(shape.points)), replace=False
        )
        center_top = np.array([*shape.center[:2], shape.points[:, 2].max()])
        anchors = [(center_top, None)] * 8 + [(shape.points[i], shape.normals[i]) for i in picks]
        for index, (anchor, normal) in enumerate(anchors):
            yaws = [
                main_yaw + (index % 8) * np.pi / 8 if normal is None else rng.uniform(0, np.pi)
            ]
            if normal is None or index % 3 == 0:
                yaws.append(main_yaw)
            closings = [np.array([np.cos(y), np.sin(y), 0.0]) for y in yaws]
            if normal is not None and np.linalg.norm(normal[:2]) > 0.4:
                closings.insert(0, np.array([*normal[:2], 0.0]) / np.linalg.norm(normal[:2]))
                if 0.15 < abs(normal[2]) < 0.6:
                    closings.insert(0, normal)
            for closing in closings:
                down = DOWN - (DOWN @ closing) * closing
                down /= np.linalg.norm(down)
                for tilt in TILTS:
                    if np.degrees(abs(tilt)) <= self._config.max_tilt_degrees:
                        approach = np.cos(tilt) * down + np.sin(tilt) * np.cross(closing, down)
                        yield anchor, closing, approach

    def _judge(
        self,
        shape: ObjectShape,
        bottom: float,
        anchor: Array,
        closing: Array,
        approach: Array,
        dropped: Counter[str],
    ) -> list[Candidate]:
        """Turn one sampled hand into grasps at several depths, or count why not."""
        rotation = np.stack([np.cross(closing, approach), closing, approach], axis=1)
        local = (shape.points - anchor) @ rotation
        normals = shape.normals @ rotation
        slab = np.abs(local[:, 0]) < 0.5 * self._gripper.finger_width
        reach = slab & (np.abs(local[:, 1]) < self._gripper.max_width)
        if reach.sum() < 5:
            dropped['nothing between the fingers'] += 1
            return []
        heights = np.sort(local[reach, 2])
        top = float(heights[len(heights) // 50])
        deepest = self._deepest_tip(anchor, rotation, local, bottom)
        found, seen_tips = [], set()
        for depth in DEPTHS:
            tip = min(top + depth, deepest)
            if tip < top + 0.006:
                dropped['too low over the support'] += 1
                continue
            if round(tip, 3) in seen_tips:
                continue
            seen_tips.add(round(tip, 3))
            pad = slab & (local[:, 2] > tip - PAD_LENGTH) & (local[:, 2] < tip)
            for low, high in _walls_around(local[pad, 1]):
                width = high - low
                if width + 0.004 > self._gripper.max_width:
                    dropped['too wide'] += 1
                    continue
                faces = _facing(local[pad], normals[pad], low, high)
                if faces < np.cos(np.radians(self._config.friction_angle_degrees)):
                    dropped['not antipodal'] += 1
                    continue
                offset = np.array([0.0, 0.5 * (low + high), tip - self._gripper.tip_offset])
                tcp = anchor + rotation @ offset
                score = self._score(shape, tcp, rotation, faces, tip - top, width)
                found.append(Candidate(tcp, rotation, width, score))
        return found

    def _deepest_tip(self, anchor: Array, rotation: Array, local: Array, bottom: float) -> float:
        """Return how deep the tips may go: to the support, or until the palm meets the object."""
        gripper = self._gripper
        outer = 0.5 * gripper.max_width + gripper.finger_thickness
        approach = rotation[:, 2]
        # The lowest point of the tips' outline relative to their middle.
        below = 0.5 * gripper.finger_width * abs(rotation[2, 0]) + outer * abs(rotation[2, 1])
        to_support = anchor[2] - bottom - self._config.support_clearance - below
        support = to_support / max(-approach[2], 1e-6) if approach[2] < -0.15 else np.inf
        if approach[2] >= -0.15 and to_support < 0:
            return -np.inf
        under_palm = (np.abs(local[:, 0]) < 0.5 * gripper.palm_size[0]) & (
            np.abs(local[:, 1]) < 0.5 * gripper.palm_size[1]
        )
        palm = local[under_palm, 2].min(initial=np.inf) + gripper.finger_length - 0.004
        return float(min(support, palm))

    def _free_and_spread(
        self,
        found: list[Candidate],
        shape: ObjectShape,
        surroundings: Surroundings,
        limit: int,
        dropped: Counter[str],
    ) -> list[Candidate]:
        """Keep the best that hit nothing and are not close to a better one."""
        kept: list[Candidate] = []
        for candidate in sorted(found, key=lambda c: -c.score):
            if any(_alike(candidate, other) for other in kept):
                continue
            reason = self._in_the_way(candidate, shape, surroundings)
            if reason:
                dropped[reason] += 1
                continue
            kept.append(candidate)
            if len(kept) >= limit:
                break
        return kept

    def _in_the_way(
        self, candidate: Candidate, shape: ObjectShape, surroundings: Surroundings
    ) -> str:
        """Say what the open hand would hit, '' if nothing."""
        tcp, rotation = candidate.tcp, candidate.rotation
        left, right, palm = hand_boxes(self._gripper, opening_for(candidate.width, self._gripper))
        own = (shape.points - tcp) @ rotation
        touching = left.contains(own, FINGER_MARGIN) | right.contains(own, FINGER_MARGIN)
        if (touching & shape.seen).sum() > 1 or touching.sum() > 4:
            return 'fingers in the object'
        if (palm.contains(own) & shape.seen).sum() > 1:
            return 'palm in the object'
        corners = np.concatenate([b.corners for b in (left, right, palm)]) @ rotation.T + tcp
        if (corners[:, 2] - surroundings.support_at(corners)).min() < 0.001:
            return 'in the support'
        near = surroundings.obstacles - tcp
        near = near[(near**2).sum(axis=1) < 0.2**2] @ rotation
        margin = 0.5 * surroundings.voxel + self._config.obstacle_margin
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
        cone = np.cos(np.radians(self._config.friction_angle_degrees))
        antipodal = (faces - cone) / (1.0 - cone)
        arm = shape.center - tcp
        # Seen from above: a hand from the side must reach the middle as well.
        central = np.exp(-float(np.hypot(arm[0], arm[1])) / 0.04 - abs(float(arm[2])) / 0.25)
        deep = np.clip(depth / 0.03, 0.0, 1.0)
        vertical = 0.5 * (1.0 - rotation[2, 2])
        roomy = np.clip((self._gripper.max_width - width) / 0.02, 0.0, 1.0)
        weighted = 0.3 * antipodal + 0.3 * central + 0.15 * deep + 0.15 * vertical + 0.1 * roomy
        return float(np.clip(weighted, 0.0, 1.0))


def _walls_around(y: Array) -> list[tuple[float, float]]:
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


def _facing(local: Array, normals: Array, low: float, high: float) -> float:
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
        worst = min(worst, float(cosines[len(cosines) // 2 :].mean()))
    return worst


def _alike(a: Candidate, b: Candidate) -> bool:
    """Say whether two grasps would be the same for a planner: 1 cm and 20 degrees apart."""
    offset = a.tcp - b.tcp
    return bool(
        offset @ offset < 0.01**2
        and abs(a.rotation[:, 1] @ b.rotation[:, 1]) > np.cos(np.radians(20))
        and a.rotation[:, 2] @ b.rotation[:, 2] > np.cos(np.radians(20))
    )
