# SPDX-License-Identifier: Apache-2.0
"""Free motion in this process: RRT-Connect and shortcuts of roboplan."""

from __future__ import annotations

from dataclasses import dataclass
import time

import numpy as np
from roboplan.core import (
    JointPath,
    PathShortcutter,
    PathShortcuttingOptions,
)

from flow_manip_core.errors import ConfigurationError, NoPathError
from flow_manip_core.robot import Context
from flow_manip_planning.cancelling import Cancelled, never_cancelled, stop_if
from flow_manip_planning.collision_world import CollisionWorld, STEP
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.kinematics import Array
from flow_manip_planning.motion_planner.ends import way_to_free_start
from flow_manip_planning.motion_planner.polishing import polish_corners
from flow_manip_planning.motion_planner.rrt_connect import search


@dataclass(frozen=True)
class RoboplanConfig:
    """Parameters."""

    samples: int = _doc(4000, 'Nodes of both search trees before giving up')
    seconds: float = _doc(5.0, 'Planning time before giving up, however few the samples [s]')
    connection_distance: float = _doc(0.8, 'Longest edge of a tree [rad]')
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
    """The `roboplan` backend: RRT-Connect (Kuffner and LaValle 2000), then shortcuts.

    The straight line is tried first. Collisions, shortcuts and the scene are roboplan's; the
    search is `rrt_connect`, which sees a cancel after every edge. The shortened way is polished
    where that leaves it free.
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
        """Grow trees until they meet; their way is then shortened."""
        began, chain, config = time.monotonic(), world.robot.chain, self._config
        rng = np.random.default_rng(seed)

        def go_on() -> bool:
            stop_if(cancelled)
            return time.monotonic() - began < config.seconds

        found = search(
            start,
            goal,
            lambda: rng.uniform(chain.lower, chain.upper),
            lambda a, b: not world.edge_collides(a, b, width),
            step=config.connection_distance,
            samples=config.samples,
            go_on=go_on,
        )
        if found.path is None:
            raise NoPathError(
                f'no way found with {found.samples} samples in {time.monotonic() - began:.2f} s '
                f'over {np.abs(goal - start).max():.2f} rad'
            )
        stop_if(cancelled)
        # Other joints, the fingers, stay where the scene has them.
        world.scene.setJointPositions(world.configuration(start, width))
        return self._shortened(found.path, world, seed)

    def _shortened(self, path: Array, world: CollisionWorld, seed: int) -> Array:
        """Cut corners of (K, J); seeds of roboplan's shortcutter below zero mean random."""
        if self._config.shortcuts == 0:
            return path
        options = PathShortcuttingOptions(
            group_name=self._group,
            max_step_size=STEP,
            max_iters=self._config.shortcuts,
            seed=seed % 2**31,
        )
        way = JointPath()
        way.joint_names, way.positions = self._names, list(path)
        return np.array(PathShortcutter(world.scene, options).shortcut(way).positions)
