# SPDX-License-Identifier: Apache-2.0
"""Antipodal grasps on the partial cloud of one object.

Hand poses are sampled at surface points and judged by what lies in the gripper's boxes (ten Pas
and Platt 2015): the fingers and the palm must be free, the two contact patches must face each
other within the friction cone (Nguyen 1988; Mahler et al. 2017 score alike). Works on whole
objects between the fingers and on rims with one finger inside. Gentle rims of low things and
handles on flat fronts, which need other hands than these samples, are looked for as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from flow_manip_core.errors import NoGraspError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.robot import Context
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.grasp.candidate import Candidate, DOWN
from flow_manip_planning.grasp.choice import by_contact, check_contact, THUMB_RADIUS
from flow_manip_planning.grasp.completion import complete_object, ObjectShape
from flow_manip_planning.grasp.judging import HandJudge
from flow_manip_planning.grasp.protrusions import find_front, find_protrusions, hands_on
from flow_manip_planning.grasp.regions import find_region, holds_region, Region, thin_region
from flow_manip_planning.grasp.rims import find_rims, find_walls, rim_hands, wall_hands
from flow_manip_planning.grasp.rods import find_rod, rod_hands
from flow_manip_planning.kinematics import Array
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive, Surroundings

TILTS = np.radians([0.0, -30.0, 30.0, -60.0, 60.0])
HAND_REACH = 0.2  # [m] from the tool centre point to the farthest corner of a hand
ENOUGH_ON_HANDLE = 6  # free hands; nothing else is tried then
AROUND_CONTACT = 0.04  # [m] from a contact hint: hands are tried mostly there
PAD_FRICTION = 0.12  # [rad] that rubber pads on a hard rim add to the assumed cone


@dataclass(frozen=True)
class _Scene:
    """What one call of `propose` works on."""

    surroundings: Surroundings
    shape: ObjectShape
    camera: Array
    handles: list[Candidate]
    contact: Array | None
    part: str
    region: Region | None
    cancelled: Cancelled


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
        self._judge = HandJudge(
            self._gripper,
            friction=float(np.radians(config.friction_angle_degrees)),
            support_clearance=config.support_clearance,
            obstacle_margin=config.obstacle_margin,
        )

    def propose(
        self,
        observation: Observation,
        mask: Mask,
        *,
        max_grasps: int = 0,
        seed: int = 0,
        contact: Array | None = None,
        part: str = '',
        cancelled: Cancelled = never_cancelled,
    ) -> list[Grasp]:
        """Return grasps in the world frame, best first, each in both finger orders.

        See `GraspProposer`.
        """
        scene = self._look(observation, mask, contact, part, cancelled)
        dropped: Counter[str] = Counter()
        limit = max_grasps or self._config.max_grasps
        kept = self._free_and_spread(scene.handles, scene, (limit + 1) // 2, dropped)
        if len(kept) < ENOUGH_ON_HANDLE or not _meets(kept, scene.contact):
            found = [*kept, *self._rim_hands(scene), *self._rod_hands(scene)]
            found += self._sampled_hands(scene, np.random.default_rng(seed), dropped)
            if scene.region is not None:
                found = self._on_region(found, scene, dropped)
            kept = self._free_and_spread(found, scene, (limit + 1) // 2, dropped)
        if not kept:
            reasons = ', '.join(f'{n} {reason}' for reason, n in dropped.most_common())
            where = f"the {part} of '{mask.label}'" if part else f"'{mask.label}'"
            raise NoGraspError(f'no grasp on {where} among {dropped.total()} hands: {reasons}')
        # The same hand with the fingers swapped asks another wrist angle of the arm.
        grasps = [c.grasp(swapped) for c in kept for swapped in (False, True)]
        return by_contact(grasps, scene.contact, scene.surroundings.object_points, limit)

    def _look(
        self,
        observation: Observation,
        mask: Mask,
        contact: Array | None,
        part: str,
        cancelled: Cancelled,
    ) -> _Scene:
        """Read the scene, complete the object and find the part."""
        surroundings = perceive(observation, mask, self._context, self._robot)
        surroundings = _close_by(surroundings)
        stop_if(cancelled)
        shape = complete_object(observation, mask, surroundings)
        stop_if(cancelled)
        camera = observation.T_world_camera[:3, 3]
        hint = None if contact is None else check_contact(contact)
        handles = self._handles(surroundings.object_points, camera)
        # A handle on a flat front is found in its own way.
        known = not part or (part == 'handle' and handles)
        region = None if known else find_region(part, shape, camera, mask.label)
        return _Scene(surroundings, shape, camera, handles, hint, part, region, cancelled)

    def _rim_hands(self, scene: _Scene) -> list[Candidate]:
        """Return hands for the gentle rims of low things and the upright ones of vessels."""
        if scene.handles or scene.part not in ('', 'rim'):
            return []
        half_width = 0.5 * self._gripper.finger_width
        friction = float(np.radians(self._config.friction_angle_degrees)) + PAD_FRICTION
        gentle = [
            hand
            for rim in find_rims(scene.shape, half_width)
            for hand in rim_hands(rim, self._gripper, friction)
        ]
        walls = find_walls(scene.shape, half_width)
        return gentle + [hand for rim in walls for hand in wall_hands(rim, self._gripper)]

    def _rod_hands(self, scene: _Scene) -> list[Candidate]:
        """Return hands across a long thin thing that lies."""
        rod = None if scene.handles else find_rod(scene.shape)
        if rod is None:
            return []
        clearance = self._config.support_clearance
        return rod_hands(rod, self._gripper, scene.shape.bottom, clearance)

    def _handles(self, points: Array, camera: Array) -> list[Candidate]:
        """Return hands on the bars and knobs that stand out from the front of (N, 3) points."""
        front = find_front(points, camera)
        if front is None:
            return []
        return [
            hand
            for piece in find_protrusions(points, front, self._gripper.max_width)
            for hand in hands_on(piece, front, self._gripper)
        ]

    def _sampled_hands(
        self, scene: _Scene, rng: np.random.Generator, dropped: Counter[str]
    ) -> list[Candidate]:
        """Judge hands sampled over the object, or over what of it is asked for."""
        # On a leaning support the uphill finger meets it first.
        reach = 0.5 * self._gripper.max_width + self._gripper.finger_thickness
        bottom = scene.shape.bottom + reach * float(np.hypot(*scene.surroundings.slope))
        found: list[Candidate] = []
        if scene.part == 'handle' and scene.region is not None:
            bar, across = thin_region(scene.shape, scene.region, scene.camera)
            for anchor in bar.points[:: max(1, len(bar.points) // 12)]:
                for approach in self._approaches(across):
                    hands = self._judge.close_on(bar, bottom, anchor, across, approach, dropped)
                    found += [replace(hand, part='handle') for hand in hands]
        for anchor, closing, approach in self._hands(scene, rng):
            stop_if(scene.cancelled)
            found += self._judge.close_on(scene.shape, bottom, anchor, closing, approach, dropped)
        return found

    def _approaches(self, closing: Array) -> Iterator[Array]:
        """Return the approaches to try with a closing direction, the one from above first."""
        down = DOWN - (DOWN @ closing) * closing
        down /= np.linalg.norm(down)
        for tilt in TILTS:
            if np.degrees(abs(tilt)) <= self._config.max_tilt_degrees:
                yield np.cos(tilt) * down + np.sin(tilt) * np.cross(closing, down)

    def _anchors(
        self, scene: _Scene, rng: np.random.Generator
    ) -> list[tuple[Array, Array | None]]:
        """Draw points to try hands at, with their normals; the middle on top has none."""
        shape = scene.shape
        places = (
            np.arange(len(shape.points)) if scene.region is None else scene.region.nonzero()[0]
        )
        picks = rng.choice(places, min(self._config.num_anchors, len(places)), replace=False)
        if scene.contact is not None:
            away = np.linalg.norm(shape.points[places] - scene.contact, axis=1)
            near = places[away < AROUND_CONTACT]
            count = min(len(near), (2 * len(picks)) // 3)
            picks[:count] = rng.choice(near, count, replace=False)
        wanted = shape.points[places]
        middle = 0.5 * (wanted.min(axis=0) + wanted.max(axis=0))
        center_top = np.array([*middle[:2], wanted[:, 2].max()])
        return [(center_top, None)] * 8 + [(shape.points[i], shape.normals[i]) for i in picks]

    def _hands(
        self, scene: _Scene, rng: np.random.Generator
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Sample (anchor, closing direction, approach direction)."""
        shape = scene.shape
        flat = shape.points[:, :2] - shape.points[:, :2].mean(axis=0)
        _, _, axes = np.linalg.svd(flat, full_matrices=False)
        main_yaw = float(np.arctan2(axes[1, 1], axes[1, 0]))
        for index, (anchor, normal) in enumerate(self._anchors(scene, rng)):
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
                for approach in self._approaches(closing):
                    yield anchor, closing, approach

    def _on_region(
        self, found: list[Candidate], scene: _Scene, dropped: Counter[str]
    ) -> list[Candidate]:
        """Keep hands that hold the part that is asked for."""
        tree = cKDTree(scene.shape.points[scene.region])
        kept = [c for c in found if c.part == scene.part or holds_region(c, tree)]
        dropped[f'not on the {scene.part}'] += len(found) - len(kept)
        return kept

    def _free_and_spread(
        self, found: list[Candidate], scene: _Scene, limit: int, dropped: Counter[str]
    ) -> list[Candidate]:
        """Keep the best that hit nothing and are not close to a better one."""
        kept: list[Candidate] = []
        for candidate in sorted(found, key=lambda c: (not _meets([c], scene.contact), -c.score)):
            if any(candidate.alike(other) for other in kept):
                continue
            stop_if(scene.cancelled)
            # A guessed wall under a rim's edge is what the rim's hands say is not there.
            shape = scene.shape.surface if candidate.part else scene.shape
            reason = self._judge.hits(candidate, shape, scene.surroundings)
            if reason:
                dropped[reason] += 1
                continue
            kept.append(candidate)
            if len(kept) >= limit:
                break
        return kept


def _meets(kept: list[Candidate], contact: Array | None) -> bool:
    """Say whether a hand touches where the hint says, if there is one."""
    return contact is None or any(
        np.linalg.norm(candidate.tcp - contact) <= THUMB_RADIUS for candidate in kept
    )


def _close_by(surroundings: Surroundings) -> Surroundings:
    """Drop obstacles that no part of a hand at the object can reach."""
    points, obstacles = surroundings.object_points, surroundings.obstacles
    lower, upper = points.min(axis=0) - HAND_REACH, points.max(axis=0) + HAND_REACH
    near = ((obstacles > lower) & (obstacles < upper)).all(axis=1)
    return replace(surroundings, obstacles=obstacles[near])
