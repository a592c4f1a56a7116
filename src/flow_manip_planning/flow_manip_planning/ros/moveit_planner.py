# SPDX-License-Identifier: Apache-2.0
"""Free motion by MoveIt 2 in this process, through its Python bindings (moveit_py)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
import time
from typing import Any

from moveit.core.planning_interface import MotionPlanResponse
from moveit.core.planning_scene import PlanningScene
from moveit.core.robot_state import RobotState
from moveit.planning import MoveItPy, PlanningComponent, PlanRequestParameters
import numpy as np

from flow_manip_core.config import load_yaml
from flow_manip_core.errors import BackendError, ConfigurationError, NoPathError
from flow_manip_core.robot import Context, RobotConfig
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.ends import way_to_free_start
from flow_manip_planning.motion_planner.escape import describe
from flow_manip_planning.motion_planner.thinning import thin
from flow_manip_planning.ros.moveit_errors import code_name, error_from_code, WORTH_ANOTHER_TRY
from flow_manip_planning.ros.moveit_scene import (
    attached_object,
    collision_objects,
    OCTOMAP,
    octomap_msg,
    TABLE,
)

# Parameters of the requests stand under this name in moveit_cpp.yaml.
NAMESPACE = 'flow_manip'
FILES = ('moveit_cpp', 'ompl_planning', 'kinematics', 'joint_limits', 'moveit_controllers')
END_TOLERANCE = 1e-3  # [rad] MoveIt's goals are regions around a configuration


@dataclass(frozen=True)
class MoveItConfig:
    """Parameters."""

    pipeline: str = _doc('ompl', "Planning pipeline, one of moveit_cpp.yaml's")
    planner: str = _doc('RRTConnectkConfigDefault', "Planner of the pipeline's configuration")
    seconds: float = _doc(1.0, 'Planning time of each attempt; a cancel waits for its end [s]')
    attempts: int = _doc(3, 'How often a request is sent before giving up')
    thinning: float = _doc(0.01, 'Points closer than this to a straight line are left out [rad]')

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.seconds <= 0 or self.attempts < 1 or self.thinning <= 0:
            raise ConfigurationError(
                f'seconds {self.seconds}, attempts {self.attempts} and thinning {self.thinning} '
                'must be above 0'
            )


class MoveItPlanner:
    """The `moveit` backend: MoveItPy plans between two joint configurations.

    The planning scene is made anew from the world for every request. Ends are checked, and a start
    in contact is left, before MoveIt is asked; what it answers is checked against the world that
    every other backend plans in. OMPL draws its own seeds: the same seed gives another way.
    """

    Config = MoveItConfig

    def __init__(self, config: MoveItConfig, context: Context) -> None:
        """Start MoveIt with the robot's files in config/robots/<robot>/moveit.

        Raises:
            ConfigurationError: a file is missing or broken.
            BackendError: MoveIt does not start with them.
        """
        self._config = config
        self._robot = context.robot
        parameters = moveit_parameters(context.robot)
        try:
            # Older bindings write the parameters for a node of this name, whatever it is called.
            self._moveit = MoveItPy(node_name='moveit_py', config_dict=parameters)
            self._component: PlanningComponent = self._moveit.get_planning_component(
                context.robot.arm_group
            )
            self._monitor = self._moveit.get_planning_scene_monitor()
            self._request = self._request_parameters()
        except (RuntimeError, ValueError) as error:
            raise BackendError(f'MoveIt does not start: {error}') from error

    def plan(
        self,
        start: Array,
        goal: Array,
        world: CollisionWorld,
        *,
        width: float,
        seed: int = 0,
        cancelled: Cancelled = never_cancelled,
    ) -> Array:
        """Return the corners of a way; see `MotionPlanner`."""
        way_out = way_to_free_start(
            start, goal, world, width=width, seed=seed, cancelled=cancelled
        )
        free = way_out[-1]
        self._ask(free, goal, world, width)
        corners = self._first_answer(free, goal, world, width, cancelled)
        return np.concatenate([way_out[:-1], corners])

    def _request_parameters(self) -> PlanRequestParameters:
        """Return the parameters of a request: those of the file, with the configuration's."""
        request = PlanRequestParameters(self._moveit, NAMESPACE)
        request.planning_pipeline = self._config.pipeline
        request.planner_id = self._config.planner
        request.planning_time = self._config.seconds
        request.planning_attempts = 1
        return request

    def _ask(self, start: Array, goal: Array, world: CollisionWorld, width: float) -> None:
        """Bring the scene into MoveIt and set both ends.

        The start is a copy of the scene's state: what is attached to the hand belongs to a state,
        and a start without it would plan with an empty hand.
        """
        with self._monitor.read_write() as scene:
            self._fill(scene, world)
            begin = deepcopy(scene.current_state)
            end = deepcopy(scene.current_state)
        finger = self._robot.gripper.joint_names[0]
        for state, q in ((begin, start), (end, goal)):
            state.joint_positions = {finger: 0.5 * width}
            state.set_joint_group_positions(self._robot.arm_group, q)
            state.update()
        self._set_ends(begin, end)

    def _fill(self, scene: PlanningScene, world: CollisionWorld) -> None:
        """Replace everything in MoveIt's scene by what is in the world."""
        scene.current_state.clear_attached_bodies()
        scene.remove_all_collision_objects()
        scene.process_octomap(octomap_msg(world))
        for message in collision_objects(world):
            scene.apply_collision_object(message)
        held = attached_object(world)
        if held is not None:
            scene.process_attached_collision_object(held)
        # The base is bolted down; what is seen close to it is its mounting.
        for name in (TABLE, OCTOMAP):
            scene.allowed_collision_matrix.set_entry(name, self._robot.base_frame, True)
        scene.current_state.update()

    def _set_ends(self, start: RobotState, goal: RobotState) -> None:
        """Give the planning component its ends."""
        if not self._component.set_start_state(robot_state=start):
            raise BackendError('MoveIt does not take the start state')
        if not self._component.set_goal_state(robot_state=goal):
            raise BackendError('MoveIt does not take the goal state')

    def _first_answer(
        self, start: Array, goal: Array, world: CollisionWorld, width: float, cancelled: Cancelled
    ) -> Array:
        """Ask until an answer is good, at most as often as configured."""
        began, error = time.monotonic(), NoPathError('MoveIt was not asked')
        for attempt in range(1, self._config.attempts + 1):
            stop_if(cancelled)
            response = self._plan_once()
            code = response.error_code
            asked = (
                f'{self._config.pipeline}/{self._config.planner} over '
                f'{np.abs(goal - start).max():.2f} rad, attempt {attempt} of '
                f'{self._config.attempts}, {time.monotonic() - began:.2f} s'
            )
            if not response:
                error = error_from_code(code, asked)
                if code_name(code) not in WORTH_ANOTHER_TRY:
                    break
                continue
            try:
                return self._corners(response, start, goal, world, width)
            except NoPathError as refused:
                error = NoPathError(f'{refused}; {asked}')
        stop_if(cancelled)
        raise error

    def _plan_once(self) -> MotionPlanResponse:
        """Send the request."""
        try:
            return self._component.plan(single_plan_parameters=self._request)
        except (RuntimeError, ValueError) as error:
            raise BackendError(f'MoveIt fails to plan: {error}') from error

    def _corners(
        self,
        response: MotionPlanResponse,
        start: Array,
        goal: Array,
        world: CollisionWorld,
        width: float,
    ) -> Array:
        """Return the (K, J) corners of an answer that keeps its promise.

        Raises:
            NoPathError: it has other ends or hits something.
        """
        path = _positions(response, self._robot)
        off = max(np.abs(path[0] - start).max(), np.abs(path[-1] - goal).max())
        if off > END_TOLERANCE:
            raise NoPathError(f"MoveIt's way ends {off:.4f} rad away from where it should")
        path[0], path[-1] = start, goal
        # Thin ways are faster to check and to time; where the short cut hits, all points count.
        most = self._config.thinning
        for corners in (thin(path, most), thin(path, 0.25 * most), path):
            hit = next(
                (i for i in range(1, len(corners)) if _hits(world, corners[i - 1 : i + 1], width)),
                None,
            )
            if hit is None:
                return corners
        raise NoPathError(
            f"MoveIt's way touches something between points {hit - 1} and {hit} of {len(path)}: "
            f'{describe(world, path[hit], width)}'
        )


