# SPDX-License-Identifier: Apache-2.0
"""How often the data engine finds the thing that moves, in simulated clips whose truth is known.

Every clip shows a task's reference motion, carried out by a hand, with the task's other objects
around it. In every other clip the hand is in view and moving from the first frame; in the others
it comes into view later. Only the colour is used, as in 3DFlowAction, which reports over 80 % on
BridgeData V2.

Right is a clip whose box covers the moving body's true visible pixels in the first frame with an
intersection over union of 0.5 or more; a rejected clip counts as not found. Clips in which the
body moves less than the engine's limit for still clips, as its true points show, are left out and
counted. More clips, and their contact sheets: ``--clips 200 --sheets FOLDER``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rows import row

from flow_manip_core.camera import project_from
from flow_manip_core.errors import FlowManipError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import transform_points
from flow_manip_learning.clips import Clip, clip_without_depth
from flow_manip_learning.engine import (
    ClipEngine,
    ClipNotes,
    contact_sheet,
    EngineConfig,
    Findings,
    rejection_of,
)
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks import TASKS
from flow_manip_mujoco.tasks.task import TaskStep
from flow_manip_mujoco.video.hand import hand_poses
from flow_manip_mujoco.video.picture import disturb_colour
from flow_manip_mujoco.video.setting import carried_by, read_setting
from flow_manip_mujoco.video.stage import Stage
from flow_manip_mujoco.video.take import good_take, Take
from flow_manip_perception.video_to_flow import scaled_camera

CLIPS, SEED, GOAL = 20, 1000, 0.8
SIZE = (320, 240)  # [px]
FRAMES, RATE = 40, 16.0
WAITING, RESTING = 12, 4  # frames before the object moves, and after
FAR = 0.25  # [m] that the hand comes from
NOISE = 2.0  # [levels] of the pictures' grain
MIN_IOU = 0.5
Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrueClip:
    """A clip and what is true of it.

    Attributes:
        clip: as the engine gets it.
        mask: (H, W) the moving body in the first frame.
        motion: largest displacement of its points, in the engine's working frames [px].
        others: other things in view.
    """

    clip: Clip
    mask: NDArray[np.bool_]
    motion: float
    others: int


def draw_clip(cell: SimulatedCell, step: TaskStep, early_hand: bool, seed: int) -> TrueClip:
    """Draw the clip of a step in the cell as it stands.

    Raises:
        FlowManipError: the body is out of sight.
    """
    observed = cell.observe(noise=False)
    camera, pose = scaled_camera(observed.camera, SIZE), observed.T_world_camera
    carried = carried_by(cell)
    stage = Stage(cell, camera, pose, carried=carried)
    try:
        moving = FRAMES - 1 - WAITING - RESTING
        share = np.clip((np.arange(FRAMES) - WAITING) / moving, 0.0, 1.0)
        setting = read_setting(cell, step, share, pose, stage.visible_pixels(), carried)
        take = good_take(setting)
        contact = setting.motion.contact
        hands = _hands(take, setting.middle if contact is None else contact, early_hand)
        rng = np.random.default_rng(seed)
        frames = []
        for k in range(FRAMES):
            color, _ = stage.draw(take, k, None if np.isnan(hands[k]).any() else hands[k])
            frames.append(disturb_colour(color, take.gain[k], NOISE, rng))
        hand = None if np.isnan(hands[0]).any() else hands[0]
        mask = stage.mask(take, 0, take.moving, hand)
    finally:
        stage.close()
    corners = np.array(np.meshgrid(*setting.box.T)).reshape(3, -1).T
    motion = _motion(take, corners, camera, pose)
    clip = clip_without_depth(np.stack(frames), np.arange(FRAMES) / RATE, 'simulated')
    return TrueClip(clip, mask, motion, len(setting.others))


def _hands(take: Take, contact: Array, early: bool) -> Array:
    """Return (T, 4, 4) poses of the hand; an early one is in view and moves from the start."""
    poses = hand_poses(take, contact, WAITING)
    if not early:
        return poses
    held = poses[WAITING]
    for k in range(WAITING):
        poses[k] = held
        poses[k, :3, 3] -= FAR * (1.0 - k / WAITING) * held[:3, 2]
    return poses


def _motion(take: Take, corners: Array, camera: Any, pose: Array) -> float:
    """Return how far the body's box gets from where it was at first."""
    ways = np.array([transform_points(T, corners) for T in take.poses])
    pixels = project_from(camera, pose, ways)
    side = EngineConfig().detection.frame_size
    away = (pixels - pixels[0]) * side / np.array(SIZE)
    return float(np.nanmax(np.linalg.norm(away, axis=-1)))


