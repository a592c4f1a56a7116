# SPDX-License-Identifier: Apache-2.0
"""A collision world as the messages of MoveIt's planning scene.

All poses are in the robot's root link, which is the planning frame of a model without a virtual
joint. Obstacles go in as an octomap, the table as a box, the object as boxes, because only one
octomap fits into a scene and it cannot be attached to a link.
"""

from __future__ import annotations

from array import array

from geometry_msgs.msg import Point, Pose
from moveit_msgs.msg import AttachedCollisionObject, CollisionObject
import numpy as np
from numpy.typing import NDArray
from octomap_msgs.msg import Octomap
from shape_msgs.msg import SolidPrimitive

from flow_manip_core.transforms import quaternion_from_transform
from flow_manip_planning.collision_world import CollisionWorld, HELD, OBJECT, TABLE_SIZE
from flow_manip_planning.contacts import voxel_cells
from flow_manip_planning.kinematics import Array
from flow_manip_planning.octomap import binary_octree

TABLE = 'table'
# The name that MoveIt gives to a scene's octomap.
OCTOMAP = '<octomap>'


def octomap_msg(world: CollisionWorld) -> Octomap:
    """Return the obstacles as an octomap; one without data removes what was there."""
    message = Octomap(binary=True, id='OcTree', resolution=world.surroundings.voxel)
    message.header.frame_id = world.robot.config.base_frame
    points = world.robot.to_base(world.surroundings.obstacles)
    message.data = array('b', binary_octree(voxel_cells(points, world.surroundings.voxel)))
    return message


def collision_objects(world: CollisionWorld) -> list[CollisionObject]:
    """Return the table and, where it is set, the object that stands in the scene."""
    frame = world.robot.config.base_frame
    table = _boxes(TABLE, frame, np.zeros((1, 3)), TABLE_SIZE)
    table.pose = _pose(world.T_base_table)
    found = [table]
    if world.object_points is not None and len(world.object_points):
        points = world.robot.to_base(world.object_points)
        found.append(_voxels(OBJECT, frame, points, world.surroundings.voxel))
    return found


def attached_object(world: CollisionWorld) -> AttachedCollisionObject | None:
    """Return the held object on the tool's frame; None where the hand is empty."""
    if world.held_points is None or len(world.held_points) == 0:
        return None
    frame = world.robot.config.tcp_frame
    return AttachedCollisionObject(
        link_name=frame,
        object=_voxels(HELD, frame, world.held_points, world.surroundings.voxel),
        touch_links=list(world.robot.hand_links),
    )


def _voxels(name: str, frame: str, points: Array, size: float) -> CollisionObject:
    """Return (N, 3) points of a frame as boxes of a grid of `size` metres."""
    cells = voxel_cells(points, size)
    return _boxes(name, frame, (cells + 0.5) * size, (size, size, size))


def _boxes(
    name: str, frame: str, centers: NDArray[np.float64], size: tuple[float, float, float]
) -> CollisionObject:
    """Return boxes of one size at (M, 3) centres."""
    message = CollisionObject(id=name, operation=CollisionObject.ADD)
    message.header.frame_id = frame
    dimensions = [float(edge) for edge in size]
    for center in centers:
        box = SolidPrimitive(type=SolidPrimitive.BOX, dimensions=dimensions)
        message.primitives.append(box)
        message.primitive_poses.append(Pose(position=_point(center)))
    return message


def _pose(transform: Array) -> Pose:
    """Return a (4, 4) transform as a message."""
    pose = Pose(position=_point(transform[:3, 3]))
    x, y, z, w = (float(value) for value in quaternion_from_transform(transform))
    pose.orientation.x, pose.orientation.y = x, y
    pose.orientation.z, pose.orientation.w = z, w
    return pose


def _point(values: Array) -> Point:
    """Return (3,) metres as a message."""
    return Point(x=float(values[0]), y=float(values[1]), z=float(values[2]))
