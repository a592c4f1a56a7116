# SPDX-License-Identifier: Apache-2.0
"""Stages that do what a test tells them, on the ray-cast scene."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import task_scene as scene

from flow_manip_core.errors import CancelledError
from flow_manip_core.plan import ExecutionOutcome
from flow_manip_task.listener import Listener
from flow_manip_task.stages import Stages


@dataclass(frozen=True)
class FakeRanking:
    scores: tuple[float, ...]
    vetoes: tuple[str, ...]
    order: tuple[int, ...]
    note: str = ''


@dataclass
class FakeWorld:
    """A scene in which executing a plan moves the red cube as planned, unless errors are queued.

    `errors` holds, by stage name, what its next calls raise (None: works). `calls` lists the
    calls in order.
    """

    errors: dict[str, deque[Exception | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    boxes: tuple[scene.Box, ...] = scene.SCENE
    ends_at: Any = None  # (4, 4) motion of the cube by the robot; the planned one if None
    candidates: int = 2
    dropped: tuple[str, ...] = ()
    order: tuple[int, ...] | None = None
    on_call: Callable[[str], None] = lambda name: None
    phrases: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    frames: int = 20
    recovered: list[int] = field(default_factory=list)

    def fail(self, stage: str, *errors: Exception | None) -> FakeWorld:
        self.errors[stage] = deque(errors)
        return self

    def _called(self, name: str, cancelled: Callable[[], bool]) -> None:
        self.calls.append(name)
        self.on_call(name)
        if cancelled():
            raise CancelledError(f'cancelled in {name}')
        queue = self.errors.get(name)
        if queue and (error := queue.popleft()) is not None:
            raise error

    def observe(self, *, cancelled):
        self._called('observe', cancelled)
        return scene.observe(self.boxes)

    def segment(self, observation, phrase, *, cancelled):
        self._called('segment', cancelled)
        self.phrases.append(phrase)
        name = {'plate': 'white plate', 'the plate': 'white plate'}.get(phrase, phrase)
        return scene.mask_of(name, self.boxes)

    def imagine(
        self,
        observation,
        instruction,
        masks,
        *,
        goal_image,
        seed,
        on_progress,
        on_dropped,
        cancelled,
    ):
        self._called('imagine', cancelled)
        self.seeds.append(seed)
        on_progress('sampling', 0.5)
        for text in self.dropped:
            on_dropped(text)
        flow = scene.put_flow()
        return [replace(flow, source=f'candidate {i}') for i in range(self.candidates)]

    def select(self, observation, instruction, mask, candidates, *, cancelled):
        self._called('select', cancelled)
        order = tuple(range(len(candidates))) if self.order is None else self.order
        vetoes = tuple('' if i in order else 'leaves the table' for i in range(len(candidates)))
        return FakeRanking(tuple(0.9 - 0.1 * i for i in range(len(candidates))), vetoes, order)

    def plan(self, observation, mask, flow, *, seed, on_stage, cancelled):
        self._called('plan', cancelled)
        on_stage('solving inverse kinematics', 0.4)
        return scene.put_plan()

    def execute(self, plan, *, on_segment, on_frame, cancelled):
        for index, segment in enumerate(plan.segments):
            on_segment(index, segment.name, index / len(plan.segments))
            self._called(f'execute {segment.name}', cancelled)
        observation = scene.observe(self.boxes)
        for i in range(self.frames):
            on_frame(observation.color, i / 15)
        motion = scene.put_motion()[-1] if self.ends_at is None else self.ends_at
        self.boxes = (self.boxes[0].moved(motion), *self.boxes[1:])
        return ExecutionOutcome(len(plan.segments), 0.08)

    def recover(self, plan, segment, *, cancelled):
        self._called('recover', cancelled)
        self.recovered.append(segment)

    @property
    def stages(self) -> Stages:
        names = ('observe', 'segment', 'imagine', 'select', 'plan', 'execute', 'recover')
        return Stages(**{name: getattr(self, name) for name in names})


class Heard(Listener):
    """Remembers what it was told."""

    def __init__(self):
        self.stages: list[tuple[str, int]] = []
        self.open: list[str] = []
        self.progress: list[tuple[str, float, str]] = []
        self.values: list[str] = []

    def on_stage_begun(self, stage, attempt, text):
        assert not self.open, f'{stage.name} begins within {self.open}'
        self.stages.append((stage.name, attempt))
        self.open.append(stage.name)

    def on_stage(self, stage, attempt, progress, text):
        self.progress.append((stage.name, progress, text))

    def on_value(self, name, attempt, value):
        self.values.append(name)

    def on_stage_ended(self, stage, attempt, seconds, error):
        assert self.open == [stage.name]
        assert seconds >= 0
        self.open.clear()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.stages]
