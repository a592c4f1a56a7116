# SPDX-License-Identifier: Apache-2.0
"""The stages as clients of the nodes that do them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
import time
from typing import Any

from action_msgs.srv import CancelGoal
from flow_manip_msgs.action import ExecutePlan, GenerateFlow, PlanFromFlow
from flow_manip_msgs.srv import RankFlows, Segment, StartTracking
import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Empty

from flow_manip_core.errors import CancelledError, FlowManipError, PeerLostError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import ExecutionOutcome, Plan
from flow_manip_core.robot import RobotConfig
from flow_manip_ros.calls import ActionClient, call_action, call_service
from flow_manip_ros.conversions import (
    flow_from_msg,
    grasp_from_msg,
    image_from_array,
    make_header,
    mask_from_msg,
    msg_from_flow,
    msg_from_mask,
    msg_from_observation,
    msg_from_plan,
    plan_from_msg,
)
from flow_manip_ros.watchdog import PeerWatch
from flow_manip_task.recovery import recover
from flow_manip_task.ros.observing import Observer
from flow_manip_task.stages import (
    Cancelled,
    OnDropped,
    OnFrame,
    OnSegment,
    Progress,
    Stages,
)

POLL = 0.01  # [s]
PLANNING_TEXTS = {
    PlanFromFlow.Feedback.PROPOSING_GRASPS: 'proposing grasps',
    PlanFromFlow.Feedback.SOLVING_IK: 'solving inverse kinematics',
    PlanFromFlow.Feedback.PLANNING_MOTION: 'planning the motion',
    PlanFromFlow.Feedback.TIMING: 'timing the motion',
}


@dataclass(frozen=True)
class TimeoutsConfig:
    """Longest wall time of each stage [s]."""

    segment: float = field(default=15.0, metadata={'doc': 'Of one segmentation [s]'})
    imagine: float = field(default=120.0, metadata={'doc': 'Of imagining flows [s]'})
    select: float = field(default=30.0, metadata={'doc': 'Of ranking flows [s]'})
    plan: float = field(default=60.0, metadata={'doc': 'Of planning for one flow [s]'})
    execute: float = field(default=180.0, metadata={'doc': 'Of executing a plan [s]'})
    track: float = field(default=1.0, metadata={'doc': 'For tracking to begin [s]'})
    silence: float = field(
        default=1.5, metadata={'doc': 'Of a stage that moves nothing, after its lease [s]'}
    )
    control_silence: float = field(
        default=0.05, metadata={'doc': 'Of the node that moves the arm, after its lease [s]'}
    )
    server: float = field(default=2.0, metadata={'doc': 'For a server to be there [s]'})


@dataclass(frozen=True)
class RankedFlows:
    """What the selector said, as `flow_manip_task.stages.Ranking`."""

    scores: tuple[float, ...]
    vetoes: tuple[str, ...]
    order: tuple[int, ...]
    note: str


class StageClients:
    """Calls the stages' nodes; notices within the lease when one of them dies."""

    def __init__(
        self,
        node: Node,
        observer: Observer,
        robot: RobotConfig,
        timeouts: TimeoutsConfig,
        *,
        track: bool = False,
    ) -> None:
        """Make the clients; the servers may come later.

        Args:
            node: that calls.
            observer: of the camera.
            robot: whose controller is stopped where the node that moves it dies.
            timeouts: of every stage.
            track: have the object followed from its plan on, for who watches it.
        """
        self._observer, self._robot, self._timeouts = observer, robot, timeouts
        group = ReentrantCallbackGroup()
        self._segment = node.create_client(Segment, 'segment', callback_group=group)
        self._rank = node.create_client(RankFlows, 'rank_flows', callback_group=group)
        self._generate = ActionClient(node, GenerateFlow, 'generate_flow', callback_group=group)
        self._plan = ActionClient(node, PlanFromFlow, 'plan_from_flow', callback_group=group)
        self._execute = ActionClient(node, ExecutePlan, 'execute_plan', callback_group=group)
        self._logger, self._track = node.get_logger(), track
        self._start_tracking = node.create_client(
            StartTracking, 'tracking_node/start', callback_group=group
        )
        self._reset_tracking = node.create_client(
            Empty, 'tracking_node/reset', callback_group=group
        )
        # A cancel request without goal id and stamp cancels every goal.
        self._brake = node.create_client(
            CancelGoal, f'{robot.trajectory_action}/_action/cancel_goal', callback_group=group
        )
        self._watches = {
            name: PeerWatch(node, name, group, patience=silence)
            for name, silence in (
                ('segmentation_node', timeouts.silence),
                ('world_model_node', timeouts.silence),
                ('planning_node', timeouts.silence),
                # The arm moves: its death must be noticed at once.
                ('control_node', timeouts.control_silence),
            )
        }

    @property
    def stages(self) -> Stages:
        """The stages for `Manipulation`."""
        return Stages(
            observe=self._observer.observe,
            segment=self.segment,
            imagine=self.imagine,
            select=self.select,
            plan=self.plan,
            execute=self.execute,
            recover=self.recover,
        )

    def segment(self, observation: Observation, phrase: str, *, cancelled: Cancelled) -> Mask:
        """Call `segment`."""
        request = Segment.Request(observation=msg_from_observation(observation), phrase=phrase)
        response = self._call(
            self._segment, request, 'segmentation_node', self._timeouts.segment, cancelled
        )
        return mask_from_msg(response.mask)

    def imagine(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray[np.uint8] | None,
        seed: int,
        on_progress: Progress,
        on_dropped: OnDropped,
        cancelled: Cancelled,
    ) -> list[ObjectFlow]:
        """Call `generate_flow`."""
        message = msg_from_observation(observation)
        goal = GenerateFlow.Goal(
            observation=message,
            instruction=instruction,
            masks=[msg_from_mask(mask, message.color.header) for mask in masks],
            seed=seed % 2**32,
        )
        if goal_image is not None:
            header = make_header('', observation.stamp)
            goal.goal_image = image_from_array(goal_image, 'rgb8', header)
        result = self._act(
            self._generate,
            goal,
            'world_model_node',
            self._timeouts.imagine,
            cancelled,
            lambda feedback: on_progress(feedback.stage, feedback.progress),
        )
        for text in result.dropped:
            on_dropped(text)
        return [flow_from_msg(candidate) for candidate in result.candidates]

    def select(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
        *,
        cancelled: Cancelled,
    ) -> RankedFlows:
        """Call `rank_flows`."""
        message = msg_from_observation(observation)
        request = RankFlows.Request(
            observation=message,
            instruction=instruction,
            mask=msg_from_mask(mask, message.color.header),
            candidates=[msg_from_flow(flow) for flow in candidates],
        )
        response = self._call(
            self._rank, request, 'world_model_node', self._timeouts.select, cancelled
        )
        return RankedFlows(
            tuple(response.scores),
            tuple(response.vetoes),
            tuple(int(i) for i in response.order),
            response.note,
        )

    def plan(
        self,
        observation: Observation,
        mask: Mask,
        flow: ObjectFlow,
        *,
        seed: int,
        on_stage: Progress,
        cancelled: Cancelled,
    ) -> Plan:
        """Call `plan_from_flow`."""
        message = msg_from_observation(observation)
        goal = PlanFromFlow.Goal(
            observation=message,
            mask=msg_from_mask(mask, message.color.header),
            flow=msg_from_flow(flow),
            seed=seed % 2**32,
        )
        result = self._act(
            self._plan,
            goal,
            'planning_node',
            self._timeouts.plan,
            cancelled,
            lambda feedback: on_stage(PLANNING_TEXTS.get(feedback.stage, ''), feedback.progress),
        )
        if self._track:
            self._begin_tracking(
                StartTracking.Request(observation=message, mask=goal.mask), cancelled
            )
        grasps = result.grasps
        return replace(
            plan_from_msg(result.plan),
            considered=tuple(grasp_from_msg(grasp) for grasp in grasps.grasps),
            rejections=dict(zip(grasps.rejection_reasons, map(int, grasps.rejection_counts))),
        )

    def execute(
        self, plan: Plan, *, on_segment: OnSegment, on_frame: OnFrame, cancelled: Cancelled
    ) -> ExecutionOutcome:
        """Call `execute_plan` and hand on camera frames while it runs."""
        with self._observer.streaming(on_frame):
            try:
                result = self._act(
                    self._execute,
                    ExecutePlan.Goal(plan=msg_from_plan(plan)),
                    'control_node',
                    self._timeouts.execute,
                    cancelled,
                    lambda f: on_segment(f.segment, f.name, f.progress),
                )
            except PeerLostError:
                # Whoever sent the motion is gone; the controller would follow it to its end.
                self._brake.call_async(CancelGoal.Request())
                raise
            finally:
                if self._track and self._reset_tracking.service_is_ready():
                    self._reset_tracking.call_async(Empty.Request())
        return ExecutionOutcome(int(result.segments_done), float(result.final_gripper_width))

    def _begin_tracking(self, request: StartTracking.Request, cancelled: Cancelled) -> None:
        """Have the object followed; where nobody can, the plan runs without being watched."""
        if not self._start_tracking.service_is_ready():
            self._logger.info('no tracking_node: the object is not watched')
            return
        try:
            call_service(
                self._start_tracking, request, timeout=self._timeouts.track, cancelled=cancelled
            )
        except CancelledError:
            raise
        except FlowManipError as error:
            self._logger.warning(f'the object is not watched: {error.name} {error}')

    def recover(self, plan: Plan, segment: int, *, cancelled: Cancelled) -> None:
        """Plan the way back from where the joints are now, and execute it."""
        recover(
            plan,
            segment,
            self._observer.joint_positions,
            lambda way: self.execute(
                way,
                on_segment=lambda index, name, progress: None,
                on_frame=lambda image, time: None,
                cancelled=cancelled,
            ),
            self._robot.gripper.max_width,
        )

    def _call(
        self, client: Any, request: Any, peer: str, timeout: float, cancelled: Cancelled
    ) -> Any:
        self._wait_for_peer(peer, cancelled)
        return call_service(
            client,
            request,
            timeout=timeout,
            server_timeout=self._timeouts.server,
            cancelled=cancelled,
            watch=self._watches[peer],
        )

    def _act(
        self,
        client: ActionClient,
        goal: Any,
        peer: str,
        timeout: float,
        cancelled: Cancelled,
        on_feedback: Any,
    ) -> Any:
        self._wait_for_peer(peer, cancelled)
        return call_action(
            client,
            goal,
            timeout=timeout,
            server_timeout=self._timeouts.server,
            cancelled=cancelled,
            on_feedback=on_feedback,
            watch=self._watches[peer],
        )

    def _wait_for_peer(self, peer: str, cancelled: Cancelled) -> None:
        """Wait for the heartbeat of a node that has only just been discovered.

        Raises:
            PeerLostError: it is not there.
            CancelledError: as it says.
        """
        deadline = time.monotonic() + self._timeouts.server
        while not self._watches[peer].wait(POLL):
            if cancelled():
                raise CancelledError(f'cancelled while waiting for {peer}')
            if time.monotonic() > deadline:
                raise PeerLostError(f'{peer} is not there (waited {self._timeouts.server:g} s)')
