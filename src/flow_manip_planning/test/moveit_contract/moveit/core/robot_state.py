# SPDX-License-Identifier: Apache-2.0
import numpy as np

from moveit.core.robot_model import RobotModel


class RobotState:
    """Positions by name and what is attached; transforms are stale until `update`."""

    def __init__(self, robot_model, /):
        if not isinstance(robot_model, RobotModel):
            raise TypeError('incompatible constructor arguments')
        self._model = robot_model
        self._positions = dict.fromkeys(robot_model._joints, 0.0)
        self._attached = {}
        self._dirty = True

    def __deepcopy__(self, memo):
        copy = RobotState(self._model)
        copy._positions, copy._attached = dict(self._positions), dict(self._attached)
        copy._dirty = self._dirty
        return copy

    @property
    def robot_model(self):
        return self._model

    @property
    def dirty(self):
        return self._dirty

    @property
    def joint_positions(self):
        return dict(self._positions)

    @joint_positions.setter
    def joint_positions(self, values):
        if not isinstance(values, dict):
            raise TypeError('joint_positions takes a dict')
        for name, value in values.items():
            if name not in self._positions:
                raise RuntimeError(f"Variable '{name}' is not known")
            self._positions[name] = float(value)
        self._dirty = True

    def set_joint_group_positions(self, joint_model_group_name, position_values):
        values = np.asarray(position_values, dtype=np.float64)
        names = self._model._groups[joint_model_group_name]
        if values.shape != (len(names),):
            raise ValueError(f'expected {len(names)} values, got {values.shape}')
        self._positions.update(zip(names, values))
        self._dirty = True

    def get_joint_group_positions(self, joint_model_group_name):
        names = self._model._groups[joint_model_group_name]
        return np.array([self._positions[name] for name in names])

    def clear_attached_bodies(self):
        self._attached.clear()

    def update(self, force=False, type='all'):
        if type not in ('all', 'links_only', 'collisions_only'):
            raise ValueError('Invalid category')
        self._dirty = False