def box_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the intersection over union of two (x, y, width, height) boxes."""
    low = np.maximum(a[:2], b[:2])
    high = np.minimum(np.add(a[:2], a[2:]), np.add(b[:2], b[2:]))
    both = float(np.prod(np.maximum(high - low, 0.0)))
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def true_box(mask: NDArray[np.bool_], size: tuple[int, int]) -> tuple[float, ...]:
    """Return the box of a mask, edge to edge, in an image of another (width, height)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    factor = np.array(size) / np.array(mask.shape[::-1])
    low = np.array([columns[0], rows[0]]) * factor - 0.5
    high = np.array([columns[-1] + 1, rows[-1] + 1]) * factor - 0.5
    return *low, *(high - low)


def measure(
    clips: int, first_seed: int, config: EngineConfig | None = None, sheets: Path | None = None
) -> list[dict[str, Any]]:
    """Draw clips of the tasks in turn and look for what moves."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    cell = SimulatedCell(context)
    engine = ClipEngine(config or EngineConfig(), context)
    limit = (config or EngineConfig()).detection.still_motion
    tasks = list(TASKS.values())
    ious: list[float] = []
    early: list[bool] = []
    seconds: list[float] = []
    left_out: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for index in range(100 * clips):
        if len(ious) == clips:
            break
        task, seed = tasks[index % len(tasks)], first_seed + index
        trial = task.make_trial(seed)
        trial.reset(cell)
        try:
            truth = draw_clip(cell, trial.steps[0], index % 2 == 0, seed)
        except FlowManipError as error:
            left_out[error.name] += 1
            continue
        if truth.motion < limit:
            left_out['STILL'] += 1
            continue
        findings, begun = Findings(), time.perf_counter()
        iou, verdict = 0.0, ''
        try:
            clip, _ = engine.find(truth.clip, ClipNotes(f'clip-{seed}'), findings)
            assert findings.dense is not None
            iou = box_iou(findings.dense.box, true_box(truth.mask, clip.video.size))
            verdict = f'IoU {iou:.2f}'
        except FlowManipError as error:
            rejection = rejection_of(error)
            if rejection is None:
                raise
            reasons[rejection.reason] += 1
            verdict = f'{rejection.reason}: {rejection}'
        seconds.append(time.perf_counter() - begun)
        ious.append(iou)
        early.append(index % 2 == 0)
        print(
            f'  {task.name:<24} seed {seed} {"early" if early[-1] else "late ":5} hand, '
            f'{truth.others} others, moves {truth.motion:5.1f} px: {verdict}',
            flush=True,
        )
        if sheets is not None:
            _write_sheet(sheets, findings, f'{task.name} {seed}', verdict, iou >= MIN_IOU)
    return _rows(np.array(ious), np.array(early), seconds, reasons, left_out, first_seed)


def _write_sheet(folder: Path, findings: Findings, title: str, verdict: str, good: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture = contact_sheet(findings, title, verdict, good)
    cv2.imwrite(str(folder / f'{title.replace(" ", "-")}.jpg'), picture[..., ::-1])


def _rows(
    ious: Array,
    early: NDArray[np.bool_],
    seconds: list[float],
    reasons: Counter[str],
    left_out: Counter[str],
    seed: int,
) -> list[dict[str, Any]]:
    right = ious >= MIN_IOU
    common = {'n': len(ious), 'seed': seed}
    found = int((ious > 0).sum())
    return [
        row(
            'detected',
            float(right.mean()),
            'share',
            limit=GOAL,
            rejected=dict(reasons),
            left_out=dict(left_out),
            rule=f'IoU >= {MIN_IOU}',
            **common,
        ),
        row('detected_early_hand', _share(right[early]), 'share', n=int(early.sum()), seed=seed),
        row(
            'detected_late_hand', _share(right[~early]), 'share', n=int((~early).sum()), seed=seed
        ),
        row('wrong', float((~right).sum() - sum(reasons.values())) / len(ious), 'share', **common),
        row('median_iou', float(np.median(ious[ious > 0])) if found else 0.0, '', **common),
        row('seconds', float(np.median(seconds)), 's', **common),
    ]


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return measure(CLIPS, SEED)


def main() -> None:
    """Run with other sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=int, default=CLIPS)
    parser.add_argument('--seed', type=int, default=SEED)
    parser.add_argument('--sheets', type=Path, metavar='FOLDER')
    given = parser.parse_args()
    for entry in measure(given.clips, given.seed, sheets=given.sheets):
        more = {k: entry[k] for k in ('rejected', 'left_out') if k in entry}
        print(f'{entry["name"]:<24}{entry["value"]:8.3f} {entry["unit"]:6} n={entry["n"]} {more}')


if __name__ == '__main__':
    main()
