# SPDX-License-Identifier: Apache-2.0
from typing import ClassVar

from geometry_msgs.msg import Pose
from recorded_messages import Field, integer, many, Message, number, one, text
from sensor_msgs.msg import JointState
from shape_msgs.msg import Mesh, Plane, SolidPrimitive
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory


class ObjectType(Message):  # of object_recognition_msgs
    FIELDS: ClassVar = {'key': text(), 'db': text()}


class CollisionObject(Message):
    ADD, REMOVE, APPEND, MOVE = b'\x00', b'\x01', b'\x02', b'\x03'
    FIELDS: ClassVar = {
        'header': one(Header),
        'pose': one(Pose),
        'id': text(),
        'type': one(ObjectType),
        'primitives': many(SolidPrimitive),
        'primitive_poses': many(Pose),
        'meshes': many(Mesh),
        'mesh_poses': many(Pose),
        'planes': many(Plane),
        'plane_poses': many(Pose),
        'subframe_names': many(str),
        'subframe_poses': many(Pose),
        'operation': Field(bytes, lambda: b'\x00'),
    }


class AttachedCollisionObject(Message):
    FIELDS: ClassVar = {
        'link_name': text(),
        'object': one(CollisionObject),
        'touch_links': many(str),
        'detach_posture': one(JointTrajectory),
        'weight': number(),
    }


class RobotTrajectory(Message):
    FIELDS: ClassVar = {
        'joint_trajectory': one(JointTrajectory),
        'multi_dof_joint_trajectory': one(MultiDOFJointTrajectory),
    }


class RobotState(Message):
    FIELDS: ClassVar = {
        'joint_state': one(JointState),
        'attached_collision_objects': many(AttachedCollisionObject),
        'is_diff': Field(bool, bool),
    }


class MoveItErrorCodes(Message):
    SUCCESS, UNDEFINED, FAILURE = 1, 0, 99999
    PLANNING_FAILED, INVALID_MOTION_PLAN = -1, -2
    MOTION_PLAN_INVALIDATED_BY_ENVIRONMENT_CHANGE, CONTROL_FAILED = -3, -4
    UNABLE_TO_AQUIRE_SENSOR_DATA, TIMED_OUT, PREEMPTED = -5, -6, -7
    START_STATE_IN_COLLISION, START_STATE_VIOLATES_PATH_CONSTRAINTS = -10, -11
    START_STATE_INVALID, GOAL_IN_COLLISION, GOAL_VIOLATES_PATH_CONSTRAINTS = -26, -12, -13
    GOAL_CONSTRAINTS_VIOLATED, GOAL_STATE_INVALID, UNRECOGNIZED_GOAL_TYPE = -14, -27, -28
    INVALID_GROUP_NAME, INVALID_GOAL_CONSTRAINTS, INVALID_ROBOT_STATE = -15, -16, -17
    INVALID_LINK_NAME, INVALID_OBJECT_NAME = -18, -19
    FRAME_TRANSFORM_FAILURE, COLLISION_CHECKING_UNAVAILABLE = -21, -22
    ROBOT_STATE_STALE, SENSOR_INFO_STALE, COMMUNICATION_FAILURE = -23, -24, -25
    CRASH, ABORT, NO_IK_SOLUTION = -29, -30, -31
    FIELDS: ClassVar = {'val': integer(), 'message': text(), 'source': text()}
