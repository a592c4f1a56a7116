# SPDX-License-Identifier: Apache-2.0
"""One rigid thing followed through colour and depth images: where untextured points went.

A plain block has nothing inside that could be matched from image to image, but its shape in 3D and
its colour against what is around it say how it moved. The thing's surface of the first image is
fitted to every later one: iterated closest points in position and colour together (Johnson and
Kang 1999), distances counted mostly along the surface's normal (Chen and Medioni 1992), robustly
weighted (Geman and McClure), helped by tracks of textured points. As it turns, surface that comes
into view is added to what is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from flow_manip_core.camera import CameraModel
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_perception.tracking.small_motions import (
    exp_motion,
    log_motion,
    normal_equations,
    turn_by,
)
from flow_manip_perception.tracking.surface import (
    Cloud,
    cloud_of,
    draw,
    sample_nearest,
    Surface,
    surface_normals,
    weighted_colors,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RigidConfig:
    """How a rigid thing is fitted.

    Attributes:
        model_points: surface points that are fitted.
        frame_points: points of an image that they are compared with.
        iterations: at most, per image.
        color_weight: metres that a colour as far off as black from white counts.
        first_reach: distance within which matches count at an image's first iteration [m].
        last_reach: the same at its last one [m].
        tangential: share of distances along the surface in those across it.
        track_weight: of a textured point's track against one surface point.
        inlier_distance: matched nearer than this a surface point is explained [m].
        min_inliers: share of the points in sight that must be explained.
        sure_inliers: share from which no other start is tried.
        same_start: a start this near to where a fit ended would end there again [m].
        search: how far around a lost thing is looked for [m].
        max_points: surface points that are known, with those that came into view.
        grow_inliers: share that must be explained before some are added.
        grow_reach: how near to known surface of its colour added one is [m].
        min_visible: surface points that must be in sight.
        grow_after: turn since surface was last added, before more is [rad].
    """

    model_points: int = field(default=500, metadata={'doc': 'Surface points'})
    frame_points: int = field(default=3000, metadata={'doc': 'Points of an image'})
    iterations: int = field(default=12, metadata={'doc': 'At most, per image'})
    color_weight: float = field(default=0.1, metadata={'doc': 'Of black against white [m]'})
    first_reach: float = field(default=0.03, metadata={'doc': 'Of matches, at first [m]'})
    last_reach: float = field(default=0.005, metadata={'doc': 'Of matches, at last [m]'})
    tangential: float = field(default=0.15, metadata={'doc': 'Distances along the surface count'})
    track_weight: float = field(default=0.5, metadata={'doc': 'Of a track'})
    inlier_distance: float = field(default=0.006, metadata={'doc': 'Explained [m]'})
    min_inliers: float = field(default=0.4, metadata={'doc': 'Share explained'})
    sure_inliers: float = field(default=0.85, metadata={'doc': 'No other start is tried'})
    same_start: float = field(default=0.005, metadata={'doc': 'Starts that are tried once [m]'})
    search: float = field(default=0.12, metadata={'doc': 'Around a lost thing [m]'})
    max_points: int = field(default=1500, metadata={'doc': 'Surface points that are known'})
    grow_inliers: float = field(default=0.75, metadata={'doc': 'Share explained, to add some'})
    grow_reach: float = field(default=0.012, metadata={'doc': 'Of surface that is added [m]'})
    min_visible: int = field(default=12, metadata={'doc': 'Points in sight'})
    grow_after: float = field(default=0.2, metadata={'doc': 'Turn before surface is added [rad]'})


@dataclass(frozen=True)
class Fit:
    """A pose that was tried.

    Attributes:
        pose: (4, 4) motion since the first image.
        shown: (K,) indices of surface points in sight.
        explained: (K,) whether the image explains them.
        trust: (K,) in them.
    """

    pose: Array
    shown: NDArray[np.int64]
    explained: NDArray[np.bool_]
    trust: Array

    @property
    def inliers(self) -> float:
        """Share of what is in sight that is explained, sure points counted more."""
        return float(self.trust @ self.explained / max(self.trust.sum(), 1e-9))

    @property
    def score(self) -> float:
        """How many points more are explained than contradicted."""
        return float(self.trust @ np.where(self.explained, 1.0, -0.5))


class RigidRegion:
    """A rigid thing and where it is.

    Attributes:
        surface: what is known of it, where it was in the first image.
        pose: (4, 4) where it is, as a motion since the first image, in the camera's frame.
        found: False where the last image did not show it as expected.
        inliers: share of its points in sight that the last image explained.
    """

    def __init__(
        self,
        frame: NDArray[np.uint8],
        depth: NDArray[np.float32],
        mask: NDArray[np.bool_],
        camera: CameraModel,
        config: RigidConfig,
    ) -> None:
        """Learn the surface.

        Args:
            frame: (H, W, 3) uint8 RGB of the first image.
            depth: (H, W) metres, NaN unknown.
            mask: (H, W) pixels of the thing.
            camera: of the image.
            config: as it says.
        """
        self._camera, self._config = camera, config
        self._rng = np.random.default_rng(0)
        self.pose, self._velocity = np.eye(4), np.zeros(6)
        self.found, self.inliers = True, 1.0
        normals = surface_normals(depth, mask, camera)
        usable = mask & np.isfinite(normals).all(axis=2)
        cloud = cloud_of(frame, depth, usable, camera, config.color_weight)
        keep = draw(len(cloud.points), config.model_points, self._rng)
        u, v = cloud.pixels[keep].T
        self.surface = Surface(cloud.points[keep], normals[v, u], cloud.colors[keep])
        self._grown_at = np.eye(3)
        self._background = (
            np.where(mask, np.nan, depth),
            weighted_colors(frame, config.color_weight),
        )

    @property
    def usable(self) -> bool:
        """Whether enough surface is known to follow it."""
        return len(self.surface) >= self._config.min_visible

    @property
    def reach(self) -> float:
        """Distance of the farthest surface point from their middle [m]."""
        middle = self.surface.points.mean(axis=0)
        return float(np.linalg.norm(self.surface.points - middle, axis=1).max())

    def follow(
        self,
        frame: NDArray[np.uint8],
        depth: NDArray[np.float32],
        tracked: tuple[Array, Array] | None = None,
    ) -> None:
        """Find it in the next image.

        Args:
            frame: (H, W, 3) uint8 RGB.
            depth: (H, W) metres, NaN unknown.
            tracked: (K, 3) places of points of it in the first image and (K, 3) where tracks say
                that they are now; wrong ones are outweighed.
        """
        guess = exp_motion(self._velocity) @ self.pose
        best: Fit | None = None
        for start in self._starts(guess, frame, depth, tracked):
            if best is not None and self._apart(start, best.pose) < self._config.same_start:
                continue
            cloud = self._around(frame, depth, start)
            if len(cloud.points) < self._config.min_visible:
                continue
            fit = self._fit(cloud, depth, start, tracked)
            if fit is not None and (best is None or fit.score > best.score):
                best = fit
            if best is not None and best.inliers > self._config.sure_inliers:
                break
        self._take(best)
        if self.found:
            self._grow(frame, depth)

    def turned_away(self, points: Array, normals: Array) -> NDArray[np.bool_]:
        """Tell which of its points, where they are now, lie on a side that cannot be seen.

        Args:
            points: (N, 3) in the camera's frame [m].
            normals: (N, 3) of the surface in the first image.
        """
        return (normals @ self.pose[:3, :3].T * points).sum(axis=1) > 0

    def covered(self, points: Array, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which (N, 3) points in the camera's frame have something else in front of them.

        A point that should be in sight and is not, nor covered, speaks against the fit.
        """
        found = sample_nearest(depth, self._camera.project(points))
        return found < points[:, 2] - self._config.inlier_distance

    # -------------------------------------------------------------- fitting

    def _starts(
        self,
        guess: Array,
        frame: NDArray[np.uint8],
        depth: NDArray[np.float32],
        tracked: tuple[Array, Array] | None,
    ) -> Iterator[Array]:
        """Give poses to start from, the likeliest first; later ones cost more to find."""
        if not self.usable:
            return
        yield guess
        yield self.pose
        if (moved := self._from_tracks(tracked)) is not None:
            yield moved
        if (found := self._search(frame, depth, guess)) is not None:
            yield found

    def _apart(self, first: Array, second: Array) -> float:
        """Return how far two (4, 4) poses put any surface point apart [m]."""
        gaps = transform_points(first, self.surface.points)
        gaps -= transform_points(second, self.surface.points)
        return float(np.sqrt((gaps * gaps).sum(axis=1).max()))

    def _search(
        self, frame: NDArray[np.uint8], depth: NDArray[np.float32], guess: Array
    ) -> Array | None:
        """Return the guess shifted in the image to where colour and depth fit best.

        None where less than half of the points fit anywhere.
        """
        config = self._config
        keep = draw(len(self.surface), 120, self._rng)
        here = transform_points(guess, self.surface.points[keep])
        facing = (self.surface.normals[keep] @ guess[:3, :3].T * here).sum(axis=1) < 0
        here, colors = here[facing], self.surface.colors[keep][facing]
        if len(here) < config.min_visible or (here[:, 2] < 0.05).any():
            return None
        radius = config.search * self._camera.fx / float(np.median(here[:, 2]))
        line = np.arange(-radius, radius + 1, max(3.0, radius / 12))
        shifts = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        pixels = np.rint(self._camera.project(here)[None] + shifts[:, None]).astype(int)
        height, width = depth.shape
        inside = ((pixels >= 0) & (pixels < [width, height])).all(axis=2)
        u, v = np.where(inside, pixels[..., 0], 0), np.where(inside, pixels[..., 1], 0)
        seen = weighted_colors(frame[v, u], config.color_weight)
        alike = inside & (np.linalg.norm(seen - colors, axis=2) < 0.1 * config.color_weight)
        nearer = depth[v, u] - here[:, 2]
        with np.errstate(invalid='ignore'), warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)  # nothing alike at that shift
            offset = np.nanmedian(np.where(alike, nearer, np.nan), axis=1)
            alike &= np.abs(nearer - offset[:, None]) < config.first_reach
        share = alike.mean(axis=1)
        best = int(share.argmax())
        if share[best] < 0.5:
            return None
        depth_there = float(np.median(here[:, 2])) + offset[best]
        across = shifts[best] * depth_there / [self._camera.fx, self._camera.fy]
        middle = here.mean(axis=0)
        start = guess.copy()
        start[:3, 3] += [*(across + middle[:2] * offset[best] / middle[2]), offset[best]]
        return start

    def _from_tracks(self, tracked: tuple[Array, Array] | None) -> Array | None:
        """Return the present pose moved by the tracks' median; None where there are too few."""
        if tracked is None or len(tracked[0]) < 4:
            return None
        moved = np.median(tracked[1] - transform_points(self.pose, tracked[0]), axis=0)
        start = self.pose.copy()
        start[:3, 3] += moved
        return start

    def _fit(
        self,
        cloud: Cloud,
        depth: NDArray[np.float32],
        start: Array,
        tracked: tuple[Array, Array] | None,
    ) -> Fit | None:
        """Fit from one start; None where too little is in sight there."""
        config, pose = self._config, start
        chosen = self.surface.facing(start, config.model_points, self._rng)
        surface, facing = self.surface.points[chosen], self.surface.normals[chosen]
        colors, trust = self.surface.colors[chosen], self.surface.trust[chosen]
        # It is asked a dozen times only: a tree that is balanced does not pay.
        targets = np.hstack([cloud.points, cloud.colors])
        tree = cKDTree(targets, balanced_tree=False, compact_nodes=False)
        reaches = np.geomspace(config.first_reach, config.last_reach, config.iterations - 3)
        for i in range(config.iterations):
            reach = reaches[min(i, len(reaches) - 1)]
            here = transform_points(pose, surface)
            normals = facing @ pose[:3, :3].T
            shown = self._shown(here, normals, depth, reach)
            if shown.sum() < config.min_visible:
                return None
            here, normals = here[shown], normals[shown]
            distance, index = tree.query(np.hstack([here, colors[shown]]))
            weight = (reach**2 / (reach**2 + distance**2)) ** 2 * trust[shown]
            step = self._step(here, normals, cloud.points[index], weight, tracked, pose, reach)
            pose = exp_motion(step) @ pose
            if reach == reaches[-1] and np.abs(step).max() < 1e-4:
                break
        here = transform_points(pose, surface)
        shown = self._shown(here, facing @ pose[:3, :3].T, depth, config.last_reach)
        if shown.sum() < config.min_visible:
            return None
        distance, index = tree.query(np.hstack([here[shown], colors[shown]]))
        near = np.linalg.norm(cloud.points[index] - here[shown], axis=1) < config.inlier_distance
        near &= distance < 3 * config.inlier_distance
        return Fit(pose, chosen[shown], near, trust[shown])

    def _step(
        self,
        here: Array,
        normals: Array,
        target: Array,
        weight: Array,
        tracked: tuple[Array, Array] | None,
        pose: Array,
        reach: float,
    ) -> Array:
        """Return the (6,) turn and shift that brings the points nearer to their targets."""
        tangential = self._config.tangential
        metric = normals[:, :, None] * normals[:, None, :] * (1.0 - tangential)
        metric += tangential * np.eye(3)
        metric *= weight[:, None, None]
        center = here.mean(axis=0)
        A, b = normal_equations(here - center, target - here, metric)
        if tracked is not None and len(tracked[0]):
            moved = transform_points(pose, tracked[0])
            gap = tracked[1] - moved
            trust = (reach**2 / (reach**2 + (gap**2).sum(axis=1))) ** 2
            trust *= self._config.track_weight * min(1.0, 0.5 * weight.sum() / max(trust.sum(), 1))
            extra = normal_equations(moved - center, gap, trust[:, None, None] * np.eye(3))
            A, b = A + extra[0], b + extra[1]
        # What nothing determines (the turn of a plain cylinder) stays as it is.
        spread = max(float((here - center).var(axis=0).sum()), 1e-6)
        prior = 0.003 * weight.sum() * np.array([spread] * 3 + [1.0] * 3)
        step = np.linalg.solve(A + np.diag(prior + 1e-12), b)
        turn = np.linalg.norm(step[:3])
        if turn > 0.2:
            step *= 0.2 / turn
        step[3:] += center - turn_by(step[:3]) @ center
        return step

    def _shown(
        self, here: Array, normals: Array, depth: NDArray[np.float32], slack: float
    ) -> NDArray[np.bool_]:
        """Tell which surface points face the camera with nothing in front."""
        toward = -(normals * here).sum(axis=1) / np.maximum(np.linalg.norm(here, axis=1), 1e-9)
        pixels = self._camera.project(here)
        found = sample_nearest(depth, pixels)
        return (toward > 0.1) & ~(found < here[:, 2] - max(slack, 0.01))

    def _take(self, best: Fit | None) -> None:
        """Believe the fit if it explains enough."""
        self.inliers = 0.0 if best is None else best.inliers
        self.found = self.inliers >= self._config.min_inliers
        if not self.found or best is None:
            self._velocity = 0.5 * self._velocity
            return
        self._velocity = log_motion(best.pose @ invert_transform(self.pose))
        self.pose = best.pose
        self.surface.tally(best.shown, best.explained)

    # -------------------------------------------------------------- images

    def _around(
        self,
        frame: NDArray[np.uint8],
        depth: NDArray[np.float32],
        pose: Array,
        *,
        thin: bool = True,
    ) -> Cloud:
        """Return the image's points around where the thing is expected."""
        here = transform_points(pose, self.surface.points)
        pixels = self._camera.project(here[here[:, 2] > 0.05])
        if not len(pixels):
            return Cloud(np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 2), np.int64))
        height, width = depth.shape
        margin = 6 + self._config.first_reach * self._camera.fx / np.median(here[:, 2])
        low = np.clip(pixels.min(axis=0) - margin, 0, [width, height]).astype(int)
        high = np.clip(pixels.max(axis=0) + margin, 0, [width, height]).astype(int) + 1
        box = np.s_[low[1] : high[1], low[0] : high[0]]
        part = depth[box]
        nearest, farthest = here[:, 2].min() - 0.03, here[:, 2].max() + 0.03
        usable = (part > nearest) & (part < farthest)
        share = usable.sum() / self._config.frame_points if thin else 0.0
        return cloud_of(
            frame[box],
            part,
            usable if share <= 1 else usable & (self._rng.random(usable.shape) * share < 1),
            self._camera,
            self._config.color_weight,
            offset=(int(low[0]), int(low[1])),
        )

    # --------------------------------------------------------------- growing

    def _grow(self, frame: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        """Add surface that has come into view, where the fit leaves no doubt."""
        config = self._config
        turned = Rotation.from_matrix(self._grown_at.T @ self.pose[:3, :3]).magnitude()
        room = config.max_points - len(self.surface)
        if turned < config.grow_after or self.inliers < config.grow_inliers or room <= 0:
            return
        self._grown_at = self.pose[:3, :3].copy()
        cloud = self._around(frame, depth, self.pose, thin=False)
        here = transform_points(self.pose, self.surface.points)
        shown = self._shown(
            here, self.surface.normals @ self.pose[:3, :3].T, depth, config.last_reach
        )
        if not len(cloud.points) or shown.sum() < config.min_visible:
            return
        known = cKDTree(np.hstack([here[shown], self.surface.colors[shown]]))
        near, _ = known.query(np.hstack([cloud.points, cloud.colors]))
        mine = (near < config.grow_reach) & ~self._was_there(cloud)
        mask = np.zeros(depth.shape, dtype=bool)
        mask[cloud.pixels[mine, 1], cloud.pixels[mine, 0]] = True
        normals = surface_normals(depth, mask, self._camera)[
            cloud.pixels[:, 1], cloud.pixels[:, 0]
        ]
        apart, _ = cKDTree(here).query(cloud.points)
        new = np.flatnonzero(
            mine & np.isfinite(normals).all(axis=1) & (apart > self.surface.spacing)
        )
        if not len(new):
            return
        new = new[draw(len(new), min(room, len(new) // 3 + 1), self._rng)]
        self.surface.add(self.pose, cloud.points[new], normals[new], cloud.colors[new])

    def _was_there(self, cloud: Cloud) -> NDArray[np.bool_]:
        """Tell which points the first image showed at the same pixel, beside the thing."""
        depth, colors = self._background
        u, v = cloud.pixels.T
        with np.errstate(invalid='ignore'):
            same = np.abs(depth[v, u] - cloud.points[:, 2]) < 2 * self._config.inlier_distance
        unlike = np.linalg.norm(colors[v, u] - cloud.colors, axis=1)
        return same & (unlike < 0.15 * self._config.color_weight)
