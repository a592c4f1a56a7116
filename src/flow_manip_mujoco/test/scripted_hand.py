# SPDX-License-Identifier: Apache-2.0
"""A hand that takes hold of a bar and follows a reference: what a task must make possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray
from reaching import joints_of, smooth_motion

from flow_manip_core.plan import Trajectory
from flow_manip_core.transforms import quaternion_from_transform
from flow_manip_mujoco.arm import CellArm, CellGripper
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.panda import ARM_JOINTS, FINGER_JOINTS
from flow_manip_mujoco.tasks import ReferenceMotion, TaskStep
from flow_manip_planning.inverse_kinematics import (
    follow_poses,
    random_starts,
    solve_ik,
    solve_ik_multistart,
)
from flow_manip_planning.robot_model import RobotModel

Array = NDArray[np.float64]

TILTS = np.radians([0.0, 15.0, -15.0, 30.0, -30.0, 45.0, 60.0])
RESERVE = 0.026  # [m] how much wider than the bar the hand opens
BACK = 0.08  # [m] from before the grasp to the grasp
OVERLAP = 5e-4  # [m] of shapes that still counts as clear


@dataclass(frozen=True)
class Hold:
    """A way to do a step: joints (7,) before the grasp, then (T, 7) along the reference."""

    before: Array
    path: Array


class ScriptedHand:
    """Finds holds by inverse kinematics and the cell's own collision shapes, and performs them."""

    def __init__(self, cell: SimulatedCell) -> None:
        """Prepare the kinematics of the cell's arm."""
        robot = RobotModel.from_context(cell.context)
        self._cell, self._chain, self._home = cell, robot.chain, robot.home
        starts = random_starts(robot.chain, 24, np.random.default_rng(0))
        self._starts = np.vstack([robot.home[None], starts])

    def holds(self, step: TaskStep, reference: ReferenceMotion) -> Iterator[Hold]:
        """Yield holds whose whole way is within the joints' limits and free of collision."""
        chain, cell = self._chain, self._cell
        grasps = self._grasps(step, reference)
        q, solved = solve_ik_multistart(chain, grasps, self._starts, self._home)
        pairs = [(i, s) for i in range(len(grasps)) for s in np.flatnonzero(solved[i])[:5]]
        if not pairs:
            return
        moves = reference.poses @ np.linalg.inv(reference.poses[0])
        targets = np.array([moves @ grasps[i] for i, _ in pairs])
        paths, met = follow_poses(
            chain, targets, np.array([q[i, s] for i, s in pairs]), self._home, iterations=10
        )
        good = met.all(axis=1) & (chain.limit_margin(paths).min(axis=1) > 0.01)
        effort = np.abs(paths - self._home).sum(axis=2).mean(axis=1)
        width = 0.018 if step.body in cell.fixture_joints() else 0.026
        for index in sorted(np.flatnonzero(good), key=lambda k: effort[k]):
            before = grasps[pairs[index][0]].copy()
            before[:3, 3] -= BACK * before[:3, 2]
            answer = solve_ik(chain, before[None], paths[index, :1], self._home)
            hold = Hold(answer.q[0], paths[index])
            if answer.solved[0] and self._is_free(step, reference, hold, width):
                yield hold

    def perform(self, step: TaskStep, reference: ReferenceMotion, *, height: float = 0.2) -> None:
        """Grasp, follow, let go, step back; only friction moves the object.

        Raises:
            AssertionError: there is no hold, no way to it, or nothing between the fingers.
        """
        cell, arm, hand = self._cell, CellArm(self._cell), CellGripper(self._cell)
        width = 0.018 if step.body in cell.fixture_joints() else 0.026
        for hold in self.holds(step, reference):
            above = self._moved(hold.before, [0.0, 0.0, height])
            if above is not None and self._is_way_free([joints_of(cell), above, hold.before]):
                break
        else:
            raise AssertionError(f'no way to hold {step.body}')
        self._go(arm, above)
        self._go(arm, hold.before)
        hand.move(width + RESERVE, 20.0)
        self._go(arm, hold.path[0], speed=0.3)
        assert hand.move(0.0, 50.0).stalled, f'nothing between the fingers at {step.body}'
        arm.follow(_along(hold.path, reference.times))
        hand.move(width + RESERVE, 20.0)
        tip = self._chain.tip(hold.path[-1])
        self._go(arm, self._moved(hold.path[-1], -BACK * tip[:3, 2]), speed=0.3)
        self._go(arm, self._moved(joints_of(cell), [0.0, 0.0, 0.12]))
        self._go(arm, self._home)

    def _grasps(self, step: TaskStep, reference: ReferenceMotion) -> Array:
        """Return (G, 4, 4) tool poses across the bar at the contact, tilted about the bar."""
        fixed = step.body in self._cell.fixture_joints()
        axes = self._cell.body_pose(step.body)[:3, :3].T
        # Bars of furniture lie along its y; a tool along its own x.
        bar, front = (axes[1], axes[0]) if fixed else (axes[0], axes[1])
        poses = []
        for tilt in TILTS if fixed else (0.0,):
            approach = np.array([0.0, 0.0, -np.cos(tilt)]) - np.sin(tilt) * front
            for x in (bar, -bar):
                pose = np.eye(4)
                pose[:3, :3] = np.column_stack([x, np.cross(approach, x), approach])
                pose[:3, 3] = reference.contact
                poses.append(pose)
        return np.array(poses)

    def _is_free(
        self, step: TaskStep, reference: ReferenceMotion, hold: Hold, width: float
    ) -> bool:
        """Say whether neither the last approach nor the way touches anything but the bar."""
        state = self._state()
        for share in np.linspace(0.0, 1.0, 5):
            q = (1 - share) * hold.before + share * hold.path[0]
            if self._hits(state, q, width + RESERVE):
                return False
        values = self._values(step, reference)
        for index in range(0, len(reference.times), 2):
            joint = self._cell.model.joint(step.body)
            if values is None:
                pose = reference.poses[index]
                turn = quaternion_from_transform(pose)[[3, 0, 1, 2]]
                state.qpos[joint.qposadr[0] :][:7] = [*pose[:3, 3], *turn]
            else:
                state.qpos[joint.qposadr[0]] = values[index]
            if self._hits(state, hold.path[index], width, held=step.body):
                return False
        return True

    def _is_way_free(self, corners: list[Array]) -> bool:
        """Say whether straight joint motions between (7,) corners touch nothing, hand open."""
        state = self._state()
        shares = np.linspace(0.0, 1.0, 20)
        return not any(
            self._hits(state, (1 - s) * a + s * b, 0.08)
            for a, b in pairwise(corners)
            for s in shares
        )

    def _values(self, step: TaskStep, reference: ReferenceMotion) -> Array | None:
        """Return the joint values (T,) along a reference; None for what is free."""
        cell = self._cell
        for fixture in cell.fixtures:
            for body in fixture.moving:
                if fixture.body_name(body.name) == step.body:
                    base = cell.body_pose(fixture.name)
                    grid = np.linspace(*body.joint.range, 600)
                    poses = np.array([base @ body.joint.transform(float(v)) for v in grid])
                    errors = np.abs(poses[None] - reference.poses[:, None]).sum(axis=(2, 3))
                    return grid[errors.argmin(axis=1)]
        return None

    def _state(self) -> mujoco.MjData:
        state = mujoco.MjData(self._cell.model)
        state.qpos[:] = self._cell.data.qpos
        return state

    def _hits(self, state: mujoco.MjData, q: Array, width: float, held: str = '') -> bool:
        """Say whether the arm at (7,) joints touches anything; pads may touch what is held."""
        model = self._cell.model
        for name, value in zip(ARM_JOINTS, q):
            state.joint(name).qpos[0] = value
        for name in FINGER_JOINTS:
            state.joint(name).qpos[0] = width / 2
        mujoco.mj_kinematics(model, state)
        mujoco.mj_comPos(model, state)
        mujoco.mj_collision(model, state)
        for contact in range(state.ncon):
            geoms = state.contact.geom[contact]
            owners = [model.body(model.geom_bodyid[g]).name for g in geoms]
            of_robot = [owner.startswith('panda_') for owner in owners]
            if all(of_robot) or not any(of_robot) or state.contact.dist[contact] > -OVERLAP:
                continue
            pad = model.geom(geoms[of_robot.index(True)]).name.endswith('_pad')
            if not (pad and owners[of_robot.index(False)] == held):
                return True
        return False

    def _moved(self, q: Array, offset: Array | list[float]) -> Array | None:
        """Return the joints whose tool is `offset` (3,) metres from that of (7,) joints."""
        target = self._chain.tip(q)
        target[:3, 3] += offset
        answer = solve_ik(self._chain, target[None], q[None], self._home)
        return answer.q[0] if answer.solved[0] else None

    def _go(self, arm: CellArm, goal: Array | None, speed: float = 0.7) -> None:
        assert goal is not None, 'no joints for a way that should be easy'
        here = joints_of(self._cell)
        arm.follow(smooth_motion(here, goal, max(1.0, 1.9 * np.abs(goal - here).max() / speed)))


def _along(path: Array, times: Array) -> Trajectory:
    """Return a trajectory from rest to rest through (T, 7) joints."""
    velocities = np.gradient(path, times, axis=0)
    velocities[[0, -1]] = 0.0
    accelerations = np.gradient(velocities, times, axis=0)
    accelerations[[0, -1]] = 0.0
    return Trajectory(ARM_JOINTS, times, path, velocities, accelerations)
