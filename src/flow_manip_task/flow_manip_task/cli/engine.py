# SPDX-License-Identifier: Apache-2.0
"""`flow_manip dataset engine`: raw video to samples of 3D flow."""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Quick to start: the engine is only loaded when it runs.
    from flow_manip_learning.engine import EngineConfig, Progress

EXAMPLE = "flow_manip dataset engine clips/ --out flows --seconds 4 --licence 'CC-BY-4.0'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dataset engine` takes."""
    parser.epilog = f'example: {EXAMPLE}'
    parser.add_argument(
        'inputs',
        type=Path,
        nargs='+',
        metavar='INPUT',
        help='video file, pictures, RGB-D folder, .mcap, LeRobot v3 dataset, folder of those',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='FOLDER')
    parser.add_argument('--licence', required=True, metavar='WORDS', help='of the images')
    parser.add_argument(
        '--start', type=float, default=0.0, metavar='S', help='where to begin in every video'
    )
    parser.add_argument(
        '--seconds', type=float, default=0.0, metavar='S', help='longer videos are cut; 0: never'
    )
    parser.add_argument('--rate', type=float, default=5.0, metavar='HZ', help='of pictures')
    parser.add_argument('--instruction', default='', metavar='WORDS', help='where none is said')
    parser.add_argument('--camera', default='', metavar='NAME', help='of a LeRobot dataset')
    parser.add_argument('--max-clips', type=int, default=0, metavar='N', help='0: all')
    parser.add_argument(
        '--gripper',
        choices=('motion', 'file', 'segmenter', 'none'),
        default='motion',
        help="how the gripper is found; file: <clip>.gripper.png, a folder's gripper.png",
    )
    parser.add_argument('--tracker', default='lucas_kanade', metavar='BACKEND')
    parser.add_argument(
        '--depth', default='plane', metavar='BACKEND', help='of clips without depth; plane: none'
    )
    parser.add_argument('--fov', type=float, default=55.0, metavar='DEG', help='of video files')
    parser.add_argument('--distance', type=float, default=1.0, metavar='M', help='of the object')
    parser.add_argument(
        '--config', type=Path, metavar='YAML', help='of EngineConfig; it counts before the flags'
    )
    parser.add_argument('--processes', type=int, default=1, metavar='N')
    parser.add_argument('--ray', default='', metavar='ADDRESS', help='of a Ray cluster')
    parser.add_argument('--robot', default='franka')
    parser.add_argument('--rig', default='tabletop')
    parser.set_defaults(run=run_engine_command)


def run_engine_command(options: argparse.Namespace) -> int:
    """Run the engine, and say what came of it.

    Raises:
        FlowManipError: as `run_engine` and `find_sources` say.
    """
    from flow_manip_learning.engine import (
        find_sources,
        InputOptions,
        REASONS,
        run_engine,
        WorkerPlan,
    )

    inputs = InputOptions(
        start=options.start,
        seconds=options.seconds,
        rate=options.rate,
        instruction=options.instruction,
        camera=options.camera,
        max_clips=options.max_clips,
    )
    sources = find_sources(options.inputs, inputs)
    plan = WorkerPlan(_config(options), options.robot, options.rig, options.licence)
    report = run_engine(
        sources,
        options.out,
        plan,
        workers=options.processes,
        ray_address=options.ray,
        command=_command(options),
        on_progress=_show,
    )
    for outcome, count in report.outcomes.items():
        print(f'{count:6d} {outcome:20} {REASONS.get(outcome, "3D flow of one thing")}')
    done = len(sources) - report.skipped
    print(
        f'{done} clips in {report.seconds:.1f} s ({report.rate:.2f}/s), {report.skipped} done '
        f'before; in {report.folder}: dataset, sheets, journal.jsonl'
    )
    return 0


def _config(options: argparse.Namespace) -> EngineConfig:
    """Return the engine's parameters, from the flags and what a file says otherwise."""
    from flow_manip_core.config import from_mapping, load_yaml
    from flow_manip_learning.engine import EngineConfig

    values: dict[str, object] = {
        'gripper': {'source': options.gripper},
        'tracker': options.tracker,
        'depth': options.depth,
        'fov_degrees': options.fov,
        'distance': options.distance,
    }
    if options.config is not None:
        values |= load_yaml(options.config)
    return from_mapping(EngineConfig, values, where=str(options.config or 'flags'))


def _command(options: argparse.Namespace) -> str:
    """Return the command as it should stand on the card: inputs by name, without their folders."""
    words = ['flow_manip dataset engine', *(shlex.quote(path.name) for path in options.inputs)]
    words += ['--seconds', f'{options.seconds:g}', '--start', f'{options.start:g}']
    words += ['--gripper', options.gripper, '--tracker', options.tracker]
    words += ['--depth', options.depth, '--licence', shlex.quote(options.licence)]
    return ' '.join(words)


def _show(progress: Progress) -> None:
    """Say what came of the newest clip, and how long the rest may take."""
    left = (progress.total - progress.done) / max(progress.rate, 1e-9)
    print(
        f'{progress.done}/{progress.total} clips, {progress.samples} samples, '
        f'{progress.rate:.2f}/s, {left / 60:.1f} min left; '
        f'{progress.last.key}: {progress.last.summary}',
        file=sys.stderr,
        flush=True,
    )
