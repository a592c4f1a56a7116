# SPDX-License-Identifier: Apache-2.0
"""Depth calibration: recovered or refused, never silently wrong.

Table-top depth images (a plane and boxes, half of them with a wall behind) are turned into
estimates by a known scale and shift, in depth or in inverse depth, and then spoilt: noise,
outliers anywhere, a connected part that follows another scale and shift, holes, a map that is not
affine, views with next to no range of depth, a sign the wrong way round. A calibration is wrong
where its error is above 3 cm (2 % of the depth where that is more) at any depth of the view (of
the box, where only its mask is used), or up to 20 cm nearer, where things are lifted to. The
peer is plain least squares for scale and shift, which always answers.

Other numbers of cases: ``python tests/benchmarks/calibration.py --cases 400``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rows import row

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import DepthCalibrationError
from flow_manip_perception.calibration import calibrate, CalibrationConfig, to_depth

CASES, SEED = 200, 0
SIZE = (320, 240)
LIFTED = 0.2  # [m] nearer to the camera than anything that stands in the view
WRONG, WRONG_SHARE = 0.03, 0.02  # [m], of the depth
METHODS = ('median', 'scale', 'scale_shift', 'affine_ransac')
TROUBLES = (
    'none', 'noise', 'outliers', 'patch', 'holes', 'curved', 'flat', 'mirrored', 'everything'
)  # fmt: skip
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One first frame.

    Attributes:
        trouble: what was done to it.
        kind: of the estimate.
        truth: (H, W) depth without noise [m].
        estimate: (H, W).
        reference: (H, W) what the sensor said [m].
        mask: (H, W) of one box.
        clean: (K,) estimates that belong to `depths` without any trouble.
        depths: (K,) that things can have in the view [m].
        reachable: (K,) True where the masked box can be lifted or put.
    """

    trouble: str
    kind: str
    truth: Array
    estimate: Array
    reference: Array
    mask: NDArray[np.bool_]
    clean: Array
    depths: Array
    reachable: NDArray[np.bool_]


def run(cases: int = CASES, seed: int = SEED) -> list[dict[str, Any]]:
    """Measure and return the rows."""
    made = [make_case(TROUBLES[k % len(TROUBLES)], seed + k) for k in range(cases)]
    plain = Counter(_verdict(case, *_least_squares(case)) for case in made)
    rows = []
    for region in ('image', 'mask'):
        for method in METHODS:
            config = CalibrationConfig(method=method, region=region)
            verdicts = [(case.trouble, _calibrated(case, config)) for case in made]
            rows += _rows(f'{region}_{method}', verdicts, plain, seed)
    return rows


def render(rng: np.random.Generator, flat: bool) -> tuple[Array, NDArray[np.bool_]]:
    """Return the (H, W) depth of a table with boxes, and the mask of one box."""
    camera = CameraModel.from_fov(*SIZE, np.radians(45.0))
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    rays = camera.deproject(np.stack([u, v], axis=-1), np.ones((SIZE[1], SIZE[0])))
    # Flat views look straight down; the others at 25 to 60 degrees below the horizon.
    pitch = np.pi / 2 if flat else rng.uniform(np.radians(25), np.radians(60))
    down = np.array([0.0, np.cos(pitch), np.sin(pitch)])
    height = rng.uniform(0.5, 0.9)
    ahead = rays @ down
    depth = np.where(ahead > 0.05, height / np.maximum(ahead, 0.05), np.inf)
    mask = np.zeros(depth.shape, dtype=bool)
    for number in range(1 if flat else 4):
        half = rng.uniform(16, 36, size=2)
        middle = rng.uniform([50, 80], [SIZE[0] - 50, SIZE[1] - 40])
        box = (np.abs(u - middle[0]) < half[0]) & (np.abs(v - middle[1]) < half[1])
        top = (height - (0.004 if flat else rng.uniform(0.03, 0.2))) / np.maximum(ahead, 0.05)
        depth = np.where(box, top, depth)
        mask = box if number == 0 else mask & ~box
    if not flat and rng.uniform() < 0.5:
        depth = np.minimum(depth, rng.uniform(1.2, 2.0))
    return np.where(depth < 2.5, depth, np.nan), mask


