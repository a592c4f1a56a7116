# SPDX-License-Identifier: Apache-2.0
"""How long a video of 41 frames takes to become flow: CPU defaults, seconds per stage.

Good dreams of the simulated generator at 640 x 480, depth with an unknown scale and shift, the
default tracker and lifter. The clock starts when the video exists. Medians of `DREAMS` dreams of
different tasks, after one that warms up; other numbers: ``--dreams 3 --seed 100``.
"""

from __future__ import annotations

import argparse
from statistics import median
import time
from typing import Any

from rows import row

from flow_manip_core.errors import FlowManipError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks import TASKS
from flow_manip_mujoco.video import SimulatedVideo
from flow_manip_perception.video_to_flow import create_video_lifter

DREAMS, SEED, GOAL = 10, 0, 3.0  # [s]
PARAMETERS = {
    'depth': {'backend': 'sensor', 'sensor': {'kind': 'relative'}},
    'tracking': {'backend': 'lucas_kanade'},
}


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return measure(DREAMS, SEED)


def measure(count: int, first_seed: int) -> list[dict[str, Any]]:
    """Lift dreams of tasks in turn."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    cell = SimulatedCell(context)
    told = Context(context.robot, context.rig, simulation=cell.state)
    generator = SimulatedVideo(SimulatedVideo.Config(good_rate=1.0), told)
    lifter = create_video_lifter(PARAMETERS, context)
    tasks = list(TASKS.values())
    totals: list[float] = []
    processor: list[float] = []
    stages: dict[str, list[float]] = {}
    refused: list[str] = []
    for index in range(count + 1):
        task, seed = tasks[index % len(tasks)], first_seed + index
        trial = task.make_trial(seed)
        trial.reset(cell)
        step = trial.steps[0]
        observation, mask = cell.observe(noise=True), cell.true_mask(step.body)
        (video,) = generator.generate(observation, step.instruction, seed=seed)
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            lifted = lifter.lift(video, observation, mask)
        except FlowManipError as error:
            refused.append(f'{task.name} {seed}: {error.name} {error}')
            print(f'  {refused[-1]}', flush=True)
            continue
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        if not index:
            continue  # libraries are loaded, caches are filled
        totals.append(took)
        processor.append(cpu)
        for stage, seconds in lifted.seconds.items():
            stages.setdefault(stage, []).append(seconds)
        print(
            f'  {task.name:<28}{took:6.2f} s ({cpu:.2f} s of processor), '
            f'{lifted.flow.num_points} points',
            flush=True,
        )
    common = {'n': len(totals), 'seed': first_seed, 'refused': refused}
    rows = [row('video_to_flow', median(totals), 's', limit=GOAL, worst=max(totals), **common)]
    rows += [
        row(f'seconds_{stage.replace("-", "_")}', median(values), 's', worst=max(values), **common)
        for stage, values in stages.items()
    ]
    rows.append(row('processor_seconds', median(processor), 's', worst=max(processor), **common))
    rows.append(row('refused', float(len(refused)), '', **common))
    return rows


def main() -> None:
    """Run with other sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--dreams', type=int, default=DREAMS)
    parser.add_argument('--seed', type=int, default=SEED)
    given = parser.parse_args()
    for entry in measure(given.dreams, given.seed):
        worst = f', worst {entry["worst"]:.2f}' if 'worst' in entry else ''
        print(f'{entry["name"]:<28}{entry["value"]:8.3f} {entry["unit"]}{worst}')


if __name__ == '__main__':
    main()
