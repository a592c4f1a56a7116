# SPDX-License-Identifier: Apache-2.0
"""From a dream to points in 3D, against the simulator's truth.

Twenty good dreams of the simulated generator, tasks in turn: 41 frames with grain, depth of an
unknown scale and shift that flickers, calibrated once as for any video. The same points of the
object are followed by the default tracker, by plain pyramidal Lucas-Kanade, and by dense flow that
is chained from frame to frame (DIS; what AVDC, arXiv:2310.08576, does with a dense flow), and
lifted with the same depth. Errors are distances in 3D of every point that is really in sight,
whatever its tracker says of it; a point without depth counts as `LOST` metres away.

Other sizes: ``python tests/benchmarks/lifting.py --dreams 4 --seed 100``; ``--no-depth`` hides
depth from the tracker (it is still lifted with it).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rows import row

from flow_manip_core.camera import CameraModel
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_core.video import Video
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks import TASKS
from flow_manip_mujoco.video import SimulatedVideo
from flow_manip_perception.calibration import calibrate, CalibrationConfig
from flow_manip_perception.depth_sampling import sample_depth
from flow_manip_perception.lifting import LiftingConfig
from flow_manip_perception.tracking import FREE
from flow_manip_perception.tracking.lucas_kanade import LucasKanadeTracker
from flow_manip_perception.tracking.patches import sample
from flow_manip_perception.tracking.queries import farthest_queries
from flow_manip_perception.tracking.spatial import SpatialTracks

Array = NDArray[np.float64]
DREAMS, SEED, POINTS = 20, 0, 300
LOST = 1.0  # [m]
SEEN_WITHIN = 0.008  # [m] of the drawn depth, a point is in sight
PEERS = ('lucas_kanade', 'plain_lk', 'dis')


@dataclass(frozen=True)
class Dream:
    """One video with what is true of it.

    Attributes:
        name: of task and seed.
        video: good one.
        observation: that it begins with.
        mask: of the object in it.
        depth: (T, H, W) calibrated [m].
        queries: (N, 2) points of the object in the first frame [px].
        truth: (T, N, 3) where they are, in the world [m].
        seen: (T, N) whether the camera sees them.
    """

    name: str
    video: Video
    observation: Observation
    mask: Mask
    depth: NDArray[np.float32]
    queries: NDArray[np.float32]
    truth: Array
    seen: NDArray[np.bool_]

    @property
    def camera(self) -> CameraModel:
        """Of the frames."""
        return self.observation.camera


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return measure(DREAMS, SEED)


def measure(count: int, first_seed: int, with_depth: bool = True) -> list[dict[str, Any]]:
    """Follow the points of `count` dreams with every peer."""
    errors: dict[str, list[Array]] = {name: [] for name in PEERS}
    overlaps: dict[str, list[float]] = {name: [] for name in PEERS}
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    names = []
    for dream in dreams(count, first_seed):
        names.append(dream.name)
        line = f'  {dream.name:<34}'
        for name, follow in trackers(with_depth).items():
            begun = time.perf_counter()
            tracks = follow(dream)
            seconds[name].append(time.perf_counter() - begun)
            errors[name].append(end_point_errors(dream, tracks))
            overlaps[name].append(visibility_f1(dream, tracks.visible))
            line += f'{name} {1000 * np.median(errors[name][-1]):6.1f} mm  '
        print(line, flush=True)
    return rows_of(errors, overlaps, seconds, count, first_seed)


def rows_of(
    errors: dict[str, list[Array]],
    overlaps: dict[str, list[float]],
    seconds: dict[str, list[float]],
    count: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Build a row per figure and tracker; the default tracker's name the peers."""
    together = {name: np.concatenate(parts) for name, parts in errors.items()}
    figures: list[tuple[str, str, Callable[[str], float]]] = [
        ('error_median', 'mm', lambda n: 1000 * float(np.median(together[n]))),
        ('error_95th', 'mm', lambda n: 1000 * float(np.percentile(together[n], 95))),
        ('within_1cm', '%', lambda n: 100 * float((together[n] < 0.01).mean())),
        ('within_2cm', '%', lambda n: 100 * float((together[n] < 0.02).mean())),
        ('visibility_f1', '', lambda n: float(np.mean(overlaps[n]))),
        ('tracking_seconds', 's', lambda n: float(np.median(seconds[n]))),
    ]
    rows = []
    for figure, unit, value in figures:
        for peer in PEERS[1:]:
            limit = 0.5 * value('dis') if (figure, peer) == ('error_median', 'dis') else None
            rows.append(
                row(
                    f'{figure}_{peer}',
                    value(PEERS[0]),
                    unit,
                    n=count,
                    seed=seed,
                    peer=peer,
                    peer_value=value(peer),
                    limit=limit,
                )
            )
    return rows


