# SPDX-License-Identifier: Apache-2.0
"""The main job: an instruction in, the robot's motion out.

Success over seeded trials in one process, read from the simulator; then the whole stack over ROS:
time to start, from goal to plan, and how the simulation with its camera keeps up with the clock.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
import threading
import time
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from rows import row
from sensor_msgs.msg import Image

from flow_manip_task.evaluation import run_trials, summarize, table, TrialOutcome
from flow_manip_task.ros.bringup import Bringup

ROOT = Path(__file__).resolve().parents[2]
TRIALS, SEED = 50, 0
GOALS = 9
INSTRUCTIONS = (
    'put the red cube on the plate',
    'put the blue cube in the bowl',
    'lift the red cube',
)
WATCHED = 15.0  # [s]


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return [*trial_rows(), *ros_rows(), set_up_row()]


def trial_rows() -> list[dict[str, Any]]:
    """Success and seconds per stage of trials in one process."""

    def on_trial(outcome: TrialOutcome) -> None:
        ending = 'ok' if outcome.success else f'failed ({outcome.failure}) {outcome.message}'
        print(f'  {outcome.seed:3} {outcome.instruction}: {ending}', flush=True)

    summary = summarize(
        run_trials(TRIALS, seed=SEED, on_trial=on_trial),
        task='put',
        pipeline='default',
        robot='franka',
    )
    print(table(summary), flush=True)
    if summary.plan_ready_seconds is None:
        raise RuntimeError('no trial came as far as a plan')
    common = {'n': TRIALS, 'seed': SEED}
    interval = {'wilson_low': summary.wilson_low, 'wilson_high': summary.wilson_high}
    rate = summary.successes / summary.n
    rows = [
        row('success', rate, '', limit=0.9, failures=summary.failures, **interval, **common),
        row('plan_ready_in_process', summary.plan_ready_seconds, 's', limit=5.0, **common),
    ]
    for stage, seconds in summary.seconds.items():
        rows.append(row(f'seconds_{stage.lower()}', seconds, 's', **common))
    return rows


def ros_rows() -> list[dict[str, Any]]:
    """Start-up, goal to plan, and the pace of the simulation, all nodes running."""
    begun = time.monotonic()
    with Bringup() as bringup:
        rows = [row('bring_up', time.monotonic() - begun, 's', n=1, limit=15.0)]
        rows += pace_rows(int(os.environ['ROS_DOMAIN_ID']))
        ready = []
        for index in range(GOALS):
            instruction = INSTRUCTIONS[index % len(INSTRUCTIONS)]
            result = bringup.run(instruction, seed=SEED + index, dry_run=True)
            if not result.succeeded:
                raise RuntimeError(f"'{instruction}' failed: {result.name} {result.message}")
            ready.append(sum(result.seconds.values()))
        common = {'n': GOALS, 'seed': SEED, 'worst': max(ready)}
        rows.append(row('plan_ready', median(ready), 's', limit=5.0, **common))
    return rows


def pace_rows(domain: int) -> list[dict[str, Any]]:
    """Simulated over wall time, and images per second, while nobody asks for anything."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node('pace', context=context)
    clock: list[tuple[float, float]] = []
    images: list[float] = []

    def on_clock(message: Clock) -> None:
        clock.append((time.monotonic(), message.clock.sec + message.clock.nanosec * 1e-9))

    def on_image(message: Image) -> None:
        images.append(time.monotonic())

    qos = qos_profile_sensor_data
    node.create_subscription(Clock, '/clock', on_clock, qos)
    node.create_subscription(Image, '/cameras/scene/color/image_raw', on_image, qos)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    done = threading.Event()
    threading.Timer(WATCHED, done.set).start()
    while not done.is_set():
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
    wall, simulated = clock[-1][0] - clock[0][0], clock[-1][1] - clock[0][1]
    rate = (len(images) - 1) / (images[-1] - images[0])
    peer = {'peer': 'wall clock', 'peer_value': 1.0, 'limit': 1.0}
    return [
        row('simulated_over_real', simulated / wall, '', n=len(clock), **peer),
        row('camera_rate', rate, 'Hz', n=len(images), limit=15.0),
    ]


def set_up_row() -> dict[str, Any]:
    """What set-up leaves on disk."""
    size = 0
    for name in ('.venv', 'build', 'install'):
        for path in (ROOT / name).rglob('*'):
            if path.is_file() and not path.is_symlink():
                size += path.stat().st_blocks * 512
    return row('set_up_size', size / 1e9, 'GB', n=1, limit=4.0)
