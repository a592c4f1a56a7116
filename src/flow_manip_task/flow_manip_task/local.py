# SPDX-License-Identifier: Apache-2.0
"""The whole way in one process, without ROS: the libraries and a stepped simulator.

    cell = LocalCell.build()
    cell.reset(seed=3, scene='red_cube,white_plate+3')
    result = cell.run(ManipulateRequest('put the red cube on the plate'))

Nothing waits for a clock, so a goal takes as long as it is computed, and a seed repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_control.execution import PlanExecutor
from flow_manip_control.monitoring import MonitorConfig, ObjectMonitor
from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.config import from_mapping
from flow_manip_core.errors import CancelledError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import ExecutionOutcome, Plan
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import invert_transform
from flow_manip_mujoco.arm import CellArm, CellGripper
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.disturbances import Disturbance
from flow_manip_mujoco.object_tracker import SimulatedTracker, TrackerConfig
from flow_manip_perception.segmentation import SEGMENTERS
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_task.listener import Listener
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.policy import ManipulationConfig
from flow_manip_task.record import RunRecord
from flow_manip_task.recovery import recover
from flow_manip_task.stages import (
    Cancelled,
    ManipulateRequest,
    ManipulationResult,
    OnDropped,
    OnFrame,
    OnSegment,
    Progress,
    Ranking,
    Stages,
)
from flow_manip_world_model.flow import create_flow_generator
from flow_manip_world_model.selection import SELECTORS

FRAME_RATE = 15.0  # [Hz] of simulated time
ORACLE = TrackerConfig()  # tracks the truth


def never() -> bool:
    """Say that nobody cancels."""
    return False


class LocalStages:
    """The backends of a pipeline and the robot of a simulated cell as stages.

    Attributes:
        tracking: how the object is tracked while it is moved: the simulator's truth, made worse
            as this says; None follows the flow without looking (open loop).
        monitor: bounds of the deviation from the flow.
        watched: names of the bodies that are tracked, the moved one first, then those that the
            goal refers to; None: those that the masks of the goal show. Setting it starts to track
            them from where they are.
        disturbance: what goes wrong on purpose during the next plan; None: nothing.
        last_monitor: of the last plan, None before.
    """

    def __init__(
        self,
        parameters: Mapping[str, Mapping[str, Any]],
        context: Context,
        cell: SimulatedCell,
        *,
        film: bool = False,
        tracking: TrackerConfig | None = ORACLE,
    ) -> None:
        """Build the backends.

        Args:
            parameters: by node, as `pipeline_parameters` gives them.
            context: robot and rig.
            cell: where the robot and the objects are.
            film: draw frames during execution; costs about as much time as the physics.
            tracking: of the moved object; None follows the flow open loop.

        Raises:
            BackendError, ConfigurationError: a backend or its parameters are wrong.
        """
        world_model, planning = parameters['world_model_node'], parameters['planning_node']
        self._cell, self._context, self._film = cell, context, film
        self._segmenter = create_backend(SEGMENTERS, parameters['segmentation_node'], context)
        # What exists in simulation only reads the state of the cell.
        simulated = replace(context, simulation=lambda: cell.state())
        self._generator = create_flow_generator(world_model, simulated)
        self._selector = create_backend(SELECTORS, world_model['selection'], context)
        proposer = create_backend(GRASP_PROPOSERS, planning['grasp'], context)
        self._planner = create_flow_planner(planning, context, proposer)
        self._arm = CellArm(cell)
        self._executor = PlanExecutor(
            self._arm, CellGripper(cell), context, clock=lambda: cell.time
        )
        self.tracking, self.monitor = tracking, MonitorConfig()
        self.disturbance: Disturbance | None = None
        self.last_monitor: ObjectMonitor | None = None
        self._watched: tuple[str, ...] | None = None
        self._seen: tuple[str | None, ...] = ()
        self._moved: SimulatedTracker | None = None
        self._moved_from: NDArray[np.float64] | None = None

    @property
    def stages(self) -> Stages:
        """The stages for `Manipulation`."""
        return Stages(
            observe=self.observe,
            segment=self.segment,
            imagine=self.imagine,
            select=self.select,
            plan=self.plan,
            execute=self.execute,
            recover=self.recover,
            track=self.track,
        )

    def observe(self, *, cancelled: Cancelled) -> Observation:
        """Draw what the cell's camera sees now."""
        _stop_if(cancelled, 'observing')
        return self._cell.observe()

    def segment(self, observation: Observation, phrase: str, *, cancelled: Cancelled) -> Mask:
        """Find one object by words."""
        _stop_if(cancelled, 'segmenting')
        return self._segmenter.segment(observation, phrase)

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
        """Let the generator imagine the object's motion."""
        seen: tuple[str | None, ...] = ()
        if self.tracking is not None and self.watched is None:
            seen = tuple(self._cell.body_under(mask) for mask in masks)
        self._track(self.watched or seen)
        return self._generator.generate(
            observation,
            instruction,
            masks,
            goal_image=goal_image,
            seed=seed,
            on_dropped=lambda number, error: on_dropped(f'{error.code} {error.name}: {error}'),
            on_progress=on_progress,
            cancelled=cancelled,
        )

    def select(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
        *,
        cancelled: Cancelled,
    ) -> Ranking:
        """Rank candidates."""
        _stop_if(cancelled, 'selecting')
        return self._selector.rank(observation, instruction, mask, candidates)

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
        """Plan the robot's motion."""
        return self._planner.plan(
            observation, mask, flow, seed=seed, on_stage=on_stage, cancelled=cancelled
        )

    def execute(
        self, plan: Plan, *, on_segment: OnSegment, on_frame: OnFrame, cancelled: Cancelled
    ) -> ExecutionOutcome:
        """Step the cell through the plan, watched as `tracking` says."""

        def begin_segment(index: int, name: str, progress: float) -> None:
            on_segment(index, name, progress)
            moves = index < len(plan.segments) and plan.segments[index].trajectory
            if self.disturbance is not None and moves:
                self.disturbance.begin_segment(plan.segments[index].holding, moves.duration)

        self.last_monitor = self._new_monitor()
        self._cell.record_frames(on_frame if self._film else None, FRAME_RATE)
        try:
            return self._executor.execute(
                plan, on_segment=begin_segment, cancelled=cancelled, monitor=self.last_monitor
            )
        finally:
            self._cell.record_frames(None)
            if self.disturbance is not None:
                self.disturbance.end()

    def recover(self, plan: Plan, segment: int, *, cancelled: Cancelled) -> None:
        """Open the hand and take the arm out of the scene."""
        recover(
            plan,
            segment,
            self._arm.joint_positions,
            lambda way: self._executor.execute(way, cancelled=cancelled),
            self._context.robot.gripper.max_width,
        )

    def track(self) -> NDArray[np.float64] | None:
        """Return (4, 4) how the object has moved since its flow was imagined, None if unknown."""
        if self._moved is None or self._moved_from is None:
            return None
        tracked = self._moved.pose(self._cell.time)
        return None if tracked is None else tracked.pose @ invert_transform(self._moved_from)

    @property
    def watched(self) -> tuple[str, ...] | None:
        """Names of the bodies that are tracked, see the class."""
        return self._watched

    @watched.setter
    def watched(self, bodies: tuple[str, ...] | None) -> None:
        self._watched = bodies
        self._track(bodies or ())

    def _track(self, bodies: tuple[str | None, ...]) -> None:
        """Track bodies from where they are now, the moved one first, where that is wanted."""
        self._seen, self._moved, self._moved_from = bodies, None, None
        if self.tracking is not None and bodies and bodies[0] is not None:
            self._moved = SimulatedTracker(self._cell, bodies[0], self.tracking)
            tracked = self._moved.pose(self._cell.time)
            self._moved_from = None if tracked is None else tracked.pose

    def _new_monitor(self) -> ObjectMonitor | None:
        """Watch the moved body and what the goal refers to; None where that is not wanted."""
        if self._moved is None:
            return None
        others = {body for body in self._seen if body} - {self._moved.body}
        return ObjectMonitor(
            self._moved,
            lambda: self._cell.time,
            self.monitor,
            references={
                body: SimulatedTracker(self._cell, body, self.tracking) for body in sorted(others)
            },
        )