def dreams(count: int, first_seed: int) -> Iterator[Dream]:
    """Draw good dreams, tasks in turn; a task whose first step is no video is passed over."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    cell = SimulatedCell(context)
    told = Context(context.robot, context.rig, simulation=cell.state)
    generator = SimulatedVideo(SimulatedVideo.Config(good_rate=1.0), told)
    tasks = list(TASKS.values())
    for index in range(count):
        task, seed = tasks[index % len(tasks)], first_seed + index
        trial = task.make_trial(seed)
        trial.reset(cell)
        step = trial.steps[0]
        observation, mask = cell.observe(noise=True), cell.true_mask(step.body)
        (video,) = generator.generate(observation, step.instruction, seed=seed)
        yield _told(f'{task.name} {seed}', generator, video, observation, mask)


def _told(
    name: str, generator: SimulatedVideo, video: Video, observation: Observation, mask: Mask
) -> Dream:
    """Add what is true of a video."""
    truth = generator.truth(video)
    assert video.depth is not None
    drawn = (video.depth - truth.depth_shift) / truth.depth_scale[:, None, None]
    found = calibrate(
        video.depth[0], observation.depth, CalibrationConfig(), mask.pixels, kind='relative'
    )
    depth = found.apply(video.depth)
    usable = mask.pixels & np.isfinite(observation.depth) & np.isfinite(drawn[0])
    queries = farthest_queries(usable, POINTS, 0.2)
    columns, rows = queries.astype(int).T
    start = observation.camera.deproject(queries, drawn[0][rows, columns])
    points = truth.carry(transform_points(observation.T_world_camera, start), video.times)
    masks = generator.true_masks(video)
    seen = np.array([in_sight(p, z, m, observation) for p, z, m in zip(points, drawn, masks)])
    return Dream(name, video, observation, mask, depth, queries, points, seen)


def in_sight(
    points: Array, depth: NDArray[np.float32], mask: NDArray[np.bool_], observation: Observation
) -> NDArray[np.bool_]:
    """Tell which (N, 3) world points the camera sees, from drawn depth and the object's pixels."""
    local = transform_points(invert_transform(observation.T_world_camera), points)
    pixels = np.rint(observation.camera.project(local)).astype(int)
    height, width = depth.shape
    inside = ((pixels >= 0) & (pixels < [width, height])).all(axis=1)
    pixels = np.clip(pixels, 0, [width - 1, height - 1])
    found = depth[pixels[:, 1], pixels[:, 0]]
    near = np.abs(found - local[:, 2]) < SEEN_WITHIN
    return inside & near & mask[pixels[:, 1], pixels[:, 0]]


def trackers(with_depth: bool) -> dict[str, Callable[[Dream], PointTracks]]:
    """Return what follows a dream's queries, by name."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    ours = LucasKanadeTracker(LucasKanadeTracker.Config(), context)

    def default(dream: Dream) -> PointTracks:
        return ours.track(
            dream.video,
            dream.queries,
            depth=dream.depth if with_depth else None,
            camera=dream.camera if with_depth else None,
            regions=np.where(dream.mask.pixels, 0, FREE),
        )

    return {'lucas_kanade': default, 'plain_lk': plain_lucas_kanade, 'dis': chained_dis}


def plain_lucas_kanade(dream: Dream) -> PointTracks:
    """Follow with OpenCV's defaults from frame to frame."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in dream.video.frames]
    points, held = [dream.queries], [np.ones(len(dream.queries), dtype=bool)]
    for before, after in pairwise(grey):
        there, status, _ = cv2.calcOpticalFlowPyrLK(
            before, after, points[-1].reshape(-1, 1, 2), None
        )
        points.append(there[:, 0])
        held.append(held[-1] & (status[:, 0] == 1))
    return PointTracks(np.stack(points), np.stack(held), dream.video.times)


def chained_dis(dream: Dream) -> PointTracks:
    """Follow dense flow from frame to frame; in sight while within the image."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in dream.video.frames]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    points = [dream.queries]
    for before, after in pairwise(grey):
        points.append(points[-1] + sample(search.calc(before, after, None), points[-1]))
    inside = [((p >= 0) & (p <= np.array(dream.video.size) - 1)).all(axis=1) for p in points]
    return PointTracks(np.stack(points), np.stack(inside), dream.video.times)


def end_point_errors(dream: Dream, tracks: PointTracks) -> Array:
    """Return metres from the truth of every point in sight after the first frame.

    As in `lift_tracks`, what a tracker says of its points' depth goes before the images'.
    """
    step = LiftingConfig().edge_step
    found = np.stack([sample_depth(z, p, step).depth for z, p in zip(dream.depth, tracks.points)])
    if isinstance(tracks, SpatialTracks):
        found = np.where(tracks.support > 0, tracks.depth, found)
    local = dream.camera.deproject(tracks.points, found)
    lifted = transform_points(dream.observation.T_world_camera, local)
    away = np.linalg.norm(lifted - dream.truth, axis=2)[1:][dream.seen[1:]]
    return np.where(np.isfinite(away), np.minimum(away, LOST), LOST)


def visibility_f1(dream: Dream, visible: NDArray[np.bool_]) -> float:
    """Return the F1 score of what is said to be in sight, after the first frame."""
    seen, said = dream.seen[1:], visible[1:]
    return 2.0 * float((seen & said).sum()) / max(int(seen.sum() + said.sum()), 1)


def main() -> None:
    """Run with other sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--dreams', type=int, default=DREAMS)
    parser.add_argument('--seed', type=int, default=SEED)
    parser.add_argument('--no-depth', action='store_true')
    given = parser.parse_args()
    for entry in measure(given.dreams, given.seed, not given.no_depth):
        print(
            f'{entry["name"]:<30}{entry["value"]:10.3f} {entry["unit"]:<4}'
            f'{entry["peer"]}: {entry["peer_value"]:.3f}'
        )


if __name__ == '__main__':
    main()
