# SPDX-License-Identifier: Apache-2.0
"""Running tasks from Python.

Five lines::

from flow_manip_task.ros.client import FlowManipulator

with FlowManipulator() as robot:
    result = robot.run('put the red cube on the plate')
    print(result.sentence, result.record_path)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import threading
import time
from types import TracebackType
from typing import Any

from flow_manip_msgs.action import Manipulate
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Header

from flow_manip_core.errors import (
    error_classes,
    FailureStage,
    PeerLostError,
    RejectedError,
    Stage,
    StageTimeoutError,
)
from flow_manip_ros.calls import ActionClient
from flow_manip_ros.conversions import image_from_array
from flow_manip_ros.watchdog import PeerWatch
from flow_manip_task.stages import ManipulateRequest, ManipulationResult

POLL = 0.02  # [s]
# Nothing moves by this client's word alone, so a busy machine may miss a few leases.
SILENCE = 2.0  # [s]
HINT = "start it with 'ros2 launch flow_manip bringup.launch.py'"


@dataclass(frozen=True)
class Feedback:
    """How a goal gets on.

    Attributes:
        stage: that runs.
        progress: of the stage, 0..1.
        attempt: from 1.
        seconds: since the goal was accepted [s].
        text: what happens, in words.
    """

    stage: Stage
    progress: float
    attempt: int
    seconds: float
    text: str


OnFeedback = Callable[[Feedback], None]


class FlowManipulator:
    """A client of the `manipulate` action that needs no knowledge of ROS.

    Methods may be called from any one thread at a time; `cancel` from every thread.
    """

    def __init__(self, namespace: str = '', *, domain_id: int | None = None) -> None:
        """Join the ROS world.

        Args:
            namespace: of the bring-up.
            domain_id: ROS domain; ROS_DOMAIN_ID if left out.
        """
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id, args=[])
        self._node = Node(
            'flow_manipulator',
            namespace=namespace,
            context=self._context,
            use_global_arguments=False,
        )
        self._watch = PeerWatch(self._node, 'task_node')
        self._client = ActionClient(self._node, Manipulate, 'manipulate')
        self._handle: Any = None
        self._running = self._cancelled = False
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def __enter__(self) -> FlowManipulator:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the ROS world; a goal that still runs is cancelled."""
        self.close()

    def close(self) -> None:
        """Cancel what runs and give everything back."""
        if self._context.ok():
            self.cancel()
            self._client.destroy()
            rclpy.shutdown(context=self._context)
        self._thread.join(timeout=2.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    def wait_until_ready(self, timeout: float = 5.0) -> None:
        """Wait for the task node.

        Raises:
            PeerLostError: it is not there within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._client.server_is_ready():
            if time.monotonic() > deadline:
                raise PeerLostError(f"action 'manipulate' is not there; {HINT}")
            time.sleep(POLL)

    def missing(self, services: Sequence[str]) -> list[str]:
        """Return which services, or actions with their '/_action/send_goal', nobody serves."""
        known = {name for name, _ in self._node.get_service_names_and_types()}
        return [name for name in services if self._node.resolve_service_name(name) not in known]

    def run(
        self,
        instruction: str,
        *,
        object: str = '',
        goal_image: Any = None,
        seed: int = 0,
        dry_run: bool = False,
        pipeline: str = '',
        timeout: float = 600.0,
        on_feedback: OnFeedback | None = None,
        server_timeout: float = 5.0,
    ) -> ManipulationResult:
        """Do a task and wait for its end; a task that failed is a result, not an exception.

        Args:
            instruction: what to do, in words.
            object: words for the object that moves; empty: read from the instruction.
            goal_image: (H, W, 3) uint8 RGB of the wished end, or None.
            seed: of everything that is drawn by chance.
            dry_run: plan and record, do not move.
            pipeline: the one that is expected to run; empty: whichever does.
            timeout: longest time; then the goal is cancelled [s].
            on_feedback: told how it gets on, from another thread.
            server_timeout: for the task node to be there [s].

        Raises:
            RejectedError: another goal is running.
            PeerLostError: the task node is not there, or died.
            StageTimeoutError: the goal took longer than `timeout`; it has been cancelled.
        """
        self.wait_until_ready(server_timeout)
        request = ManipulateRequest(instruction, object, goal_image, seed, dry_run, pipeline)
        feedback = (lambda m: on_feedback(_feedback(m.feedback))) if on_feedback else None
        begun = time.monotonic()
        self._running, self._cancelled = True, False
        sent = self._client.send_goal_async(_goal(request), feedback_callback=feedback)
        self._handle = self._wait(sent, 5.0, 'the goal to be accepted')
        if not self._handle.accepted:
            self._handle, self._running = None, False
            raise RejectedError('another goal is running, or the task node shuts down')
        ended = self._handle.get_result_async()
        # Feedback may come, and be answered with a cancel, before the acceptance does.
        if self._cancelled:
            self._handle.cancel_goal_async()
        try:
            answer = self._wait(ended, timeout, 'the goal to end')
        except StageTimeoutError:
            self.cancel()
            self._wait(ended, 30.0, 'the cancelled goal to end')
            raise
        except BaseException:
            # Ctrl-C: whoever waits no longer does not want the robot to go on.
            self.cancel()
            raise
        finally:
            self._handle, self._running = None, False
        return _result(answer.result, time.monotonic() - begun)

    def cancel(self) -> bool:
        """Ask the running goal to stop; say whether there was one."""
        if not self._running or not self._context.ok():
            return False
        self._cancelled = True
        if (handle := self._handle) is not None:
            handle.cancel_goal_async()
        return True

    def _wait(self, future: Any, timeout: float, what: str) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        deadline = time.monotonic() + timeout
        last = None
        while not done.wait(POLL):
            if self._watch.alive:
                last = time.monotonic()
            if last is not None and time.monotonic() - last > SILENCE:
                raise PeerLostError(f'task_node fell silent while waiting for {what}')
            if time.monotonic() > deadline:
                raise StageTimeoutError(f'waited {timeout:g} s for {what}')
        return future.result()

    def _spin(self) -> None:
        try:
            while self._context.ok():
                self._executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            return


def _goal(request: ManipulateRequest) -> Any:
    goal = Manipulate.Goal(
        instruction=request.instruction,
        pipeline=request.pipeline,
        object=request.object,
        seed=request.seed % 2**32,
        dry_run=request.dry_run,
    )
    if request.goal_image is not None:
        goal.goal_image = image_from_array(request.goal_image, 'rgb8', Header())
    return goal


def _feedback(message: Any) -> Feedback:
    return Feedback(
        Stage(message.stage), message.progress, message.attempt, message.seconds, message.text
    )


def _result(message: Any, seconds: float) -> ManipulationResult:
    """Turn the action's result into the value that the state machine itself returns."""
    code = int(message.error_code)
    known = error_classes().get(code)
    return ManipulationResult(
        code=code,
        name='NONE' if code == 0 else known.name if known else 'UNKNOWN',
        message=message.error_msg,
        failure=FailureStage(message.failure_stage),
        stage=Stage.DONE if code == 0 else None,
        seconds=dict(zip(message.stage_names, message.stage_seconds)),
        total_seconds=seconds,
        final_error_metres=message.final_error_metres,
        final_error_degrees=message.final_error_degrees,
        record_path=message.record_path,
    )