def _stop_if(cancelled: Cancelled, doing: str) -> None:
    if cancelled():
        raise CancelledError(f'cancelled before {doing}')


@dataclass
class LocalCell:
    """A simulated cell with a pipeline that works in it.

    Attributes:
        cell: the simulator; read success from its state.
        stages: of the pipeline.
        config: of the state machine.
        about: facts for the records.
        record_folder: where records go; None keeps none.
    """

    cell: SimulatedCell
    stages: LocalStages
    config: ManipulationConfig
    about: Mapping[str, str] = field(default_factory=dict)
    record_folder: Path | None = None

    def __post_init__(self) -> None:
        """Make the state machine."""
        self._manipulation = self._new_manipulation()

    @classmethod
    def build(
        cls,
        pipeline: str = 'default',
        robot: str = 'franka',
        rig: str = 'tabletop',
        record_folder: Path | str | None = None,
    ) -> LocalCell:
        """Build everything from config/, as the launch file does for the nodes.

        Raises:
            UnknownPipelineError, BackendError, ConfigurationError: as they say.
        """
        parameters = pipeline_parameters(pipeline, robot)
        context = Context(load_robot(robot), load_rig(rig))
        cell = SimulatedCell(context)
        film = record_folder is not None
        return cls(
            cell=cell,
            stages=LocalStages(parameters, context, cell, film=film),
            config=task_config(parameters.get('task_node', {}), pipeline),
            about={'pipeline': pipeline, 'robot': robot, 'rig': rig},
            record_folder=None if record_folder is None else Path(record_folder),
        )

    def reset(self, seed: int = 0, scene: Any = 'tabletop') -> None:
        """Set the table anew; what an earlier goal left the arm in is gone with it."""
        self.cell.reset(seed, scene)
        self._manipulation = self._new_manipulation()

    def run(
        self,
        request: ManipulateRequest,
        *,
        cancelled: Cancelled = never,
        listener: Listener | None = None,
    ) -> ManipulationResult:
        """Do what the request says in the cell as it is."""
        return self._manipulation.run(request, cancelled=cancelled, listener=listener)

    def close(self) -> None:
        """Free the renderer."""
        self.cell.close()

    def _new_manipulation(self) -> Manipulation:
        folder = self.record_folder
        open_record = (lambda r: RunRecord(folder, r, about=self.about)) if folder else None
        return Manipulation(self.stages.stages, self.config, open_record=open_record)


def task_config(parameters: Mapping[str, Any], pipeline: str) -> ManipulationConfig:
    """Return the state machine's configuration from the parameters of task_node.

    The node's own parameters (time-outs, topics, where records go) mean nothing here.
    """
    known = {f.name for f in fields(ManipulationConfig)}
    values = {name: value for name, value in parameters.items() if name in known}
    return from_mapping(ManipulationConfig, values | {'pipeline': pipeline}, 'task_node')
