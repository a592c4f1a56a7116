# SPDX-License-Identifier: Apache-2.0
from moveit_msgs.msg import AttachedCollisionObject, CollisionObject
import numpy as np
from octomap_msgs.msg import Octomap

from moveit.core.collision_detection import AllowedCollisionMatrix
from moveit.core.robot_state import RobotState


class PlanningScene:
    """May only be touched while it is locked."""

    def __init__(self, robot_model):
        self._locked = False
        self._model = robot_model
        self._state = RobotState(robot_model)
        self._matrix = AllowedCollisionMatrix([])
        self._objects, self._octomap = {}, None

    def _check_lock(self):
        if not self._locked:
            raise AssertionError('the scene is used outside of read_only() or read_write()')

    @property
    def robot_model(self):
        self._check_lock()
        return self._model

    @property
    def planning_frame(self):
        self._check_lock()
        return self._model.model_frame

    @property
    def current_state(self):
        self._check_lock()
        return self._state

    @property
    def allowed_collision_matrix(self):
        self._check_lock()
        return self._matrix

    def remove_all_collision_objects(self):
        self._check_lock()
        self._objects.clear()

    def apply_collision_object(self, collision_object_msg, color_msg=None):
        self._check_lock()
        if not isinstance(collision_object_msg, CollisionObject):
            raise TypeError('apply_collision_object takes a moveit_msgs/CollisionObject')
        self._check_object(collision_object_msg)
        assert collision_object_msg.operation == CollisionObject.ADD
        self._objects[collision_object_msg.id] = collision_object_msg

    def process_attached_collision_object(self, object):
        self._check_lock()
        if not isinstance(object, AttachedCollisionObject):
            raise TypeError('takes a moveit_msgs/AttachedCollisionObject')
        object.validate()
        self._check_object(object.object)
        assert object.link_name in self._model._links, f'no link {object.link_name}'
        assert set(object.touch_links) <= self._model._links
        self._state._attached[object.object.id] = object
        self._state._dirty = True

    def process_octomap(self, msg):
        self._check_lock()
        if not isinstance(msg, Octomap):
            raise TypeError('process_octomap takes an octomap_msgs/Octomap')
        msg.validate()
        assert msg.id == 'OcTree', f"Received octomap is of type '{msg.id}' but type 'OcTree'"
        assert self._knows(msg.header.frame_id)
        self._octomap = msg if len(msg.data) else None

    def _knows(self, frame):
        return frame in self._model._links or frame in self._objects

    def _check_object(self, message):
        message.validate()
        assert message.id, 'an object without a name'
        assert self._knows(message.header.frame_id), f'unknown frame {message.header.frame_id!r}'
        assert len(message.primitives) == len(message.primitive_poses) > 0
        for shape in message.primitives:
            assert shape.type == shape.BOX
            assert len(shape.dimensions) == 3
            assert min(shape.dimensions) > 0
        for pose in [message.pose, *message.primitive_poses]:
            q = pose.orientation
            assert np.isclose(q.x**2 + q.y**2 + q.z**2 + q.w**2, 1.0), 'no unit quaternion'
