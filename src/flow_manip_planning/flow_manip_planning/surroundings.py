# SPDX-License-Identifier: Apache-2.0
"""What one RGB-D image shows: support plane, obstacles, the object itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from roboplan.core import RobotBodyFilter, RobotBodyFilterOptions
from scipy import ndimage

from flow_manip_core.errors import NoGraspError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.transforms import invert_transform, make_transform, transform_points
from flow_manip_planning.kinematics import Array
from flow_manip_planning.overhangs import under_overhangs
from flow_manip_planning.robot_model import RobotModel

REACH_BEYOND_WORKSPACE = 0.35  # [m] obstacles this far outside can still be hit by the elbow
FLYING_PIXEL_JUMP = 0.02  # [m] between both neighbours: a pixel that hangs between two surfaces
MIN_OBJECT_POINTS = 20
MIN_PLANE_POINTS = 200
SUPPORT_RADIUS = 0.3  # [m] around the object
MAX_SLOPE = 0.27  # 15 degrees
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Surroundings:
    """The scene as planning sees it, in the world frame.

    Attributes:
        support_height: z of the plane that objects stand on, under the object [m].
        obstacles: (M, 3) centres of occupied voxels, without the object, the support and the robot
            [m].
        object_points: (N, 3) visible points of the object [m].
        voxel: edge of a voxel [m].
        slope: how much the support rises per metre of x and y.
        origin: x, y where `support_height` is meant [m].
    """

    support_height: float
    obstacles: Array
    object_points: Array
    voxel: float
    slope: tuple[float, float] = (0.0, 0.0)
    origin: tuple[float, float] = (0.0, 0.0)

    def support_at(self, points: Array) -> Array:
        """Return the support's (...,) height under (..., 3) points [m]."""
        return self.support_height + (points[..., :2] - self.origin) @ np.asarray(self.slope)

    @property
    def T_world_support(self) -> Array:
        """(4, 4) frame on the support under the object, z along its normal."""
        normal = np.array([-self.slope[0], -self.slope[1], 1.0])
        normal /= np.linalg.norm(normal)
        side = np.cross(normal, [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        rotation = np.stack([np.cross(side, normal), side, normal], axis=1)
        return make_transform([*self.origin, self.support_height], rotation)


def perceive(
    observation: Observation,
    mask: Mask,
    context: Context,
    robot: RobotModel | None,
    voxel: float = 0.008,
) -> Surroundings:
    """Split an observation into support, object and obstacles.

    Obstacles are filled down to the support: what is under a seen surface counts as occupied
    where the camera does not see through it, and not below that either (`overhangs`: pegs, hooks,
    tables). Unseen space behind an object is free. Points within 2 cm of the robot's own shape
    at the observed joints are dropped if `robot` is given.

    Raises:
        NoGraspError: fewer than 20 of the mask's pixels have depth.
    """
    points = observation.points_world()
    clean = np.isfinite(points).all(axis=-1) & ~flying_pixels(observation.depth)
    object_points = points[erode(mask.pixels) & clean]
    if len(object_points) < MIN_OBJECT_POINTS:
        object_points = points[mask.pixels & np.isfinite(points).all(axis=-1)]
    if len(object_points) < MIN_OBJECT_POINTS:
        raise NoGraspError(
            f"'{mask.label}' has {len(object_points)} points with depth, "
            f'{MIN_OBJECT_POINTS} are needed'
        )
    others = points[clean & ~ndimage.binary_dilation(mask.pixels, iterations=4)]
    lower = np.asarray(context.rig.workspace.lower) - REACH_BEYOND_WORKSPACE
    upper = np.asarray(context.rig.workspace.upper) + REACH_BEYOND_WORKSPACE
    others = others[((others >= lower) & (others <= upper)).all(axis=1)]
    level = support_height(others, context.rig.support_height)
    found = fit_support(others, level, object_points[:, :2].mean(axis=0))
    scene = replace(found, object_points=object_points, voxel=voxel)
    above = others[others[:, 2] > scene.support_at(others) + 1.25 * voxel]
    if robot is not None:
        above = without_robot(above, robot, observation)
    # Columns are filled on a level floor; the slope is taken out before and put back after.
    rise = scene.support_at(above) - scene.support_height
    level_points = above - rise[:, None] * UP
    columns = fill_columns(level_points, scene.support_height, voxel)
    rise = scene.support_at(columns) - scene.support_height
    obstacles = columns + rise[:, None] * UP
    free = seen_through(obstacles, observation, voxel)
    hanging = under_overhangs(columns, level_points, free, scene.support_height, voxel)
    return replace(scene, obstacles=obstacles[~free & ~hanging])


def flying_pixels(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say for an (H, W) depth image which pixels hang between a near and a far surface."""
    filled = np.where(np.isfinite(depth), depth, 0.0)
    near = ndimage.minimum_filter(np.where(filled > 0, filled, np.inf), size=3)
    far = ndimage.maximum_filter(filled, size=3)
    return (filled - near > FLYING_PIXEL_JUMP) & (far - filled > FLYING_PIXEL_JUMP)


def erode(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Shrink a mask by a pixel where enough of it remains."""
    smaller = ndimage.binary_erosion(pixels)
    return smaller if smaller.sum() >= max(MIN_OBJECT_POINTS, 0.6 * pixels.sum()) else pixels


def support_height(points: Array, expected: float, reach: float = 0.05) -> float:
    """Find the z with most points near the expected one; that one if there are too few."""
    z = points[np.abs(points[:, 2] - expected) < reach, 2]
    if len(z) < MIN_PLANE_POINTS:
        return float(expected)
    counts, edges = np.histogram(z, bins=50)
    counts = np.convolve(counts, np.ones(3), mode='same')
    peak = 0.5 * (edges[counts.argmax()] + edges[counts.argmax() + 1])
    return float(np.median(z[np.abs(z - peak) < 0.005]))


def fit_support(points: Array, level: float, at: Array) -> Surroundings:
    """Fit a leaning plane to the support near x, y `at`, starting from a level one.

    Least squares with a band that narrows, so that what stands on the support drops out. Level if
    too few points remain or it would lean by more than 15 degrees.

    Returns:
        support only: neither obstacles nor an object.
    """
    near = points[((points[:, :2] - at) ** 2).sum(axis=1) < SUPPORT_RADIUS**2]
    columns = np.column_stack([near[:, :2] - at, np.ones(len(near))])
    plane = np.array([0.0, 0.0, level])
    for band in (0.03, 0.015, 0.008, 0.005, 0.005):
        inside = np.abs(near[:, 2] - columns @ plane) < band
        if inside.sum() < MIN_PLANE_POINTS:
            plane = np.array([0.0, 0.0, level])
            break
        plane = np.linalg.lstsq(columns[inside], near[inside, 2], rcond=None)[0]
    if np.hypot(plane[0], plane[1]) > MAX_SLOPE or abs(plane[2] - level) > 0.03:
        plane = np.array([0.0, 0.0, level])
    nothing = np.empty((0, 3))
    slope, origin = (float(plane[0]), float(plane[1])), (float(at[0]), float(at[1]))
    return Surroundings(float(plane[2]), nothing, nothing, 0.0, slope, origin)


def without_robot(points: Array, robot: RobotModel, observation: Observation) -> Array:
    """Drop (M, 3) world points within 2 cm of the robot's own shape."""
    if len(points) == 0:
        return points
    scene = robot.new_scene()
    q = robot.arm_positions(observation.joint_positions)
    full = scene.toFullJointPositions(robot.config.arm_group, q)
    options = RobotBodyFilterOptions(padding=0.02, num_threads=1)
    own = RobotBodyFilter(scene, options).computeMask(
        full, np.ascontiguousarray(robot.to_base(points))
    )
    return points[~own]


def fill_columns(points: Array, floor: float, voxel: float, min_points: int = 2) -> Array:
    """Turn (M, 3) points into (V, 3) voxel centres, columns filled down to `floor`.

    Columns hit by fewer than `min_points` points are noise and dropped.
    """
    if len(points) == 0:
        return np.empty((0, 3))
    cells = np.floor(points[:, :2] / voxel).astype(np.int64)
    columns, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    top = np.full(len(columns), -np.inf)
    np.maximum.at(top, inverse.ravel(), points[:, 2])
    columns, top = columns[counts >= min_points], top[counts >= min_points]
    levels = np.maximum(np.rint((top - floor) / voxel).astype(int), 1)
    index = np.repeat(np.arange(len(columns)), levels)
    level = np.arange(levels.sum()) - np.repeat(np.cumsum(levels) - levels, levels)
    centers = np.empty((len(index), 3))
    centers[:, :2] = (columns[index] + 0.5) * voxel
    centers[:, 2] = floor + (level + 0.5) * voxel
    return centers


def seen_through(centers: Array, observation: Observation, voxel: float) -> NDArray[np.bool_]:
    """Say which of (V, 3) voxels are surely free: the camera sees something behind all of each."""
    if len(centers) == 0:
        return np.zeros(0, dtype=bool)
    local = transform_points(invert_transform(observation.T_world_camera), centers)
    camera = observation.camera
    # The nearest depth within the cube's outline; where there is none, nothing is known.
    depth = np.where(np.isfinite(observation.depth), observation.depth, 0.0)
    outline = np.sqrt(3.0) * voxel * camera.fx / max(float(np.median(local[:, 2])), voxel)
    nearest = ndimage.minimum_filter(depth, size=2 * int(np.ceil(outline / 2)) + 1)
    pixels = np.nan_to_num(camera.project(local), nan=-1.0)
    u, v = np.rint(pixels).astype(np.int64).T
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    free = np.zeros(len(centers), dtype=bool)
    free[inside] = nearest[v[inside], u[inside]] > local[inside, 2] + 2.0 * voxel
    return free


def thin_out(points: Array, voxel: float) -> Array:
    """Keep the mean of the points in every occupied cube of edge `voxel`."""
    cells = np.floor(points / voxel).astype(np.int64)
    _, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), 3))
    np.add.at(sums, inverse.ravel(), points)
    return sums / counts[:, None]
