# SPDX-License-Identifier: Apache-2.0
"""Plans robot motion from object flow, and proposes grasps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flow_manip_msgs.action import PlanFromFlow
from flow_manip_msgs.msg import Plan as PlanMsg
from flow_manip_msgs.srv import ProposeGrasps
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.observation import Observation
from flow_manip_planning.flow_planner import FLOW_PLANNERS
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_planning.motion_planner import DEFAULT_MOTION_PLANNER, MOTION_PLANNERS
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    flow_from_msg,
    make_header,
    mask_from_msg,
    msg_from_grasps,
    msg_from_plan,
    observation_from_msg,
)
from flow_manip_ros.goals import run_service, SingleGoalServer
from flow_manip_ros.nodes import PlainNode, run_node

STAGES = {
    'proposing grasps': PlanFromFlow.Feedback.PROPOSING_GRASPS,
    'solving inverse kinematics': PlanFromFlow.Feedback.SOLVING_IK,
    'planning motion': PlanFromFlow.Feedback.PLANNING_MOTION,
    'timing': PlanFromFlow.Feedback.TIMING,
}


class PlanningNode(PlainNode):
    """Serves `plan_from_flow` and `propose_grasps`; publishes every plan on `planning/plan`."""

    def __init__(self, **kwargs: Any) -> None:
        """Build the backends and offer the action and the service."""
        super().__init__('planning_node', **kwargs)
        self._cell_context = self.parameters.context()
        self._proposer = self.parameters.backend(
            GRASP_PROPOSERS, 'antipodal', self._cell_context, prefix='grasp.'
        )
        self._motion_planner = self.parameters.backend(
            MOTION_PLANNERS, DEFAULT_MOTION_PLANNER, self._cell_context, prefix='motion_planner.'
        )
        self._planner = self.parameters.backend(
            FLOW_PLANNERS,
            'rigid_path',
            self._cell_context,
            self._proposer,
            self._motion_planner,
        )
        self.parameters.check()
        self._publisher = self.create_publisher(PlanMsg, 'planning/plan', qos.LATCHED)
        self._server = SingleGoalServer(self, PlanFromFlow, 'plan_from_flow', self._plan)
        self._service = self.create_service(
            ProposeGrasps,
            'propose_grasps',
            self._propose,
            callback_group=ReentrantCallbackGroup(),
        )

    def destroy_node(self) -> None:
        """Stop the running goal first."""
        self._server.destroy()
        super().destroy_node()

    def _plan(
        self,
        goal_handle: ServerGoalHandle,
        result: PlanFromFlow.Result,
        cancelled: Callable[[], bool],
    ) -> None:
        """Convert in, plan, convert out."""
        request = goal_handle.request
        if request.arm not in ('', self._cell_context.robot.arm_group):
            raise InvalidInputError(
                f"no arm '{request.arm}'; the robot has '{self._cell_context.robot.arm_group}'"
            )
        observation = observation_from_msg(request.observation)
        self._check_frame(observation)
        flow = flow_from_msg(request.flow)
        if flow.frame_id != observation.frame_id:
            raise InvalidInputError(
                f"the flow is in '{flow.frame_id}', the observation in '{observation.frame_id}'"
            )

        def report(text: str, progress: float) -> None:
            feedback = PlanFromFlow.Feedback(progress=float(progress))
            feedback.stage = STAGES.get(text, PlanFromFlow.Feedback.PROPOSING_GRASPS)
            goal_handle.publish_feedback(feedback)

        plan = self._planner.plan(
            observation,
            mask_from_msg(request.mask),
            flow,
            seed=request.seed,
            on_stage=report,
            cancelled=cancelled,
        )
        result.plan = msg_from_plan(plan)
        result.grasps = msg_from_grasps(plan.considered, plan.rejections, result.plan.header)
        self._publisher.publish(result.plan)
        self.get_logger().info(
            f'plan for "{plan.object}": {len(plan.segments)} segments, {plan.duration:.1f} s, '
            f'{len(plan.considered)} grasps considered'
        )

    def _propose(
        self, request: ProposeGrasps.Request, response: ProposeGrasps.Response
    ) -> ProposeGrasps.Response:
        """Answer with grasps."""

        def work() -> None:
            observation = observation_from_msg(request.observation)
            self._check_frame(observation)
            grasps = self._proposer.propose(
                observation,
                mask_from_msg(request.mask),
                max_grasps=request.max_grasps,
                seed=request.seed,
            )
            header = make_header(observation.frame_id, observation.stamp)
            response.grasps = msg_from_grasps(grasps, {}, header)

        return run_service(response, work, self.get_logger())

    def _check_frame(self, observation: Observation) -> None:
        """Refuse poses in a frame that the rig does not know."""
        if observation.frame_id != self._cell_context.rig.frame_id:
            raise InvalidInputError(
                f"the observation is in '{observation.frame_id}', "
                f"the rig in '{self._cell_context.rig.frame_id}'"
            )


def main() -> None:
    """Run the node."""
    run_node(PlanningNode)
