# SPDX-License-Identifier: Apache-2.0
"""Splitting the foreground into objects: too fine first, then together again by evidence.

1. Paints: the foreground's colours are grouped (farthest-first seeds, then Lloyd's iterations).
2. Regions: neighbouring pixels of one paint without a jump in depth between them.
3. Regions of one paint that lie around or inside each other are one object seen past its own rim.
4. Regions of different paint are one object where one is set flush into the other (a print, a
   highlight), or where both continue one elongated shape (a handle).

A cube on a plate is neither flush (its sides meet the plate at a crease, its upper edge hides
some of it) nor of one paint, so it stays apart; so does one in a bowl.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from flow_manip_perception.foreground import Foreground, View

MAX_PAINTS = 14
PAINT_STEP = 16.0  # of `paint_features`: nearer is one paint


@dataclass(frozen=True)
class ClusterConfig:
    """How regions are made.

    Attributes:
        jump: in 3D between neighbouring pixels that parts surfaces [m].
        min_pixels: smaller regions are given to a neighbour or dropped.
        min_size: smallest diagonal of an object [m].
        flush: share of a border that must be smooth to join a print with what it is on.
        enclosed: share of a print's border that must be with what it is on.
    """

    jump: float = 0.010
    min_pixels: int = 40
    min_size: float = 0.012
    flush: float = 0.6
    enclosed: float = 0.55


def find_clusters(view: View, found: Foreground, config: ClusterConfig) -> NDArray[np.int32]:
    """Return (H, W) object numbers from 1, 0 where there is none."""
    foreground = found.pixels
    if not foreground.any():
        return np.zeros(foreground.shape, dtype=np.int32)
    paint, centers = _group_paints(view, foreground)
    label = _regions(view, foreground, paint, config)
    label = _absorb_fragments(view, label, config)
    label = _join(label, _one_paint_pairs(view, label, paint, centers))
    label = _join(label, _flush_pairs(view, label, config))
    label = _join(label, _aligned_pairs(view, label))
    return _drop_small(view, _grow(view, label, found, config), config)


def touching(label: NDArray, view: View, reach: float) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for pairs of objects their shared border pixels, and how many of those touch in 3D.

    Args:
        label: (H, W) object numbers.
        view: of the observation.
        reach: distance of neighbouring pixels that counts as touching [m].
    """
    pairs: dict[tuple[int, int], tuple[int, int]] = {}
    for step in ((0, 2), (2, 0), (2, 2), (2, -2)):
        (a, b), (p, q) = _shifted(label, step), _shifted(view.points, step)
        at = (a != b) & (a > 0) & (b > 0)
        if not at.any():
            continue
        low, high = np.minimum(a[at], b[at]), np.maximum(a[at], b[at])
        with np.errstate(invalid='ignore'):
            near = np.linalg.norm(p[at] - q[at], axis=1) < reach
        count = int(label.max()) + 1
        key = low.astype(np.int64) * count + high
        total = np.bincount(key)
        close = np.bincount(key[near], minlength=len(total))
        for found in np.flatnonzero(total):
            pair = divmod(int(found), count)
            old = pairs.get(pair, (0, 0))
            pairs[pair] = (old[0] + int(total[found]), old[1] + int(close[found]))
    return pairs


