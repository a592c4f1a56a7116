# SPDX-License-Identifier: Apache-2.0
"""What the arm and the held object may hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from roboplan.core import (
    Box,
    JointConfiguration,
    JointPath,
    OcTree,
    PathShortcutter,
    PathShortcuttingOptions,
)
from roboplan.rrt import RRT, RRTOptions
from scipy.spatial import cKDTree

from flow_manip_core.errors import NoPathError
from flow_manip_core.transforms import invert_transform, make_transform, transform_points
from flow_manip_planning.kinematics import Array, ChainPoses
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import Surroundings

COLOR = np.array([0.6, 0.6, 0.6, 1.0])
TABLE_THICKNESS = 0.1  # [m]
# The box starts this far below the seen plane [m]: depth noise must not block a fingertip.
TABLE_SINK = 0.002
STEP = 0.01  # [rad] between configurations that are checked along an edge


class CollisionWorld:
    """The robot among the table and the seen obstacles, with or without the object."""

    def __init__(self, robot: RobotModel, surroundings: Surroundings) -> None:
        """Put the table and the obstacles around the robot."""
        self._robot = robot
        self._voxel = surroundings.voxel
        self._scene = robot.new_scene()
        finger = robot.config.gripper.joint_names[0]
        names = [*robot.config.joint_names, finger]
        self._indices = self._scene.getJointPositionIndices(names)
        self._size = len(self._scene.getCurrentJointPositions())
        self._added: list[str] = []
        self._add_table(surroundings.T_world_support)
        self._add_cloud('obstacles', surroundings.obstacles)

    def set_object(self, points_world: Array | None) -> None:
        """Make (N, 3) points an obstacle called the object, or remove it."""
        if 'object' in self._added:
            self._scene.removeGeometry('object')
            self._added.remove('object')
        if points_world is not None:
            self._add_cloud('object', points_world)

    def collides(self, q: Array, width: float) -> bool:
        """Say whether the robot at (J,), fingers `width` apart, touches itself or anything."""
        return bool(self._scene.hasCollisions(self._full(q, width)))

    def first_collision(self, path: Array, width: float) -> int | None:
        """Return the index of the first of (K, J) configurations that collides."""
        for index, q in enumerate(path):
            if self.collides(q, width):
                return index
        return None

    def plan(
        self, start: Array, goal: Array, width: float, seed: int, max_nodes: int = 4000
    ) -> Array:
        """Find a way by RRT-Connect (Kuffner and LaValle 2000), then shortcut it.

        Returns:
            (W, J) corners of a path that is free of collision.

        Raises:
            NoPathError: an end collides, or `max_nodes` samples did not connect them.
        """
        for name, q in (('start', start), ('goal', goal)):
            if self.collides(q, width):
                raise NoPathError(f'the {name} of the free motion is in collision')
        self._scene.setJointPositions(self._full(start, width))
        group = self._robot.config.arm_group
        options = RRTOptions(
            group_name=group,
            max_nodes=max_nodes,
            max_connection_distance=1.5,
            collision_check_step_size=STEP,
            max_planning_time=1.0,
            rrt_connect=True,
        )
        planner = RRT(self._scene, options)
        planner.setRngSeed(seed)
        names = list(self._robot.config.joint_names)
        try:
            path = planner.plan(JointConfiguration(names, start), JointConfiguration(names, goal))
        except RuntimeError as error:
            raise NoPathError(f'no way found with {max_nodes} samples: {error}') from error
        corners = self._shortcut(path, seed)
        if np.abs(corners[0] - start).max() > 1e-6 or np.abs(corners[-1] - goal).max() > 1e-6:
            raise NoPathError('the planner returned a path with other ends')
        return corners

    def _shortcut(self, path: JointPath, seed: int) -> Array:
        """Cut corners of a path; seeds of roboplan's shortcutter below zero mean random."""
        options = PathShortcuttingOptions(
            group_name=self._robot.config.arm_group, max_step_size=STEP, max_iters=150, seed=seed
        )
        return np.array(PathShortcutter(self._scene, options).shortcut(path).positions)

    def _full(self, q: Array, width: float) -> Array:
        """Return the scene's configuration vector."""
        full = np.zeros(self._size)
        full[self._indices] = [*q, 0.5 * width]
        return full

    def _add_table(self, T_world_support: Array) -> None:
        """Add the support as a wide box; the robot's base stands in or on it."""
        T_support_box = make_transform([0, 0, -TABLE_SINK - 0.5 * TABLE_THICKNESS])
        T_base_world = invert_transform(self._robot.T_world_base)
        T_base_box = T_base_world @ T_world_support @ T_support_box
        self._scene.addBoxGeometry(
            'table', 'universe', Box(4.0, 4.0, TABLE_THICKNESS), T_base_box, COLOR
        )
        self._scene.setCollisions('table', self._robot.config.base_frame, False)
        self._added.append('table')

    def _add_cloud(self, name: str, points_world: Array) -> None:
        """Add points as an octree of voxels in the base frame."""
        if len(points_world) == 0:
            return
        size = self._voxel
        local = self._robot.to_base(points_world)
        cells = np.unique(np.floor(local / size).astype(np.int64), axis=0)
        rows = np.empty((len(cells), 6))
        # Rows are centre, edge, cost and the occupancy above which a cell counts.
        rows[:, :3], rows[:, 3:] = (cells + 0.5) * size, (size, 1.0, 0.5)
        self._scene.addOcTreeGeometry(name, 'universe', OcTree(list(rows), size), np.eye(4), COLOR)
        pairs = [(name, other) for other in self._added]
        # The base is bolted down; what is seen close to it is its mounting.
        self._scene.setCollisions([*pairs, (name, self._robot.config.base_frame)], False)
        self._added.append(name)


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
