# SPDX-License-Identifier: Apache-2.0
"""One bring-up, started as a user starts it, shared by the tests of this folder."""

from collections.abc import Iterator
import os
from pathlib import Path
import shutil
import signal
import subprocess
import time

from domain_coordinator import domain_id
import pytest

from flow_manip_ros.testing import rotate


class Bringup:
    """`ros2 launch flow_manip bringup.launch.py` in a domain of its own."""

    def __init__(self, domain: int, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': str(folder / 'log'),
            'OMP_NUM_THREADS': '1',
        }
        self.log = folder / 'bringup.txt'
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [shutil.which('ros2'), 'launch', 'flow_manip', 'bringup.launch.py', *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=self.environment,
                start_new_session=True,
            )

    def run(self, *command: str, timeout: float = 120.0) -> subprocess.CompletedProcess:
        """Run a command in the shell of the bring-up's user and return what it printed."""
        return subprocess.run(
            [shutil.which(command[0]), *command[1:]],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=timeout,
            check=False,
        )

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, f"'{text}' did not come:\n{self.text()}"
            time.sleep(0.05)

    def stop(self, timeout: float = 30.0) -> int:
        """Press Ctrl-C and return the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


@pytest.fixture(scope='session')
def bringup(tmp_path_factory) -> Iterator[Bringup]:
    with domain_id(rotate) as domain:
        running = Bringup(domain, tmp_path_factory.mktemp('bringup'))
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def start_bringup(tmp_path):
    with domain_id(rotate) as domain:
        started = []

        def start(*arguments: str) -> Bringup:
            started.append(Bringup(domain, tmp_path, *arguments))
            return started[-1]

        yield start
        for running in started:
            running.stop()