def _shifted(image: NDArray, step: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Return two views of an image whose pixels at one index are `step` (rows, columns) apart."""
    dy, dx = step
    height, width = image.shape[:2]
    if dx >= 0:
        return image[: height - dy, : width - dx], image[dy:, dx:]
    return image[: height - dy, -dx:], image[dy:, :dx]


def _group_paints(view: View, foreground: NDArray) -> tuple[NDArray[np.int32], NDArray]:
    """Return (H, W) paint numbers (-1 off the foreground) and the (K, 3) paints."""
    values = view.paint[foreground]
    sample = values[:: max(1, len(values) // 4000)]
    # Mixed pixels at borders lie between paints; they must not found one of their own.
    calm = _calm(view.paint, foreground)
    inner = view.paint[calm]
    if len(inner) > 200:
        sample = inner[:: max(1, len(inner) // 4000)]
    centers = [np.median(sample, axis=0)]
    nearest = np.linalg.norm(sample - centers[0], axis=1)
    while len(centers) < MAX_PAINTS:
        # The farthest but some: single odd pixels found no paint.
        rank = max(0, len(sample) - 1 - max(4, len(sample) // 400))
        far = int(np.argpartition(nearest, rank)[rank])
        if nearest[far] < PAINT_STEP:
            break
        centers.append(sample[far])
        nearest = np.minimum(nearest, np.linalg.norm(sample - sample[far], axis=1))
    found = _lloyd(sample, np.array(centers))
    distance = np.stack([np.linalg.norm(values - c, axis=1) for c in found], axis=1)
    paint = np.full(foreground.shape, -1, dtype=np.int32)
    paint[foreground] = distance.argmin(axis=1)
    return _majority(paint, len(found)), found


def _calm(paint: NDArray, foreground: NDArray) -> NDArray[np.bool_]:
    """Return foreground pixels around which the paint hardly changes."""
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(paint, kernel) - cv2.erode(paint, kernel)
    inner = cv2.erode(foreground.astype(np.uint8), kernel) > 0
    return inner & (spread.max(axis=-1) < PAINT_STEP / 2)


def _lloyd(sample: NDArray, centers: NDArray) -> NDArray:
    """Settle the paints, then join those that came close."""
    for _ in range(4):
        nearest = np.linalg.norm(sample[:, None] - centers, axis=2).argmin(axis=1)
        centers = np.array(
            [
                sample[nearest == k].mean(axis=0)
                for k in range(len(centers))
                if (nearest == k).any()
            ]
        )
    kept: list[NDArray] = []
    for center in centers:
        if all(np.linalg.norm(center - other) >= 0.6 * PAINT_STEP for other in kept):
            kept.append(center)
    return np.array(kept)


def _majority(paint: NDArray, count: int) -> NDArray[np.int32]:
    """Give every foreground pixel the paint that most of its 3x3 neighbours wear."""
    votes = np.stack([cv2.blur((paint == k).astype(np.float32), (3, 3)) for k in range(count)])
    return np.where(paint >= 0, votes.argmax(axis=0), -1).astype(np.int32)


def _regions(
    view: View, foreground: NDArray, paint: NDArray, config: ClusterConfig
) -> NDArray[np.int32]:
    """Number the runs of one paint without a jump in depth; without depth paint decides."""
    number = np.full(foreground.shape, -1, dtype=np.int64)
    count = int(foreground.sum())
    number[foreground] = np.arange(count)
    starts, ends = [], []
    # Noise makes jumps of its own: three sigmas of a difference are none.
    jump = config.jump + 4.0 * view.noise
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a, b = _shifted(number, step)
        p, q = _shifted(view.points, step)
        c, d = _shifted(paint, step)
        with np.errstate(invalid='ignore'):
            linked = (a >= 0) & (b >= 0) & (c == d) & ~(np.linalg.norm(p - q, axis=-1) > jump)
        starts.append(a[linked])
        ends.append(b[linked])
    row, column = np.concatenate(starts), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(row), np.int8), (row, column)), shape=(count, count))
    found = connected_components(graph, directed=False)[1]
    label = np.zeros(foreground.shape, dtype=np.int32)
    label[foreground] = found + 1
    return label


def _absorb_fragments(view: View, label: NDArray, config: ClusterConfig) -> NDArray[np.int32]:
    """Give small and thin regions to the neighbour whose paint and place are nearest."""
    for _ in range(3):
        area = np.bincount(label.ravel())
        core = cv2.erode((_same_around(label) & (label > 0)).astype(np.uint8), np.ones((2, 2)))
        solid = np.bincount(label.ravel(), weights=core.ravel(), minlength=len(area))
        weak = (area < config.min_pixels) | (solid < 0.12 * area)
        weak[0] = False
        if not (weak[label] & (label > 0)).any():
            break
        label = _spread(label, weak, view, config)
    area = np.bincount(label.ravel())
    keep = area >= config.min_pixels
    keep[0] = False
    return _renumber(np.where(keep[label], label, 0))


def _same_around(label: NDArray) -> NDArray[np.bool_]:
    """Return pixels whose four neighbours have their label."""
    same = np.ones(label.shape, dtype=bool)
    same[1:] &= label[1:] == label[:-1]
    same[:-1] &= label[1:] == label[:-1]
    same[:, 1:] &= label[:, 1:] == label[:, :-1]
    same[:, :-1] &= label[:, 1:] == label[:, :-1]
    return same


def _grow(view: View, label: NDArray, found: Foreground, config: ClusterConfig) -> NDArray:
    """Let objects take pixels at their edge that are unlike the support: mixed, without depth."""
    open_pixels = (label == 0) & view.inside & (found.contrast > 0.5)
    near = cv2.dilate((label > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    number = int(label.max()) + 1
    weak = np.zeros(number + 1, dtype=bool)
    weak[number] = True
    grown = _spread(np.where(open_pixels & near, number, label), weak, view, config, rings=2)
    return np.where(grown == number, 0, grown)


def _spread(
    label: NDArray, weak: NDArray, view: View, config: ClusterConfig, rings: int = 6
) -> NDArray:
    """Let strong regions grow into weak ones, pixel ring by pixel ring, where depth goes on."""
    out = np.where(weak[label], 0, label)
    open_pixels = (label > 0) & (out == 0)
    filled = np.nan_to_num(view.points, nan=1e6)
    for _ in range(rings):
        best = np.full(label.shape, np.inf)
        choice = np.zeros_like(label)
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            neighbour = np.roll(out, (dy, dx), axis=(0, 1))
            at = np.nonzero(open_pixels & (neighbour > 0))
            source = ((at[0] - dy) % label.shape[0], (at[1] - dx) % label.shape[1])
            gap = np.linalg.norm(filled[at] - filled[source], axis=-1)
            gap = np.where(gap > 1e3, config.jump, gap)
            tone = np.linalg.norm(view.paint[at] - view.paint[source], axis=-1)
            cost = tone / PAINT_STEP + gap / config.jump
            better = (cost < best[at]) & (gap < 2 * config.jump + 4 * view.noise)
            where = tuple(axis[better] for axis in at)
            best[where], choice[where] = cost[better], neighbour[where]
        grown = choice > 0
        if not grown.any():
            break
        out[grown] = choice[grown]
        open_pixels &= ~grown
    return np.where(open_pixels, label, out)


def _renumber(label: NDArray) -> NDArray[np.int32]:
    """Return the same regions numbered from 1 without gaps."""
    used = np.bincount(label.ravel()) > 0
    used[0] = False
    return (np.cumsum(used) * used)[label].astype(np.int32)


def _join(label: NDArray, pairs: list[tuple[int, int]]) -> NDArray[np.int32]:
    """Make one region of each chain of pairs."""
    if not pairs:
        return label
    count = int(label.max()) + 1
    row, column = np.array(pairs).T
    graph = coo_matrix((np.ones(len(row)), (row, column)), shape=(count, count))
    groups = connected_components(graph, directed=False)[1]
    first = np.full(groups.max() + 1, count, dtype=np.int64)
    np.minimum.at(first, groups, np.arange(count))
    return _renumber(first[groups][label])


def _one_paint_pairs(
    view: View, label: NDArray, paint: NDArray, centers: NDArray
) -> list[tuple[int, int]]:
    """Pair regions of one paint that border in the image and stand on the same ground."""
    pairs = []
    hulls = {n: _footprint(view.points[label == n]) for n in range(1, int(label.max()) + 1)}
    tones = {n: _mean_paint(view.paint, label == n) for n in hulls}
    for (a, b), (shared, close) in touching(label, view, 0.015).items():
        nested = _overlap(hulls[a], hulls[b])
        shaded = (close >= max(6, 0.15 * shared) or nested > 0.6) and _same_hue(tones[a], tones[b])
        shaded |= nested > 0.6 and _outer_wall(label, tones, a, b)
        if shared >= 12 and close < 0.2 * shared and _vessel_halves(view, label, tones, a, b):
            pairs.append((a, b))
            continue
        if np.linalg.norm(tones[a] - tones[b]) > 0.75 * PAINT_STEP and not shaded:
            continue
        if shared >= 6 and (close >= 6 or nested > 0.35):
            pairs.append((a, b))
    return pairs


def _same_hue(a: NDArray, b: NDArray) -> bool:
    """Say whether two paints are coloured and of one hue: one paint in light and in shade."""
    chroma_a, chroma_b = np.hypot(*a[1:]), np.hypot(*b[1:])
    if min(chroma_a, chroma_b) < 18.0 or min(chroma_a, chroma_b) < 0.5 * max(chroma_a, chroma_b):
        return False
    return float(a[1:] @ b[1:]) > np.cos(np.radians(14.0)) * chroma_a * chroma_b


def _outer_wall(label: NDArray, tones: dict[int, NDArray], a: int, b: int) -> bool:
    """Say whether one plain region is the shaded outer wall under the rim of the other.

    Under a rim there is only rim above it; what stands in a bowl has the bowl below it too.
    """
    if max(np.hypot(*tones[a][1:]), np.hypot(*tones[b][1:])) > 14.0:
        return False
    if np.linalg.norm(tones[a] - tones[b]) > 1.2 * PAINT_STEP:
        return False
    up, down = label[:-3], label[3:]
    a_over_b = int(((up == a) & (down == b)).sum())
    b_over_a = int(((up == b) & (down == a)).sum())
    return min(a_over_b, b_over_a) < 0.1 * max(a_over_b, b_over_a)


def _vessel_halves(view: View, label: NDArray, tones: dict[int, NDArray], a: int, b: int) -> bool:
    """Say whether two regions are the far inside and the near outside of one vessel.

    Seen over its rim they border only in the image: the inside above, as wide as the outside and
    with a rim of the same height. The near one is a shell: its top is a curved line, no face, by
    which a vessel differs from two solid things of one paint behind each other.
    """
    tone = float(np.linalg.norm(tones[a] - tones[b]))
    limit = 2.0 * PAINT_STEP if _same_hue(tones[a], tones[b]) else 0.75 * PAINT_STEP
    if tone > limit:
        return False
    up, down = label[:-3], label[3:]
    over = [int(((up == p) & (down == q)).sum()) for p, q in ((a, b), (b, a))]
    if min(over) > 0.15 * max(over):
        return False
    far, near = (a, b) if over[0] > over[1] else (b, a)
    sides, tops = [], []
    for number in (far, near):
        points = view.points[(label == number) & np.isfinite(view.heights)]
        sides.append(np.percentile(points @ view.right, [2, 98]))
        tops.append(float(np.percentile(points[:, 2], 98)))
    shared = min(sides[0][1], sides[1][1]) - max(sides[0][0], sides[1][0])
    # What is seen of a bowl's outside is narrower than its rim, but lies within it.
    widths = [float(np.ptp(side)) for side in sides]
    within = shared > 0.9 * widths[1] and widths[1] > 0.4 * widths[0]
    if abs(tops[0] - tops[1]) > 0.012 or not (within or shared > 0.75 * max(widths)):
        return False
    rim = points[points[:, 2] > tops[1] - 0.008][:, :2].astype(np.float32)
    hull = _footprint(np.column_stack([rim, np.zeros(len(rim))]))
    if hull is None:
        return True
    cells = np.unique(np.floor(rim / 0.004).astype(np.int64), axis=0)
    return len(cells) * 0.004**2 < 0.75 * cv2.contourArea(hull)


def _mean_paint(paint: NDArray, mask: NDArray) -> NDArray:
    """Return the median paint of a region without its border."""
    inner = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3))) > 0)
    return np.median(paint[inner if inner.sum() > 20 else mask], axis=0)


def _footprint(points: NDArray) -> NDArray | None:
    """Return the hull of points seen from above, (M, 1, 2) float32; None without any area."""
    known = points[np.isfinite(points).all(axis=-1)][:, :2]
    if len(known) < 10:
        return None
    hull = cv2.convexHull(known.astype(np.float32))
    return hull if len(hull) >= 3 and cv2.contourArea(hull) > 1e-6 else None


def _overlap(a: NDArray | None, b: NDArray | None) -> float:
    """Return the share of the smaller footprint that lies in the other."""
    if a is None or b is None:
        return 0.0
    area = cv2.intersectConvexConvex(a, b)[0]
    return float(area / max(min(cv2.contourArea(a), cv2.contourArea(b)), 1e-9))


def _flush_pairs(view: View, label: NDArray, config: ClusterConfig) -> list[tuple[int, int]]:
    """Pair prints, labels and highlights with the surface that goes on around them."""
    pairs = []
    outline = _outlines(label)
    for (a, b), (shared, close) in touching(label, view, 0.01 + 3 * view.noise).items():
        small = a if outline[a] < outline[b] else b
        # `touching` looks in four directions two pixels away: about 8 hits per border pixel.
        share = shared / 8.0 / max(outline[small] / 2.0, 1.0)
        if share < config.enclosed or close < 0.8 * shared:
            continue
        if _smooth_share(view, label == a, label == b) >= config.flush:
            pairs.append((a, b))
    return pairs


def _outlines(label: NDArray) -> NDArray:
    """Return the number of border pixels of every region."""
    border = ~_same_around(label)
    return np.bincount(label[border], minlength=int(label.max()) + 1).astype(float)


def _smooth_share(view: View, a: NDArray, b: NDArray) -> float:
    """Return the share of the border of two regions across which the surface goes on.

    Planes are fitted to each region within a few pixels of the border (box-filtered moments);
    the surface goes on where each side's plane foretells the other side's points.
    """
    both = a | b
    rows, columns = np.nonzero(both)
    crop = (
        slice(max(rows.min() - 8, 0), rows.max() + 9),
        slice(max(columns.min() - 8, 0), columns.max() + 9),
    )
    a, b, points = a[crop], b[crop], view.points[crop]
    kernel = np.ones((3, 3), np.uint8)
    border = (cv2.dilate(a.astype(np.uint8), kernel) > 0) & (
        cv2.dilate(b.astype(np.uint8), kernel) > 0
    )
    plane_a, plane_b = _local_planes(points, a, border), _local_planes(points, b, border)
    known = np.isfinite(plane_a).all(axis=1) & np.isfinite(plane_b).all(axis=1)
    if known.sum() < 5:
        return 0.0
    (ca, na), (cb, nb) = np.hsplit(plane_a[known], 2), np.hsplit(plane_b[known], 2)
    turn = np.abs((na * nb).sum(axis=1))
    step = np.maximum(np.abs(((ca - cb) * na).sum(axis=1)), np.abs(((ca - cb) * nb).sum(axis=1)))
    distance = np.linalg.norm(ca - cb, axis=1)
    smooth = (turn > np.cos(np.radians(35))) & (step < 0.0025 + 0.25 * distance + 2 * view.noise)
    return float(smooth.sum() / max(border.sum(), 1))


def _local_planes(points: NDArray, region: NDArray, at: NDArray) -> NDArray:
    """Return (M, 6) centre and normal of the region's points near each pixel of `at`."""
    known = region & np.isfinite(points).all(axis=-1)
    p = np.where(known[..., None], points, 0.0)
    # Moments about a near point: squares of metres would eat the digits that millimetres need.
    shift = p[known].mean(axis=0) if known.any() else np.zeros(3)
    p = np.where(known[..., None], p - shift, 0.0)
    products = [p[..., i] * p[..., j] for i in range(3) for j in range(i, 3)]
    layers = [known.astype(np.float64), p[..., 0], p[..., 1], p[..., 2], *products]
    sums = [cv2.boxFilter(layer, cv2.CV_64F, (11, 11), normalize=False)[at] for layer in layers]
    n = np.maximum(sums[0], 1.0)
    mean = np.stack(sums[1:4], axis=1) / n[:, None]
    moments = np.empty((len(n), 3, 3))
    index = iter(sums[4:])
    for i in range(3):
        for j in range(i, 3):
            moments[:, i, j] = moments[:, j, i] = next(index) / n - mean[:, i] * mean[:, j]
    normals = np.linalg.eigh(moments)[1][:, :, 0] if len(n) else np.empty((0, 3))
    out = np.concatenate([mean + shift, normals], axis=1)
    out[sums[0] < 12] = np.nan
    return out


def _aligned_pairs(view: View, label: NDArray) -> list[tuple[int, int]]:
    """Pair touching regions that continue one lying, elongated shape: a tool and its handle."""
    axes = {n: _axis(view.points[label == n]) for n in range(1, int(label.max()) + 1)}
    pairs = []
    for (a, b), (shared, close) in touching(label, view, 0.015 + 4 * view.noise).items():
        if axes[a] is None or axes[b] is None or close < max(4, 0.3 * shared):
            continue
        (ca, da, ea), (cb, db, eb) = axes[a], axes[b]
        between = cb - ca
        length = float(np.linalg.norm(between))
        if length < 1e-6 or max(ea, eb) < 2.5 or min(ea, eb) < 1.3:
            continue
        line = between / length
        leads = (da, db) if ea >= eb else (db, da)
        if abs(line @ leads[0]) > 0.95 and abs(line @ leads[1]) > 0.85:
            pairs.append((a, b))
    return pairs


def _axis(points: NDArray) -> tuple[NDArray, NDArray, float] | None:
    """Return centre, direction and elongation seen from above of what lies rather than stands."""
    known = points[np.isfinite(points).all(axis=-1)]
    if len(known) < 30:
        return None
    flat = known[:, :2]
    center = flat.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((flat - center).T))
    if np.ptp(np.percentile(known[:, 2], [5, 95])) > 2.5 * np.sqrt(max(values[1], 1e-9)):
        return None
    return center, vectors[:, 1], float(np.sqrt(values[1] / max(values[0], 1e-9)))


def _drop_small(view: View, label: NDArray, config: ClusterConfig) -> NDArray[np.int32]:
    """Drop what is smaller than any object."""
    kept = label.copy()
    for n in range(1, int(label.max()) + 1):
        mask = label == n
        points = view.points[mask]
        points = points[np.isfinite(points).all(axis=1)]
        if mask.sum() < config.min_pixels or len(points) < 5:
            kept[mask] = 0
            continue
        size = np.linalg.norm(np.subtract(*np.percentile(points, [95, 5], axis=0)))
        if size < config.min_size:
            kept[mask] = 0
    return _renumber(kept)
