# SPDX-License-Identifier: Apache-2.0
"""moveit.planning of moveit_py 2.12 (ROS 2 Jazzy) as its documentation and docstrings give it.

Names, keywords, types and the rules that they state are enforced; anything else is an error. What
planning answers is up to the test: `answers` is called with a `Request`.
"""

from dataclasses import dataclass, field

from moveit_msgs.msg import MoveItErrorCodes

from moveit.core.planning_interface import MotionPlanResponse
from moveit.core.planning_scene import PlanningScene
from moveit.core.robot_model import RobotModel
from moveit.core.robot_state import RobotState
from moveit.core.robot_trajectory import RobotTrajectory


@dataclass
class Request:
    """What a plan was asked for."""

    start: RobotState
    goal: RobotState
    parameters: 'PlanRequestParameters'
    objects: dict
    octomap: object
    matrix: object
    attached: dict


@dataclass
class Script:
    """Answers of planning, set by a test: (code, waypoints by joint name)."""

    answer: object = None
    requests: list = field(default_factory=list)
    fail_to_start: str = ''


SCRIPT = Script()


class MoveItPy:
    def __init__(
        self,
        node_name='moveit_py',
        name_space='',
        launch_params_filepaths=None,
        config_dict=None,
        provide_planning_service=True,
    ):
        if SCRIPT.fail_to_start:
            raise RuntimeError(SCRIPT.fail_to_start)
        if not isinstance(config_dict, dict):
            raise RuntimeError('Unable to construct robot model. Parameters are missing.')
        _check_parameters(config_dict)
        self._parameters = config_dict
        self._model = RobotModel(
            config_dict['robot_description'], config_dict['robot_description_semantic']
        )
        for name in config_dict['planning_pipelines']['pipeline_names']:
            if not config_dict.get(name, {}).get('planning_plugins'):
                raise RuntimeError('Failed to load planning pipelines from parameter server')
        self._monitor = PlanningSceneMonitor(self._model)

    def get_planning_component(self, planning_component_name):
        return PlanningComponent(planning_component_name, self)

    def get_planning_scene_monitor(self):
        return self._monitor

    def get_robot_model(self):
        return self._model

    def shutdown(self):
        pass


class PlanRequestParameters:
    _SETTABLE = (
        'planner_id',
        'planning_pipeline',
        'planning_attempts',
        'planning_time',
        'max_velocity_scaling_factor',
        'max_acceleration_scaling_factor',
    )

    def __init__(self, moveit_py, ns, /):
        if not isinstance(moveit_py, MoveItPy) or not isinstance(ns, str):
            raise TypeError('PlanRequestParameters(MoveItPy, str)')
        given = moveit_py._parameters.get(ns, {}).get('plan_request_params')
        if given is None:
            raise RuntimeError(f'no parameters {ns}.plan_request_params')
        object.__setattr__(self, '_moveit', moveit_py)
        for name, value in given.items():
            setattr(self, name, value)

    def __setattr__(self, name, value):
        if name not in self._SETTABLE:
            raise AttributeError(name)
        kinds = {'planner_id': str, 'planning_pipeline': str, 'planning_attempts': int}
        kind = kinds.get(name, float)
        if type(value) is not kind:
            raise TypeError(f'{name}: {value!r} is no {kind.__name__}')
        object.__setattr__(self, name, value)


class PlanningComponent:
    def __init__(self, joint_model_group_name, moveit_py_instance):
        model = moveit_py_instance.get_robot_model()
        if not model.has_joint_model_group(joint_model_group_name):
            raise RuntimeError(f"Could not find joint model group '{joint_model_group_name}'.")
        self._group, self._moveit = joint_model_group_name, moveit_py_instance
        self._start = self._goal = None

    @property
    def planning_group_name(self):
        return self._group

    def set_start_state(self, configuration_name=None, robot_state=None):
        if (configuration_name is None) == (robot_state is None):
            raise ValueError('Must specify exactly one argument')
        self._start = _checked(robot_state)
        return True

    def set_goal_state(
        self,
        configuration_name=None,
        robot_state=None,
        pose_stamped_msg=None,
        pose_link=None,
        motion_plan_constraints=None,
    ):
        others = (configuration_name, pose_stamped_msg, pose_link, motion_plan_constraints)
        if robot_state is None or any(value is not None for value in others):
            raise ValueError('Must specify exactly one argument')
        self._goal = _checked(robot_state)
        return True

    def plan(
        self,
        single_plan_parameters=None,
        multi_plan_parameters=None,
        planning_scene=None,
        solution_selection_function=None,
        stopping_criterion_callback=None,
    ):
        if not isinstance(single_plan_parameters, PlanRequestParameters):
            raise TypeError('single_plan_parameters must be PlanRequestParameters')
        pipelines = self._moveit._parameters['planning_pipelines']['pipeline_names']
        code = MoveItErrorCodes(val=MoveItErrorCodes.INVALID_GOAL_CONSTRAINTS)
        if single_plan_parameters.planning_pipeline not in pipelines:
            code = MoveItErrorCodes(val=MoveItErrorCodes.FAILURE, message='No planning pipeline')
            return MotionPlanResponse._make(code, None, 0.0)
        if self._goal is None:
            return MotionPlanResponse._make(code, None, 0.0)
        scene = self._moveit._monitor._scene
        request = Request(
            start=self._start,
            goal=self._goal,
            parameters=single_plan_parameters,
            objects=dict(scene._objects),
            octomap=scene._octomap,
            matrix=scene._matrix,
            # The start state replaces the scene's, with what is attached to it.
            attached=dict(self._start._attached),
        )
        SCRIPT.requests.append(request)
        code, points = SCRIPT.answer(request)
        if isinstance(code, int):
            code = MoveItErrorCodes(val=code)
        trajectory = None
        if points is not None:
            trajectory = RobotTrajectory(self._moveit._model)
            trajectory._group, trajectory._points = self._group, points
        return MotionPlanResponse._make(code, trajectory, 0.02)


class PlanningSceneMonitor:
    def __init__(self, model):
        self._scene = PlanningScene(model)

    def read_only(self):
        return LockedPlanningSceneContextManagerRO(self._scene)

    def read_write(self):
        return LockedPlanningSceneContextManagerRW(self._scene)


class LockedPlanningSceneContextManagerRO:
    def __init__(self, scene):
        self._scene = scene

    def __enter__(self):
        assert not self._scene._locked, 'dead lock: the scene is locked already'
        self._scene._locked = True
        return self._scene

    def __exit__(self, type, value, traceback):
        if type is None:
            assert not self._scene._state._dirty, 'current_state.update() was left out'
        self._scene._locked = False


class LockedPlanningSceneContextManagerRW(LockedPlanningSceneContextManagerRO):
    pass


def _checked(state):
    if not isinstance(state, RobotState):
        raise TypeError('robot_state must be a moveit.core.robot_state.RobotState')
    assert not state.dirty, 'a state with stale transforms: update() was left out'
    return state


def _check_parameters(values, where=''):
    """ROS parameters are scalars and lists of one type of scalar, in nested mappings."""
    for name, value in values.items():
        assert isinstance(name, str), where
        if isinstance(value, dict):
            assert value, f'{where}{name}: an empty mapping is no parameter'
            _check_parameters(value, f'{where}{name}.')
        elif isinstance(value, list):
            assert value, f'{where}{name}: an empty list has no type'
            assert len({type(item) for item in value}) == 1, f'{where}{name}'
        else:
            assert isinstance(value, (bool, int, float, str)), f'{where}{name}: {value!r}'
