# SPDX-License-Identifier: Apache-2.0
"""Free motion in this process: RRT-Connect and shortcuts of roboplan."""

from __future__ import annotations

from dataclasses import dataclass
import time

import numpy as np
from roboplan.core import (
    JointConfiguration,
    JointPath,
    PathShortcutter,
    PathShortcuttingOptions,
)
from roboplan.rrt import RRT, RRTOptions

from flow_manip_core.errors import ConfigurationError, NoPathError
from flow_manip_core.robot import Context
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld, STEP
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.ends import way_to_free_start
from flow_manip_planning.motion_planner.polishing import polish_corners

FIRST_TREE = 100  # samples; each further tree may grow twice as large


@dataclass(frozen=True)
class RoboplanConfig:
    """Parameters."""

    samples: int = _doc(4000, 'Nodes of all search trees together before giving up')
    seconds: float = _doc(5.0, 'Planning time before giving up, however few the samples [s]')
    connection_distance: float = _doc(1.5, 'Longest edge of a tree [rad]')
    shortcuts: int = _doc(20, 'Attempts to cut corners')
    polish: bool = _doc(True, 'Smooth the way and keep clear of things by least squares')

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ('samples', 'seconds', 'connection_distance'):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f'{name} is {getattr(self, name)}, must be above 0')
        if self.shortcuts < 0:
            raise ConfigurationError(f'shortcuts is {self.shortcuts}, must not be below 0')


class RoboplanPlanner:
    """The `roboplan` backend: RRT-Connect (Kuffner and LaValle 2000), restarted, then shortcuts.

    The straight line is tried first. Trees are grown to 100, 200, 400 ... nodes, each with a seed
    of its own: the time of RRT-Connect has a long tail that restarts cut off, and a cancel is seen
    between them. The shortened way is polished where that leaves it free.
    """

    Config = RoboplanConfig

    def __init__(self, config: RoboplanConfig, context: Context) -> None:
        """Keep the configuration."""
        self._config = config
        self._names = list(context.robot.joint_names)
        self._group = context.robot.arm_group

    def plan(
        self,
        start: Array,
        goal: Array,
        world: CollisionWorld,
        *,
        width: float,
        seed: int = 0,
        cancelled: Cancelled = never_cancelled,
    ) -> Array:
        """Return the corners of a way; see `MotionPlanner`."""
        way_out = way_to_free_start(
            start, goal, world, width=width, seed=seed, cancelled=cancelled
        )
        free = way_out[-1]
        if world.edge_collides(free, goal, width):
            corners = self._connect(free, goal, world, width, seed, cancelled)
            if self._config.polish:
                corners = polish_corners(corners, world, width, cancelled)
        else:
            corners = np.stack([free, goal])
        return np.concatenate([way_out[:-1], corners])

    def _connect(
        self,
        start: Array,
        goal: Array,
        world: CollisionWorld,
        width: float,
        seed: int,
        cancelled: Cancelled,
    ) -> Array:
        """Grow trees until two meet; their way is then shortened."""
        began, samples, size, reason, tree = time.monotonic(), 0, FIRST_TREE, '', 0
        world.scene.setJointPositions(world.configuration(start, width))
        while samples < self._config.samples:
            stop_if(cancelled)
            left = self._config.seconds - (time.monotonic() - began)
            if left <= 0:
                break
            planner = RRT(world.scene, self._options(min(size, self._config.samples), left))
            planner.setRngSeed((seed + tree) % 2**31)
            try:
                path = planner.plan(self._joints(start), self._joints(goal))
            except RuntimeError as error:
                reason = str(error)
                # A tree that ended early without a node more must count too.
                samples += max(sum(len(nodes) for nodes in planner.getNodes()), FIRST_TREE // 10)
                size, tree = 2 * size, tree + 1
                continue
            stop_if(cancelled)
            return self._shortened(path, world, seed)
        raise NoPathError(
            f'no way found with {samples} samples in {tree} trees and '
            f'{time.monotonic() - began:.2f} s over {np.abs(goal - start).max():.2f} rad: {reason}'
        )

    def _options(self, size: int, seconds: float) -> RRTOptions:
        """Return the options of one pair of trees."""
        return RRTOptions(
            group_name=self._group,
            max_nodes=size,
            max_connection_distance=self._config.connection_distance,
            collision_check_step_size=STEP,
            max_planning_time=seconds,
            rrt_connect=True,
        )

    def _shortened(self, path: JointPath, world: CollisionWorld, seed: int) -> Array:
        """Cut corners of a path; seeds of roboplan's shortcutter below zero mean random."""
        if self._config.shortcuts == 0:
            return np.array(path.positions)
        options = PathShortcuttingOptions(
            group_name=self._group,
            max_step_size=STEP,
            max_iters=self._config.shortcuts,
            seed=seed % 2**31,
        )
        return np.array(PathShortcutter(world.scene, options).shortcut(path).positions)

    def _joints(self, q: Array) -> JointConfiguration:
        """Return (J,) as roboplan takes it."""
        return JointConfiguration(self._names, q)