def make_case(trouble: str, seed: int) -> Case:
    """Return a spoilt first frame of a random view, scale and shift."""
    rng = np.random.default_rng([17, seed])
    truth, mask = render(rng, flat=trouble == 'flat')
    kind = ('relative', 'disparity')[int(rng.integers(2))]
    scale = float(np.exp(rng.uniform(np.log(0.1), np.log(10.0))))
    shift = float(rng.choice([0.0, rng.uniform(-0.3, 0.3)]))
    if trouble == 'mirrored':
        scale = -scale
    power = rng.choice([0.5, 1.6]) if trouble == 'curved' else 1.0
    nearest, farthest = np.nanpercentile(truth, [1, 99])
    depths = np.linspace(nearest - LIFTED, farthest, 50)

    def told(depth: Array) -> Array:
        value = (1.0 / depth if kind == 'disparity' else depth) ** power
        return (value - shift) / scale

    estimate, hidden = told(truth), np.zeros(truth.shape, dtype=bool)
    heavy = trouble == 'everything'
    if trouble in ('noise', 'everything'):
        noise = rng.choice([0.002, 0.005, 0.02])
        estimate = told(truth * (1 + noise * rng.normal(size=truth.shape)))
    if trouble in ('patch', 'everything'):
        # A connected part of the image that follows another affine map.
        share = rng.choice([0.1, 0.2]) if heavy else rng.choice([0.15, 0.35, 0.5])
        edge = int(share * SIZE[0])
        estimate[:, :edge] = told(truth[:, :edge] * rng.uniform(1.2, 1.8) + rng.uniform(0, 0.3))
    if trouble in ('outliers', 'everything'):
        share = rng.choice([0.1, 0.2]) if heavy else rng.choice([0.1, 0.3, 0.5, 0.7])
        broken = rng.uniform(size=truth.shape) < share
        estimate[broken] = told(rng.uniform(0.2, 4.0, size=int(broken.sum())))
    if trouble in ('holes', 'everything'):
        share = rng.choice([0.1, 0.3]) if heavy else rng.choice([0.3, 0.8, 0.98])
        hidden = _blobs(rng) < share
    sensor = truth * (1 + 0.002 * rng.normal(size=truth.shape))
    reference = np.where(hidden, np.nan, sensor)
    box = np.nanpercentile(truth[mask], [1, 99]) if mask.any() else (nearest, farthest)
    reachable = (depths >= box[0] - LIFTED) & (depths <= box[1] + LIFTED)
    return Case(trouble, kind, truth, estimate, reference, mask, told(depths), depths, reachable)


def _blobs(rng: np.random.Generator) -> Array:
    """Return (H, W) ranks in 0..1 of a smooth random field: holes hang together."""
    field = cv2.GaussianBlur(rng.normal(size=(SIZE[1], SIZE[0])), (0, 0), 4.0)
    ranks = np.empty(field.size)
    ranks[field.ravel().argsort()] = np.linspace(0, 1, field.size)
    return ranks.reshape(field.shape)


def _least_squares(case: Case) -> tuple[float, float]:
    """Return the peer's scale and shift: an ordinary line through all pixels."""
    known = np.isfinite(case.estimate) & np.isfinite(case.reference)
    y = case.reference[known]
    fitted = np.polyfit(case.estimate[known], 1.0 / y if case.kind == 'disparity' else y, 1)
    return float(fitted[0]), float(fitted[1])


def _calibrated(case: Case, config: CalibrationConfig) -> str:
    """Return 'recovered', 'refused' or 'wrong'."""
    try:
        found = calibrate(case.estimate, case.reference, config, case.mask, kind=case.kind)
    except DepthCalibrationError:
        return 'refused'
    every = config.region == 'image'
    return _verdict(case, found.scale, found.shift, every | case.reachable)


def _verdict(case: Case, scale: float, shift: float, where: Any = True) -> str:
    """Say whether depth comes out right at all depths of the view, or those of `where`."""
    error = np.abs(to_depth(case.clean, case.kind, scale, shift) - case.depths)
    right = ((error <= np.maximum(WRONG, WRONG_SHARE * case.depths)) | ~np.asarray(where)).all()
    return 'recovered' if right else 'wrong'


def _rows(
    name: str, verdicts: list[tuple[str, str]], plain: Counter[str], seed: int
) -> list[dict[str, Any]]:
    """Return a row for what was wrong and one for what was recovered, each against the peer."""
    total = Counter(verdict for _, verdict in verdicts)
    n = len(verdicts)
    by_trouble = {
        trouble: dict(Counter(v for t, v in verdicts if t == trouble)) for trouble in TROUBLES
    }
    common = {'n': n, 'seed': seed, 'peer': 'least_squares'}
    return [
        row(
            f'{name}_silently_wrong', total['wrong'], 'cases', limit=0,
            peer_value=plain['wrong'], by_trouble=by_trouble, **common,
        ),
        row(
            f'{name}_recovered', 100.0 * total['recovered'] / n, '%',
            peer_value=100.0 * plain['recovered'] / n, refused=total['refused'], **common,
        ),
    ]  # fmt: skip


def main() -> None:
    """Run a part of it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', type=int, default=CASES)
    parser.add_argument('--seed', type=int, default=SEED)
    given = parser.parse_args()
    for entry in run(given.cases, given.seed):
        print(
            f'{entry["name"]:<36} {entry["value"]:.3g} {entry["unit"]}  '
            f'least squares: {entry["peer_value"]:.3g}'
        )
        for trouble, counts in entry.get('by_trouble', {}).items():
            print(f'    {trouble:<12} {counts}')


if __name__ == '__main__':
    main()
