# SPDX-License-Identifier: Apache-2.0
"""The bring-up as a child process: started, waited for, stopped with all its nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Any

from flow_manip_core.errors import BackendError, PeerLostError
from flow_manip_task.ros.client import FlowManipulator
from flow_manip_task.stages import ManipulationResult

ACTIONS = (
    'panda_arm_controller/follow_joint_trajectory',
    'panda_hand_controller/gripper_cmd',
    'generate_flow',
    'plan_from_flow',
    'execute_plan',
    'manipulate',
)
SERVERS = ('segment', 'rank_flows', *(f'{action}/_action/send_goal' for action in ACTIONS))
START_TIMEOUT = 90.0  # [s] on a cold and busy machine
STOP_TIMEOUT = 15.0  # [s] for every node to end by itself
TAIL = 30  # lines of the nodes' output that a failure shows


class Bringup:
    """`ros2 launch flow_manip bringup.launch.py` for as long as a context lasts."""

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        verbose: bool = False,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Prepare; entering the context starts.

        Args:
            arguments: of the launch file, e.g. 'seed:=3'.
            verbose: show what the nodes print.
            note: told what happens.
        """
        self._arguments, self._verbose, self._note = list(arguments), verbose, note
        self._process: subprocess.Popen[str] | None = None
        self._client: FlowManipulator | None = None
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Bringup:
        """Start it and wait until every node is there.

        Raises:
            BackendError: there is no `ros2`.
            PeerLostError: it ended, or a node did not come up in time.
        """
        try:
            self._start()
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        self._stop()

    def run(self, instruction: str, **options: Any) -> ManipulationResult:
        """Run one goal, with the options of `FlowManipulator.run`."""
        assert self._client is not None
        return self._client.run(instruction, **options)

    def wait(self) -> None:
        """Wait until the bring-up ends or Ctrl-C."""
        if self._process is not None:
            self._process.wait()

    def _start(self) -> None:
        ros2 = shutil.which('ros2')
        if ros2 is None:
            raise BackendError("no command 'ros2' here; run 'source env.sh' first")
        # Other ROS systems on this machine or network are none of a demo's business.
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        os.environ.setdefault('ROS_DOMAIN_ID', str(1 + secrets.randbelow(100)))
        command = [ros2, 'launch', 'flow_manip', 'bringup.launch.py', *self._arguments]
        self._note(f'starting: ros2 {" ".join(command[1:])}')
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._tail.append(line.rstrip())
            if self._verbose:
                print(line, end='', file=sys.stderr)

    def _wait_until_ready(self) -> None:
        begun = time.monotonic()
        self._client = FlowManipulator()
        missing = self._client.missing(SERVERS)
        while missing:
            if self._process is None or self._process.poll() is not None:
                self._fail('the bring-up ended while starting')
            if time.monotonic() - begun > START_TIMEOUT:
                self._fail(f'not up after {START_TIMEOUT:.0f} s: no {", ".join(missing)}')
            time.sleep(0.1)
            missing = self._client.missing(SERVERS)
        self._client.wait_until_ready(10.0)
        self._note(f'ready after {time.monotonic() - begun:.1f} s')

    def _fail(self, text: str) -> None:
        lines = '\n'.join(self._tail)
        raise PeerLostError(f'{text}; its last words:\n{lines}')

    def _stop(self) -> None:
        """Interrupt the launch, which stops its nodes; be harder where that does not help."""
        if self._client is not None:
            self._client.close()
            self._client = None
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                break
            if number == signal.SIGINT:
                # The launch hands it to its children itself.
                process.send_signal(number)
            else:
                _signal_group(process.pid, number)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                continue
        if self._reader is not None:
            self._reader.join(timeout=2.0)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
