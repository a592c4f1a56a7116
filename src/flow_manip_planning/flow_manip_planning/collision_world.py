# SPDX-License-Identifier: Apache-2.0
"""What the arm and the held object may hit."""

from __future__ import annotations

from functools import partial

import coal
import numpy as np
from numpy.typing import NDArray
from roboplan.core import Box, hasCollisionsAlongPath, OcTree, Scene
from scipy.spatial import cKDTree

from flow_manip_core.transforms import invert_transform, make_transform, transform_points
from flow_manip_planning.contacts import (
    Contact,
    ContactModel,
    Thing,
    voxel_cells,
    voxel_tree,
)
from flow_manip_planning.kinematics import Array, ChainPoses
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import Surroundings

COLOR = np.array([0.6, 0.6, 0.6, 1.0])
TABLE_SIZE = (4.0, 4.0, 0.1)  # [m]
# The box starts this far below the seen plane [m]: depth noise must not block a fingertip.
TABLE_SINK = 0.002
STEP = 0.01  # [rad] between configurations that are checked along an edge
OBJECT, HELD = 'object', 'held object'


class CollisionWorld:
    """The robot among the table and the seen obstacles, with or without the object."""

    def __init__(self, robot: RobotModel, surroundings: Surroundings) -> None:
        """Put the table and the obstacles around the robot."""
        self.robot = robot
        self.surroundings = surroundings
        self.object_points: Array | None = None
        self.held_points: Array | None = None
        self._voxel = surroundings.voxel
        self._scene = robot.new_scene()
        finger = robot.config.gripper.joint_names[0]
        names = [*robot.config.joint_names, finger]
        self._indices = self._scene.getJointPositionIndices(names)
        self._size = len(self._scene.getCurrentJointPositions())
        self._things: dict[str, Thing] = {}
        self._contacts: ContactModel | None = None
        self._add_table(self.T_base_table)
        self._add_cloud('obstacles', robot.to_base(surroundings.obstacles))

    @property
    def scene(self) -> Scene:
        """Roboplan's scene, for planners that work in it; its poses are in the robot's base."""
        return self._scene

    @property
    def T_base_table(self) -> Array:
        """(4, 4) centre of the table's box, whose edges are `TABLE_SIZE`, in the robot's base."""
        T_support_box = make_transform([0, 0, -TABLE_SINK - 0.5 * TABLE_SIZE[2]])
        T_base_world = invert_transform(self.robot.T_world_base)
        return T_base_world @ self.surroundings.T_world_support @ T_support_box

    def set_object(self, points_world: Array | None) -> None:
        """Make (N, 3) points an obstacle called the object, or remove it."""
        self._remove(OBJECT)
        self.object_points = points_world
        if points_world is not None:
            self._add_cloud(OBJECT, self.robot.to_base(points_world))

    def hold_object(self, points_tip: Array | None) -> None:
        """Let (N, 3) points in the tool centre point's frame move with the hand, or let go.

        They may touch the hand and the fingers, and nothing else.
        """
        self._remove(HELD)
        self.held_points = points_tip
        if points_tip is not None:
            config = self.robot.config
            points_link = transform_points(config.gripper.T_tcp_grasp, points_tip)
            self._add_cloud(HELD, points_link, config.tcp_frame)

    def collides(self, q: Array, width: float) -> bool:
        """Say whether the robot at (J,), fingers `width` apart, touches itself or anything."""
        return bool(self._scene.hasCollisions(self.configuration(q, width)))

    def first_collision(self, path: Array, width: float) -> int | None:
        """Return the index of the first of (K, J) configurations that collides."""
        for index, q in enumerate(path):
            if self.collides(q, width):
                return index
        return None

    def edge_collides(self, start: Array, end: Array, width: float) -> bool:
        """Say whether anything is touched on the straight line between two (J,)."""
        ends = self.configuration(start, width), self.configuration(end, width)
        # Halves first: what is in the way is found sooner.
        return bool(hasCollisionsAlongPath(self._scene, *ends, STEP, True))

    def contacts(self, q: Array, width: float) -> list[Contact]:
        """Return what overlaps at (J,) and how deep, deepest first; slower than `collides`."""
        if self._contacts is None:
            self._contacts = ContactModel(self.robot, self._things.values())
        return self._contacts.measure(q, width)

    def configuration(self, q: Array, width: float) -> Array:
        """Return the scene's configuration vector for (J,), fingers `width` apart."""
        full = np.zeros(self._size)
        full[self._indices] = [*q, 0.5 * width]
        return full

    def _add_table(self, T_base_box: Array) -> None:
        """Add the support as a wide box; the robot's base stands in or on it."""
        self._scene.addBoxGeometry('table', 'universe', Box(*TABLE_SIZE), T_base_box, COLOR)
        base = self.robot.config.base_frame
        self._note(Thing('table', partial(coal.Box, *TABLE_SIZE), T_base_box, frozenset({base})))

    def _add_cloud(self, name: str, points: Array, frame: str = '') -> None:
        """Add (N, 3) points as an octree of voxels, in the base or riding on the tool's frame."""
        if len(points) == 0:
            return
        size = self._voxel
        cells = voxel_cells(points, size)
        rows = np.empty((len(cells), 6))
        # Rows are centre, edge, cost and the occupancy above which a cell counts.
        rows[:, :3], rows[:, 3:] = (cells + 0.5) * size, (size, 1.0, 0.5)
        tree = OcTree(list(rows), size)
        # roboplan takes poses on a link in the frame of the joint that moves it.
        pose = self.robot.chain.T_last_tip if frame else np.eye(4)
        self._scene.addOcTreeGeometry(name, frame or 'universe', tree, pose, COLOR)
        if frame:
            ignores = frozenset(self.robot.hand_links)
        else:
            # The base is bolted down; what is seen close to it is its mounting.
            standing = {thing.name for thing in self._things.values() if not thing.frame}
            ignores = frozenset(standing | {self.robot.config.base_frame})
        self._note(Thing(name, partial(voxel_tree, cells, size), np.eye(4), ignores, frame))

    def _note(self, thing: Thing) -> None:
        """Remember a thing that was added and let it overlap what it may."""
        self._scene.setCollisions([(thing.name, other) for other in thing.ignores], False)
        self._things[thing.name] = thing
        self._contacts = None

    def _remove(self, name: str) -> None:
        """Take a thing out of the scene if it is there."""
        if self._things.pop(name, None) is not None:
            self._scene.removeGeometry(name)
            self._contacts = None


