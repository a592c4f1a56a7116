# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on purpose: a hand that slips, an object that is pushed, a target that moves.

Each happens once per trial, at a time drawn from the trial's seed, by forces alone: the fingers'
motor lets go for a moment, somebody knocks the object, somebody drags the target to another place.
Nothing is put anywhere. A disturbance is told which part of a plan begins (`begin_segment`) and is
called in every physics step (`SimulatedCell.disturb`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.panda import FINGER_JOINTS, GRIPPER_ACTUATOR

Array = NDArray[np.float64]

SLIP, PUSH, MOVED_TARGET = 'slip', 'push', 'moved_target'
GRAVITY = 9.81


@dataclass(frozen=True)
class DisturbanceConfig:
    """How much goes wrong.

    Attributes:
        when: range of the share of the move's duration at which it happens.
        slip_seconds: for how long the fingers' motor pulls them open [s].
        push_metres: range of how far a knock sends the object on the table.
        push_seconds: how long a knock lasts [s].
        move_metres: range of how far the target is dragged.
        move_seconds: how long that takes [s].
        clearance: kept by the target from others and from the workspace's sides [m].
    """

    when: tuple[float, float] = (0.2, 0.8)
    slip_seconds: float = 0.2
    push_metres: tuple[float, float] = (0.05, 0.09)
    push_seconds: float = 0.05
    move_metres: tuple[float, float] = (0.08, 0.14)
    move_seconds: float = 0.6
    clearance: float = 0.02


class Disturbance:
    """One thing that goes wrong once.

    Attributes:
        kind: 'slip', 'push' or 'moved_target'.
        happened_at: time of the cell at which it began; None before [s].
        description: what happened, with the numbers; empty before.
    """

    kind = ''
    held = True  # in a part of the plan in which the object is in the hand, or before that

    def __init__(
        self, cell: SimulatedCell, body: str, seed: int, config: DisturbanceConfig | None = None
    ) -> None:
        """Get ready to disturb; the cell calls from now on until its next reset.

        Args:
            cell: after its reset.
            body: name of what is disturbed.
            seed: draws when, where to and how much.
            config: the ranges.

        Raises:
            InvalidInputError: there is no such body, or it cannot be moved.
        """
        self._cell, self.body = cell, body
        self.config = config or DisturbanceConfig()
        self._rng = np.random.default_rng([seed, *self.kind.encode()])
        self._share = float(self._rng.uniform(*self.config.when))
        self._due = np.inf
        self._active = False
        self.happened_at: float | None = None
        self.description = ''
        self._body = cell.model.body(body).id if body in cell.body_names else -1
        if self._body < 0:
            raise InvalidInputError(f"no body '{body}'; there are {list(cell.body_names)}")
        cell.disturb(self._step)

    def begin_segment(self, holding: bool, duration: float) -> None:
        """Hear that a move begins.

        Args:
            holding: the object is in the hand.
            duration: of the move [s].
        """
        if self.happened_at is None and holding == self.held and np.isinf(self._due):
            self._due = self._cell.time + self._share * duration

    def end(self) -> None:
        """Hear that the plan has ended: what was to happen in it has not, so it never will."""
        self._due = np.inf if self.happened_at is None else self._due

    def _step(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        if self.happened_at is None and data.time >= self._due:
            self.happened_at = float(data.time)
            self._active = True
            self._begin(model, data)
        if self._active:
            self._active = self._act(model, data, float(data.time) - self.happened_at)

    def _begin(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        raise NotImplementedError

    def _act(self, model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> bool:
        """Meddle `seconds` after the begin; return False when it is over."""
        raise NotImplementedError


class Slip(Disturbance):
    """The fingers open for a moment while they hold the object: it slides, turns or falls."""

    kind = SLIP

    def _begin(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._actuator = model.actuator(GRIPPER_ACTUATOR).id
        self.description = (
            f'the fingers let go of {self.body} for {self.config.slip_seconds:.2f} s'
        )

    def _act(self, model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> bool:
        width = sum(float(data.joint(name).qpos[0]) for name in FINGER_JOINTS)
        data.ctrl[self._actuator] = width + 0.02
        return seconds < self.config.slip_seconds


class Push(Disturbance):
    """Somebody knocks the object before it is grasped.

    A short force through its middle gives it the speed with which friction stops it after the
    drawn way (v^2 = 2 mu g d); what rolls or tips goes on as it will.
    """

    kind = PUSH
    held = False

    def _begin(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        way = float(self._rng.uniform(*self.config.push_metres))
        goal = _free_place(self._cell, self.body, (way, way), self._rng, self.config.clearance)
        start = self._cell.body_pose(self.body)[:2, 3]
        direction = (goal - start) / np.linalg.norm(goal - start)
        mass = float(model.body_mass[self._body])
        friction = float(self._cell.config.physics.table_friction)
        # Sliding friction acts during the knock as well.
        speed = np.sqrt(2 * friction * GRAVITY * way)
        force = mass * (speed / self.config.push_seconds + friction * GRAVITY)
        self._force = force * direction
        self.description = (
            f'{self.body} was knocked with {force:.1f} N for {self.config.push_seconds:.2f} s'
        )

    def _act(self, model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> bool:
        going = seconds < self.config.push_seconds
        data.xfrc_applied[self._body, :2] = self._force if going else 0.0
        return going


class MovedTarget(Disturbance):
    """Somebody drags the target over the table while the object is on its way to it.

    A spring and a damper pull it along a smooth way, as the fingers of a hand would.
    """

    kind = MOVED_TARGET
    STIFFNESS, DAMPING = 4000.0, 126.0  # [1/s^2], [1/s]: critically damped, times the mass
    STRONGEST = 30.0  # [N]

    def _begin(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._start = self._cell.body_pose(self.body)
        goal = _free_place(
            self._cell, self.body, self.config.move_metres, self._rng, self.config.clearance
        )
        self._way = goal - self._start[:2, 3]
        self._mass = float(model.body_subtreemass[self._body])
        self.description = f'{self.body} was dragged by {np.linalg.norm(self._way):.3f} m'

    def _act(self, model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> bool:
        s = min(seconds / self.config.move_seconds, 1.0)
        wanted = self._start[:2, 3] + (10 * s**3 - 15 * s**4 + 6 * s**5) * self._way
        speed = (30 * s**2 - 60 * s**3 + 30 * s**4) / self.config.move_seconds * self._way
        joint = data.joint(self.body)
        away, lag = wanted - joint.qpos[:2], speed - joint.qvel[:2]
        force = self._mass * (self.STIFFNESS * away + self.DAMPING * lag)
        strength = float(np.linalg.norm(force))
        force *= min(1.0, self.STRONGEST / max(strength, 1e-9))
        # A hand on the rim also keeps it from turning.
        going = seconds < self.config.move_seconds + 0.1
        data.xfrc_applied[self._body, :2] = force if going else 0.0
        inertia = float(model.body_inertia[self._body].max())
        data.xfrc_applied[self._body, 5] = -inertia * 100.0 * joint.qvel[5] if going else 0.0
        return going


DISTURBANCES: dict[str, Callable[..., Disturbance]] = {
    cls.kind: cls for cls in (Slip, Push, MovedTarget)
}


def make_disturbance(
    kind: str,
    cell: SimulatedCell,
    body: str,
    target: str | None,
    seed: int,
    config: DisturbanceConfig | None = None,
) -> Disturbance:
    """Return a disturbance by name, ready to happen.

    Args:
        kind: 'slip', 'push' or 'moved_target'.
        cell: after its reset.
        body: of the object that is manipulated.
        target: body of what it is brought to; None if there is none.
        seed: draws when, where to and how much.
        config: the ranges.

    Raises:
        InvalidInputError: the kind is unknown, a body is missing, or there is nothing to move.
    """
    if kind not in DISTURBANCES:
        raise InvalidInputError(f"no disturbance '{kind}'; known: {sorted(DISTURBANCES)}")
    moved = target if kind == MOVED_TARGET else body
    if moved is None:
        raise InvalidInputError(f"'{kind}' needs a target, and this goal has none")
    if kind != SLIP and moved not in {spec.name for spec in cell.objects}:
        raise InvalidInputError(f"'{moved}' is bolted to the table: nobody can move it")
    return DISTURBANCES[kind](cell, moved, seed, config)


def _free_place(
    cell: SimulatedCell,
    name: str,
    way: tuple[float, float],
    rng: np.random.Generator,
    clearance: float,
) -> Array:
    """Draw where an object can go over the table: (2,) in the world [m].

    Free of the others along the whole way, within the workspace; where nothing is as free as that,
    the freest of many draws.
    """
    poses, specs = cell.object_poses(), {spec.name: spec for spec in cell.objects}
    start, radius = poses[name][:2, 3], specs[name].footprint_radius
    others = [(poses[n][:2, 3], s.footprint_radius) for n, s in specs.items() if n != name]
    lower, upper = (
        np.array(v)[:2]
        for v in (cell.context.rig.workspace.lower, cell.context.rig.workspace.upper)
    )
    best, room = start, -np.inf
    for _ in range(200):
        angle = rng.uniform(0, 2 * np.pi)
        goal = start + rng.uniform(*way) * np.array([np.cos(angle), np.sin(angle)])
        gaps = [*(goal - lower - radius), *(upper - goal - radius)]
        for share in (0.25, 0.5, 0.75, 1.0):
            at = start + share * (goal - start)
            gaps += [float(np.linalg.norm(at - p)) - radius - r for p, r in others]
        if min(gaps) > room:
            best, room = goal, min(gaps)
        if room > clearance:
            break
    return best
