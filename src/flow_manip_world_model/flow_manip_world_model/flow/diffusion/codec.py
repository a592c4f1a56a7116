# SPDX-License-Identifier: Apache-2.0
"""An object flow as F (T, G, G, 4) = u, v, depth, visibility, and back.

A grid of G x G cells lies over the box of the object's eroded mask. Each cell has one point of
the object, its anchor, as near to the cell's centre as there is one; a cell without a point takes
its nearest neighbour's and is marked. F says where every anchor is at T moments after the start,
evenly spaced over the motion.

Coordinates 'image' are 3DFlowAction's: u and v over the image's size, depth over a fixed range,
all in -1..1. Coordinates 'motion' are ours: with x, y, z in the camera's frame, z_c the anchors'
median depth at the start and s the scale, ::

    F_u = (x_t / z_t - x_0 / z_0) * z_c / s
    F_v = (y_t / z_t - y_0 / z_0) * z_c / s
    F_z = (z_t - z_0) / s

so that one unit is about the same length along all three, focal lengths do not matter, and an
object that rests is zero. Both are inverted exactly. Visibility is 2 * confidence - 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from flow_manip_core.errors import InvalidInputError, TooFewPointsError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_world_model.flow.diffusion.config import CodecConfig
from flow_manip_world_model.points import grow_mask

MIN_DEPTH = 0.02  # [m]; nothing that a network says lies behind the camera

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Anchors:
    """The grid's points at the start.

    Attributes:
        pixels: (G, G, 2) u, v [px]; rows are v, columns u.
        depth: (G, G) along the optical axis [m].
        valid: (G, G) False where a cell has no point of its own and shows its neighbour's.
    """

    pixels: Array
    depth: Array
    valid: NDArray[np.bool_]

    def points(self, observation: Observation) -> Array:
        """Return (G, G, 3) positions in the camera's frame [m]."""
        return observation.camera.deproject(self.pixels, self.depth)


@dataclass(frozen=True)
class EncodedFlow:
    """F with what belongs to it.

    Attributes:
        values: (T, G, G, 4) u, v, depth, visibility.
        known: (T, G, G) True where the flow says where the anchor is.
        anchors: at the start.
        chosen: (G, G) index of each anchor in the flow.
    """

    values: Array
    known: NDArray[np.bool_]
    anchors: Anchors
    chosen: NDArray[np.int64]