class HeldObject:
    """The object as it moves with the hand: what it may touch and what not."""

    def __init__(
        self, robot: RobotModel, surroundings: Surroundings, shape: Array, clearance: float = 0.004
    ) -> None:
        """Take the object's (N, 3) points at the start, in the world frame."""
        self._robot = robot
        self._surroundings = surroundings
        self._shape = shape
        self._clearance = clearance + 0.5 * surroundings.voxel

    def colliding_steps(self, object_path: Array) -> NDArray[np.bool_]:
        """Say for (K, 4, 4) poses of the object since its start which of them hit the scene.

        Things that touch the object where it stands or where it is put down are left out: contact
        is the point of a placement, and judging the goal is the world model's task. The support
        may be reached but not entered by 1 cm.
        """
        moved = np.stack([transform_points(T, self._shape) for T in object_path])
        above = moved[..., 2] - self._surroundings.support_at(moved)
        entered = above.min(axis=1) < min(0.0, float(above[0].min())) - 0.01
        obstacles = self._surroundings.obstacles
        if len(obstacles) == 0:
            return entered
        ends = cKDTree(np.concatenate([moved[0], moved[-1]]))
        near_ends, _ = ends.query(obstacles, distance_upper_bound=0.025)
        # Whole columns: the side of a bowl belongs to its touched rim.
        free = obstacles[~np.isfinite(near_ends)]
        if len(free) == 0:
            return entered
        distance, _ = cKDTree(free).query(
            moved.reshape(-1, 3), distance_upper_bound=self._clearance
        )
        return entered | np.isfinite(distance).reshape(moved.shape[:2]).any(axis=1)

    def hits_arm(self, poses: ChainPoses, object_path: Array) -> NDArray[np.bool_]:
        """Say for (K,) arm poses and (K, 4, 4) object poses where the object runs into the arm."""
        spheres = self._robot.spheres
        others = spheres.joints < len(self._robot.config.joint_names) - 1
        centers = self._robot.sphere_centers(poses.joints)[:, others]
        sparse = self._shape[:: max(1, len(self._shape) // 60)]
        moved = np.stack([transform_points(T, sparse) for T in object_path])
        distance = np.linalg.norm(moved[:, :, None] - centers[:, None], axis=-1)
        return (distance < spheres.radii[others]).any(axis=(1, 2))
