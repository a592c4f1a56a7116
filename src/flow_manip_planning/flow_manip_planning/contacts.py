# SPDX-License-Identifier: Apache-2.0
"""Which parts touch which, and how deep: what a yes or no of the collision test leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import coal
import numpy as np
from numpy.typing import NDArray
import pinocchio
from scipy.spatial import cKDTree

from flow_manip_planning.kinematics import Array
from flow_manip_planning.robot_model import RobotModel

# More pieces of a cloud than one link can reach into at once.
MAX_CONTACTS = 2000
CELLS = 1 << 20  # from the origin, of a grid whose cells are numbered


@dataclass(frozen=True)
class Contact:
    """Two bodies that overlap.

    Attributes:
        first: a link of the robot, or the held object.
        second: another link, or a thing in the scene.
        depth: how far the deepest piece of one is inside the other [m].
        pieces: how many pieces overlap: the depth of a finger in a block ends at half its
            thickness, the number of the block's voxels that it overlaps goes on.
    """

    first: str
    second: str
    depth: float
    pieces: int

    def __str__(self) -> str:
        """Name both and the depth."""
        return f'{self.first} is {1000 * self.depth:.0f} mm inside {self.second}'


@dataclass(frozen=True)
class Thing:
    """A body that is not part of the robot.

    Attributes:
        name: unique.
        shape: makes its coal geometry; most worlds are never measured.
        pose: (4, 4) of the shape in the frame it is fixed to.
        ignores: links and things that it may overlap.
        frame: frame of the robot that it rides on; empty: it stands still, `pose` is in the base.
    """

    name: str
    shape: Callable[[], coal.CollisionGeometry]
    pose: Array
    ignores: frozenset[str]
    frame: str = ''


def voxel_cells(points: Array, size: float) -> NDArray[np.int64]:
    """Return the (M, 3) cells of a grid of `size` metres that hold (N, 3) points."""
    cells = np.floor(points / size).astype(np.int64)
    if np.abs(cells).max(initial=0) >= CELLS:
        return np.unique(cells, axis=0)
    # One number per cell sorts several times faster than a row.
    codes = np.unique(
        ((cells[:, 0] + CELLS) * 2 * CELLS + cells[:, 1] + CELLS) * 2 * CELLS + cells[:, 2] + CELLS
    )
    rest, z = np.divmod(codes, 2 * CELLS)
    x, y = np.divmod(rest, 2 * CELLS)
    return np.stack([x, y, z], axis=1) - CELLS


def voxel_tree(cells: NDArray[np.int64], size: float) -> coal.OcTree:
    """Return (M, 3) cells of a grid of `size` metres as an octree."""
    return coal.makeOctree((cells + 0.5) * size, size)


class ContactModel:
    """Measures contacts of one robot among things."""

    def __init__(self, robot: RobotModel, things: Iterable[Thing]) -> None:
        """Put the things around the robot and choose the pairs to measure."""
        self._robot = robot
        self._model, self._geometry = robot.new_collision_model()
        self._data = self._model.createData()
        self._names = [
            self._model.frames[item.parentFrame].name for item in self._geometry.geometryObjects
        ]
        for thing in things:
            self._add(thing)
        self._geometry_data = self._geometry.createData()
        for request in self._geometry_data.collisionRequests:
            request.num_max_contacts = MAX_CONTACTS
            request.enable_contact = True
        arm, fingers = robot.config.joint_names, robot.config.gripper.joint_names
        self._arm = [self._model.joints[self._model.getJointId(n)].idx_q for n in arm]
        self._fingers = [
            self._model.joints[self._model.getJointId(n)].idx_q
            for n in fingers
            if self._model.existJointName(n)
        ]

    def measure(self, q: Array, width: float) -> list[Contact]:
        """Return what overlaps at (J,), fingers `width` apart, deepest first."""
        full = pinocchio.neutral(self._model)
        full[self._arm], full[self._fingers] = q, 0.5 * width
        pinocchio.computeCollisions(
            self._model, self._data, self._geometry, self._geometry_data, full, False
        )
        deepest: dict[tuple[str, str], Contact] = {}
        results = self._geometry_data.collisionResults
        for pair, result in zip(self._geometry.collisionPairs, results):
            if not result.isCollision():
                continue
            names = self._names[pair.first], self._names[pair.second]
            depth, pieces = self._overlap(pair, result)
            before = deepest.get(names, Contact(*names, 0.0, 0))
            deepest[names] = Contact(*names, max(before.depth, depth), before.pieces + pieces)
        return sorted(deepest.values(), key=lambda contact: -contact.depth)

    def _overlap(
        self, pair: pinocchio.CollisionPair, result: coal.CollisionResult
    ) -> tuple[float, int]:
        """Return how deep [m] and in how many pieces two colliding shapes overlap."""
        shapes = [self._geometry.geometryObjects[i].geometry for i in (pair.first, pair.second)]
        if not all(isinstance(shape, coal.OcTree) for shape in shapes):
            contacts = result.getContacts()
            return max((-c.penetration_depth for c in contacts), default=0.0), len(contacts)
        # Of two octrees coal only tells that they meet.
        clouds = []
        for shape, index in zip(shapes, (pair.first, pair.second)):
            boxes, pose = np.array(shape.toBoxes()), self._geometry_data.oMg[index]
            clouds.append((boxes[:, :3] @ pose.rotation.T + pose.translation, 0.5 * boxes[:, 3]))
        (points, halves), (others, other_halves) = clouds
        distance, nearest = cKDTree(others).query(points)
        depths = halves + other_halves[nearest] - distance
        return max(float(depths.max()), 0.0), max(int((depths > 0).sum()), 1)

    def _add(self, thing: Thing) -> None:
        """Add a thing and its pairs with all that it may not overlap."""
        frame = self._model.getFrameId(thing.frame) if thing.frame else 0
        parent = self._model.frames[frame]
        placement = parent.placement * pinocchio.SE3(thing.pose)
        index = self._geometry.addGeometryObject(
            pinocchio.GeometryObject(
                thing.name, parent.parentJoint, frame, placement, thing.shape()
            )
        )
        for other, name in enumerate(self._names):
            joint = self._geometry.geometryObjects[other].parentJoint
            if name not in thing.ignores and joint != parent.parentJoint:
                self._geometry.addCollisionPair(pinocchio.CollisionPair(other, index))
        self._names.append(thing.name)