class FlowCodec:
    """Encodes and decodes by one configuration."""

    def __init__(self, config: CodecConfig) -> None:
        """Keep the configuration."""
        self.config = config

    def anchors(self, observation: Observation, mask: Mask) -> Anchors:
        """Choose anchors on what a mask shows.

        The mask is eroded as far as enough cells keep a point.

        Raises:
            TooFewPointsError: even the whole mask has too few cells with depth.
            InvalidInputError: the mask has another size than the image.
        """
        if mask.pixels.shape != observation.depth.shape:
            raise InvalidInputError(
                f'mask is {mask.pixels.shape}, the image {observation.depth.shape}'
            )
        known = np.isfinite(observation.depth) & (observation.depth > MIN_DEPTH)
        count = 0
        for erosion in range(self.config.erosion, -1, -1):
            inside = mask.pixels & known
            if erosion:
                inside &= grow_mask(mask.pixels, -erosion)
            v, u = np.nonzero(inside)
            if len(u) == 0:
                continue
            pixels = np.stack([u, v], axis=-1).astype(np.float64)
            chosen, valid = self._spread(pixels)
            count = int(valid.sum())
            if count >= self.config.min_points:
                return Anchors(
                    pixels[chosen], observation.depth[v, u][chosen].astype(float), valid
                )
        raise TooFewPointsError(
            f"'{mask.label}': {count} of {self.config.grid**2} cells of its box show a point with "
            f'depth, {self.config.min_points} are needed'
        )

    def encode(self, flow: ObjectFlow, observation: Observation) -> EncodedFlow:
        """Turn a flow in the world into F; its own points become the anchors.

        Raises:
            TooFewPointsError: too few of its points are seen at the start.
        """
        seen = np.flatnonzero(flow.visible[0])
        moved = self._resampled(flow, seen)
        T_camera_world = invert_transform(observation.T_world_camera)
        points = transform_points(T_camera_world, moved)
        in_front = np.isfinite(points[0]).all(axis=-1) & (points[0, :, 2] > MIN_DEPTH)
        seen, points = seen[in_front], points[:, in_front]
        if len(seen) == 0:
            raise TooFewPointsError(f"'{flow.object}': no point is seen at the start")
        chosen, valid = self._spread(observation.camera.project(points[0]))
        if (count := int(valid.sum())) < self.config.min_points:
            raise TooFewPointsError(
                f"'{flow.object}': {count} of {self.config.grid**2} cells have a point of the "
                f'flow, {self.config.min_points} are needed'
            )
        points = points[:, chosen]
        known = np.isfinite(points).all(axis=-1) & (points[..., 2] > MIN_DEPTH)
        points = _held(points, known)
        anchors = Anchors(observation.camera.project(points[0]), points[0, ..., 2], valid)
        confidence = self._confidence(flow)[:, seen[chosen]]
        values = np.concatenate(
            [
                self._to_values(points[1:], points[0], observation),
                2.0 * confidence[1:, ..., None] - 1.0,
            ],
            axis=-1,
        )
        return EncodedFlow(values, known[1:] & valid, anchors, seen[chosen])

    def decode(
        self,
        values: NDArray,
        anchors: Anchors,
        observation: Observation,
        *,
        object: str = '',
        source: str = '',
    ) -> ObjectFlow:
        """Turn F into a flow of T + 1 steps in the world; cells without a point are left out.

        Args:
            values: (T, G, G, 4).
            anchors: at the start.
            observation: that the anchors are of.
            object: words for the object.
            source: who says so.

        Raises:
            InvalidInputError: `values` has another shape, or is not finite.
        """
        values = np.asarray(values, dtype=np.float64)
        config = self.config
        if values.shape != (config.frames, config.grid, config.grid, 4):
            raise InvalidInputError(
                f'F is {values.shape}, expected {(config.frames, config.grid, config.grid, 4)}'
            )
        if not np.isfinite(values).all():
            raise InvalidInputError('F is not finite')
        start = anchors.points(observation)
        points = self._to_points(values, start, observation)[:, anchors.valid]
        points = np.concatenate([start[None, anchors.valid], points])
        world = transform_points(observation.T_world_camera, points)
        seen = np.clip((values[..., 3] + 1.0) / 2.0, 0.0, 1.0)[:, anchors.valid]
        return ObjectFlow(
            world.astype(np.float32),
            np.concatenate([np.ones_like(seen[:1]), seen]).astype(np.float32),
            self.times(world),
            frame_id=observation.frame_id,
            object=object,
            source=source,
            point_ids=np.flatnonzero(anchors.valid.ravel()).astype(np.uint32),
            stamp=observation.stamp,
        )

    def times(self, points: Array) -> Array:
        """Return (T + 1,) seconds for (T + 1, N, 3) positions: a mean speed, a least duration."""
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum(axis=0)
        duration = max(self.config.min_duration, float(lengths.max()) / self.config.speed)
        return np.linspace(0.0, duration, len(points))

    def _spread(self, pixels: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Choose of (P, 2) pixels the one nearest to each cell's centre.

        Returns:
            (G, G) indices and (G, G) whether the cell has a pixel of its own.
        """
        grid = self.config.grid
        lower, upper = pixels.min(axis=0), pixels.max(axis=0)
        place = (pixels - lower + 0.5) / (upper - lower + 1.0) * grid
        cell = np.clip(place.astype(np.int64), 0, grid - 1)
        offset = ((place - cell - 0.5) ** 2).sum(axis=1)
        number = cell[:, 1] * grid + cell[:, 0]
        order = np.lexsort((offset, number))
        cells, first = np.unique(number[order], return_index=True)
        valid = np.zeros(grid * grid, dtype=bool)
        valid[cells] = True
        chosen = np.zeros(grid * grid, dtype=np.int64)
        chosen[cells] = order[first]
        valid = valid.reshape(grid, grid)
        nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
        return chosen.reshape(grid, grid)[tuple(nearest)], valid

    def _moments(self, flow: ObjectFlow) -> tuple[NDArray[np.int64], Array]:
        """Return (T + 1,) the step before each even moment, and how far it is to the next."""
        moments = np.linspace(flow.times[0], flow.times[-1], self.config.frames + 1)
        before = np.searchsorted(flow.times, moments, side='right') - 1
        before = np.clip(before, 0, max(flow.num_steps - 2, 0))
        after = np.minimum(before + 1, flow.num_steps - 1)
        span = np.where(after > before, flow.times[after] - flow.times[before], 1.0)
        share = np.clip((moments - flow.times[before]) / span, 0.0, 1.0)
        # A step that is a moment up to rounding is taken as it is.
        return before, np.where(np.abs(share - np.round(share)) < 1e-6, np.round(share), share)

    def _resampled(self, flow: ObjectFlow, columns: NDArray[np.int64]) -> Array:
        """Return (T + 1, K, 3) positions of some points at even moments, NaN where unknown."""
        before, share = self._moments(flow)
        after = np.minimum(before + 1, flow.num_steps - 1)
        points = flow.points[:, columns].astype(np.float64)
        weight = share[:, None, None]
        mixed = points[before] * (1.0 - weight) + points[after] * weight
        mixed = np.where(weight == 0.0, points[before], mixed)
        return np.where(weight == 1.0, points[after], mixed)

    def _confidence(self, flow: ObjectFlow) -> Array:
        """Return (T + 1, N) confidence at even moments, of the nearer step."""
        before, share = self._moments(flow)
        nearer = np.minimum(before + (share >= 0.5), flow.num_steps - 1)
        return flow.confidence[nearer].astype(np.float64)

    def _to_values(self, points: Array, start: Array, observation: Observation) -> Array:
        """Return u, v, depth of (T, G, G, 3) camera points in the configured coordinates."""
        config = self.config
        if config.coordinates == 'image':
            pixels = observation.camera.project(points)
            uv = 2.0 * pixels / _last_pixel(observation) - 1.0
            depth = 2.0 * (points[..., 2:] - config.near) / (config.far - config.near) - 1.0
        else:
            middle = float(np.median(start[..., 2]))
            rays = points[..., :2] / points[..., 2:] - start[..., :2] / start[..., 2:]
            uv = rays * middle / config.scale
            depth = (points[..., 2:] - start[..., 2:]) / config.scale
        return np.concatenate([uv, depth if config.depth else np.zeros_like(depth)], axis=-1)

    def _to_points(self, values: Array, start: Array, observation: Observation) -> Array:
        """Invert `_to_values`."""
        config = self.config
        if not config.depth:
            depth = np.broadcast_to(start[..., 2], values.shape[:-1])
        elif config.coordinates == 'image':
            depth = (values[..., 2] + 1.0) / 2.0 * (config.far - config.near) + config.near
        else:
            depth = values[..., 2] * config.scale + start[..., 2]
        depth = np.maximum(depth, MIN_DEPTH)
        if config.coordinates == 'image':
            pixels = (values[..., :2] + 1.0) / 2.0 * _last_pixel(observation)
            return observation.camera.deproject(pixels, depth)
        middle = float(np.median(start[..., 2]))
        rays = values[..., :2] * config.scale / middle + start[..., :2] / start[..., 2:]
        return np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)


def _last_pixel(observation: Observation) -> Array:
    """Return (2,) the last column and row."""
    return np.array([observation.camera.width - 1.0, observation.camera.height - 1.0])


def _held(points: Array, known: NDArray[np.bool_]) -> Array:
    """Let (T, G, G, 3) points rest where they were last known; the first step is known."""
    steps = np.arange(len(points))[:, None, None]
    last = np.maximum.accumulate(np.where(known, steps, 0), axis=0)
    rows, columns = np.indices(points.shape[1:3])
    return points[last, rows, columns]


def masked_depth(values: NDArray, config: CodecConfig, anchors: Anchors) -> NDArray:
    """Return F (..., T, G, G, 4) with depth as at the start: the 2D ablation at run time."""
    values = np.array(values)
    if config.coordinates == 'image':
        values[..., 2] = 2.0 * (anchors.depth - config.near) / (config.far - config.near) - 1.0
    else:
        values[..., 2] = 0.0
    return values
