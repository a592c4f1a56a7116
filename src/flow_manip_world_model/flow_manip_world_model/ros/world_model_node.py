# SPDX-License-Identifier: Apache-2.0
"""Serves `generate_flow` and `rank_flows`: imagines object flows and chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from flow_manip_msgs.action import GenerateFlow
from flow_manip_msgs.srv import GetSimulationState, RankFlows
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from visualization_msgs.msg import MarkerArray

from flow_manip_core.errors import FlowManipError, InvalidInputError, NoAcceptableFlowError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.robot import Context
from flow_manip_ros import qos
from flow_manip_ros.calls import call_service
from flow_manip_ros.conversions import (
    color_from_image,
    flow_from_msg,
    mask_from_msg,
    msg_from_flow,
    observation_from_msg,
)
from flow_manip_ros.goals import run_service, SingleGoalServer
from flow_manip_ros.markers import flow_markers
from flow_manip_ros.nodes import ManagedNode, run_node
from flow_manip_world_model.flow import (
    create_flow_generator,
    finished_candidates,
    FLOW_GENERATORS,
    FlowGenerator,
    PART_NAMES,
)
from flow_manip_world_model.selection import Ranking, SELECTORS

MAX_MASKS = 16  # an instruction refers to a few things
MAX_CANDIDATES = 256  # to rank; more is a broken client
SIMULATION_STATE = 'simulation_node/get_simulation_state'


class WorldModelNode(ManagedNode):
    """Holds a flow generator and a selection; shows candidates on `world_model/candidates`."""

    def __init__(self, **kwargs: Any) -> None:
        """Name the node; everything else waits for `configure`."""
        super().__init__('world_model_node', **kwargs)
        self._server: SingleGoalServer | None = None
        self._service: Any = None
        self._markers: Any = None
        self._simulation: Any = None
        self._generator: Any = None

    def set_up(self) -> None:
        """Build the backends."""
        context = replace(self.parameters.context(), simulation=self._simulation_state)
        self._generator = self._create_generator(context)
        self._selector = self.parameters.backend(
            SELECTORS, 'geometric', context, prefix='selection.'
        )
        self.parameters.check()

    def _create_generator(self, context: Context) -> FlowGenerator:
        """Build the flow generator and its parts from this node's parameters."""
        doc = f'flow backend: {sorted(FLOW_GENERATORS.paths)} or module:Class'
        name = self.parameters.value('backend', 'rule_based', doc)
        cls: Any = FLOW_GENERATORS.load(name)
        given = {
            block: self.parameters.mapping(f'{block}.')
            for block in (*PART_NAMES, *FLOW_GENERATORS.paths)
            if block != name
        }
        given[name] = asdict(self.parameters.dataclass(cls.Config, f'{name}.'))
        return create_flow_generator({'backend': name, **given}, context)

    def _simulation_state(self) -> str:
        """Ask the simulator for the state of its cell, for what exists in simulation only."""
        if self._simulation is None:
            self._simulation = self.create_client(
                GetSimulationState, SIMULATION_STATE, callback_group=ReentrantCallbackGroup()
            )
        return call_service(self._simulation, GetSimulationState.Request()).state

    def start(self) -> None:
        """Offer the action and the service."""
        self._markers = self.create_publisher(MarkerArray, 'world_model/candidates', qos.LATCHED)
        self._server = SingleGoalServer(self, GenerateFlow, 'generate_flow', self._generate)
        self._service = self.create_service(
            RankFlows, 'rank_flows', self._rank, callback_group=ReentrantCallbackGroup()
        )

    def stop(self) -> None:
        """Stop the running goal and offer nothing more."""
        if self._server is not None:
            self._server.destroy()
            self.destroy_service(self._service)
            self.destroy_publisher(self._markers)
            self._server = self._service = self._markers = None

    def tear_down(self) -> None:
        """End the processes that a generator keeps."""
        close = getattr(self._generator, 'close', None)
        if close is not None:
            close()

    def destroy_node(self) -> None:
        """Stop first: a goal may be running."""
        self.stop()
        self.tear_down()
        super().destroy_node()

    def _generate(
        self,
        goal_handle: ServerGoalHandle,
        result: GenerateFlow.Result,
        cancelled: Callable[[], bool],
    ) -> None:
        """Convert in, imagine, convert out."""
        request = goal_handle.request
        if not 1 <= len(request.masks) <= MAX_MASKS:
            raise InvalidInputError(f'{len(request.masks)} masks, expected 1..{MAX_MASKS}')
        has_goal = len(request.goal_image.data) > 0

        finished = 0

        def report(stage: str, progress: float) -> None:
            nonlocal finished
            finished = max(finished, finished_candidates(stage))
            goal_handle.publish_feedback(
                GenerateFlow.Feedback(candidate=finished, stage=stage, progress=float(progress))
            )

        def drop(number: int, error: FlowManipError) -> None:
            text = f'{error.code} {error.name}: {error}'
            self.get_logger().info(f'candidate {number + 1} dropped: {text}')
            result.dropped = [*result.dropped, text]

        flows = self._generator.generate(
            observation_from_msg(request.observation),
            request.instruction,
            [mask_from_msg(mask) for mask in request.masks],
            goal_image=color_from_image(request.goal_image) if has_goal else None,
            num_candidates=request.num_candidates,
            seed=request.seed,
            on_dropped=drop,
            on_progress=report,
            cancelled=cancelled,
        )
        self.get_logger().info(
            f"'{request.instruction}': {len(flows)} candidates, {len(result.dropped)} dropped"
        )
        result.candidates = [msg_from_flow(flow) for flow in flows]
        self._show(flows, [f'{number}' for number in range(1, len(flows) + 1)])

    def _rank(self, request: RankFlows.Request, response: RankFlows.Response) -> Any:
        """Convert in, rank, convert out."""

        def work() -> None:
            if len(request.candidates) > MAX_CANDIDATES:
                raise InvalidInputError(
                    f'{len(request.candidates)} candidates, limit {MAX_CANDIDATES}'
                )
            flows = [flow_from_msg(message) for message in request.candidates]
            try:
                ranking = self._selector.rank(
                    observation_from_msg(request.observation),
                    request.instruction,
                    mask_from_msg(request.mask),
                    flows,
                )
            except NoAcceptableFlowError:
                self._show(flows, ['vetoed'] * len(flows))
                raise
            response.scores = [float(score) for score in ranking.scores]
            response.vetoes = list(ranking.vetoes)
            response.order = list(ranking.order)
            response.note = ranking.note
            if ranking.note:
                self.get_logger().warning(ranking.note)
            self._show(flows, captions(ranking))

        return run_service(response, work, self.get_logger())

    def _show(self, flows: Sequence[ObjectFlow], texts: Sequence[str]) -> None:
        """Publish the flows as lines with texts at their ends."""
        if self._markers is not None:
            self._markers.publish(flow_markers(flows, texts, 'candidates'))


def captions(ranking: Ranking) -> list[str]:
    """Say of every candidate its rank and score, or why it was vetoed."""
    ranks = {index: rank for rank, index in enumerate(ranking.order, start=1)}
    return [
        f'#{ranks[index]}: {score:.2f}' if index in ranks else f'vetoed: {veto}'
        for index, (score, veto) in enumerate(zip(ranking.scores, ranking.vetoes))
    ]


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run_node(WorldModelNode, args)