def moveit_parameters(robot: RobotConfig) -> dict[str, Any]:
    """Return MoveIt's parameters from the robot's URDF, SRDF and the files in its moveit folder.

    File names and the places of their contents are MoveIt's own conventions.

    Raises:
        ConfigurationError: a file is missing or broken.
    """
    folder = robot.folder / 'moveit'
    cpp, ompl, kinematics, limits, controllers = (load_yaml(folder / f'{f}.yaml') for f in FILES)
    try:
        urdf = (robot.folder / robot.urdf).read_text(encoding='utf-8')
        srdf = (robot.folder / robot.srdf).read_text(encoding='utf-8')
    except OSError as error:
        raise ConfigurationError(f'{robot.name}: {error}') from error
    return {
        **cpp,
        **controllers,
        'ompl': ompl,
        'robot_description': urdf,
        'robot_description_semantic': srdf,
        'robot_description_kinematics': kinematics,
        'robot_description_planning': limits,
    }


def _positions(response: MotionPlanResponse, robot: RobotConfig) -> Array:
    """Return the (K, J) points of an answer, joints in the robot's order."""
    message = response.trajectory.get_robot_trajectory_msg().joint_trajectory
    missing = set(robot.joint_names) - set(message.joint_names)
    if missing or len(message.points) < 2:
        raise NoPathError(
            f"MoveIt's way has {len(message.points)} points and lacks {sorted(missing)}"
        )
    order = [list(message.joint_names).index(name) for name in robot.joint_names]
    return np.array([point.positions for point in message.points], dtype=np.float64)[:, order]


def _hits(world: CollisionWorld, edge: Array, width: float) -> bool:
    """Say whether anything is touched between two (2, J) configurations."""
    return world.edge_collides(edge[0], edge[1], width)
