# SPDX-License-Identifier: Apache-2.0
"""`flow_manip lift`: a clip to the 3D flow of one object, with pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

EXAMPLE = 'flow_manip lift cups.mp4 --object "white cup" --box 410 190 150 160 --out lifted'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `lift` takes."""
    parser.epilog = f'example: {EXAMPLE}'
    parser.add_argument('clip', type=Path, help='video file; or RGB-D folder, bag, recording.yaml')
    parser.add_argument('--object', required=True, metavar='WORDS', help='whose flow is wanted')
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        '--box', type=int, nargs=4, metavar=('X', 'Y', 'W', 'H'), help='around it at first [px]'
    )
    where.add_argument('--mask', type=Path, metavar='PNG', help='not black on it at first')
    where.add_argument('--moving', action='store_true', help='whatever moves, but the hand')
    where.add_argument('--segmenter', default='', metavar='BACKEND', help='finds it by words')
    parser.add_argument(
        '--depth', default='sensor', metavar='BACKEND', help="default: the recording's own"
    )
    parser.add_argument('--tracker', default='', metavar='BACKEND', help="default: the pipeline's")
    parser.add_argument(
        '--camera',
        choices=('auto', 'still', 'given', 'background'),
        default='auto',
        help="whose motion is taken out; auto: the recording's poses, else the background's",
    )
    parser.add_argument('--pipeline', default='novaflow', help='whose parameters count')
    parser.add_argument('--frames', type=int, default=41, metavar='N', help='kept; default: 41')
    parser.add_argument(
        '--start', type=float, default=0.0, metavar='S', help='where to begin in the clip'
    )
    parser.add_argument('--seconds', type=float, metavar='S', help='to lift; default: to the end')
    parser.add_argument(
        '--fov', type=float, default=55.0, metavar='DEG', help="horizontal, of a file's camera"
    )
    parser.add_argument(
        '--distance', type=float, default=1.0, metavar='M', help='of the object, where unmeasured'
    )
    parser.add_argument('--robot', default='franka')
    parser.add_argument('--rig', default='tabletop')
    parser.add_argument('--out', type=Path, default=Path('lifted'), metavar='FOLDER')
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    parser.set_defaults(run=lift)


def lift(options: argparse.Namespace) -> int:
    """Lift, and say what came of it.

    Raises:
        FlowManipError: as `lift_clip` says.
    """
    from flow_manip_core.robot import Context, load_rig, load_robot
    from flow_manip_task.clips import lift_clip, LiftOptions

    report = lift_clip(
        options.clip,
        LiftOptions(
            object=options.object,
            box=None if options.box is None else tuple(options.box),
            mask=options.mask,
            moving=options.moving,
            segmenter=options.segmenter,
            depth=options.depth,
            tracker=options.tracker,
            camera=options.camera,
            pipeline=options.pipeline,
            num_frames=options.frames,
            start=options.start,
            seconds=options.seconds,
            fov_degrees=options.fov,
            distance=options.distance,
        ),
        options.out,
        Context(load_robot(options.robot), load_rig(options.rig)),
        on_progress=_show,
    )
    _show('', 1.0)
    if options.json:
        print(json.dumps(report))
        return 0
    print(f'scale: {report["scale"]}')
    print(
        f"lifted: {report['points']} points of '{report['object']}' over {report['frames']} "
        f'frames, {report["visible"]:.0%} seen; pictures in {options.out}'
    )
    return 0


def _show(stage: str, share: float) -> None:
    if sys.stderr.isatty():
        end = '\n' if share >= 1.0 else ''
        print(f'\r{share:4.0%} {stage:24}', end=end, file=sys.stderr, flush=True)
