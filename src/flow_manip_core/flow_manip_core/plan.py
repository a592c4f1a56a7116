# SPDX-License-Identifier: Apache-2.0
"""What the robot is to do: grasps, timed joint motion, gripper commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import is_rigid


@dataclass(frozen=True)
class Grasp:
    """One way to hold an object with a two-finger gripper.

    Attributes:
        T_world_tcp: (4, 4) pose of the tool centre point: z along the approach, y along the
            closing direction.
        width: opening between the fingers that the object needs [m].
        score: 0..1, larger is better.
        opening: how far to open before, where that matters (a finger under a rim, between two
            walls); 0: `width` and the planner's reserve [m].
    """

    T_world_tcp: NDArray[np.float64]
    width: float
    score: float = 0.0
    opening: float = 0.0

    def __post_init__(self) -> None:
        """Refuse poses that are not rigid and negative widths."""
        if not is_rigid(self.T_world_tcp, tolerance=1e-4):
            raise InvalidInputError(
                f'grasp pose is not a rigid transform: {np.asarray(self.T_world_tcp).tolist()}'
            )
        if not 0.0 <= self.width < 1.0:
            raise InvalidInputError(f'grasp width {self.width} m is not within 0..1')
        if not (self.opening == 0.0 or self.width <= self.opening < 1.0):
            raise InvalidInputError(
                f'grasp opening {self.opening} m is neither 0 nor within {self.width}..1'
            )


@dataclass(frozen=True)
class Trajectory:
    """Joint motion over time.

    Attributes:
        joint_names: (J,) names.
        times: (T,) seconds from the start, strictly increasing, first 0.
        positions: (T, J) [rad, m].
        velocities: (T, J) [rad/s, m/s].
        accelerations: (T, J) [rad/s^2, m/s^2].
    """

    joint_names: tuple[str, ...]
    times: NDArray[np.float64]
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    accelerations: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check shapes, finiteness and order."""
        shape = (len(self.times), len(self.joint_names))
        for name in ('positions', 'velocities', 'accelerations'):
            value = getattr(self, name)
            if value.shape != shape:
                raise InvalidInputError(f'{name} are {value.shape}, expected {shape}')
            if not np.isfinite(value).all():
                raise InvalidInputError(f'{name} are not finite')
        if (
            len(self.times) == 0
            or not np.isfinite(self.times).all()
            or (np.diff(self.times) <= 0).any()
        ):
            raise InvalidInputError('trajectory times are not strictly increasing')

    @property
    def duration(self) -> float:
        """Seconds from first to last point."""
        return float(self.times[-1] - self.times[0])

    def sample(self, time: float) -> NDArray[np.float64]:
        """Return the (J,) positions at `time`: cubic Hermite between points, held at the ends."""
        index = int(np.clip(np.searchsorted(self.times, time) - 1, 0, max(len(self.times) - 2, 0)))
        if len(self.times) == 1 or time <= self.times[0]:
            return self.positions[0].copy()
        if time >= self.times[-1]:
            return self.positions[-1].copy()
        step = self.times[index + 1] - self.times[index]
        s = (time - self.times[index]) / step
        return (
            (2 * s**3 - 3 * s**2 + 1) * self.positions[index]
            + (s**3 - 2 * s**2 + s) * step * self.velocities[index]
            + (3 * s**2 - 2 * s**3) * self.positions[index + 1]
            + (s**3 - s**2) * step * self.velocities[index + 1]
        )


@dataclass(frozen=True)
class PlanSegment:
    """One piece of a plan: the arm moves (`trajectory` is set) or the gripper does.

    Attributes:
        name: approach, grasp, follow, release, retreat ...
        trajectory: of a move; None for a gripper command.
        gripper_width: commanded opening between the fingers [m].
        gripper_effort: closing force [N].
        expect_object: closing on nothing is a failure.
        holding: the object is in the gripper during this move.
        goal_tolerance: how far each joint may end off the goal of this move, where what the hand
            holds is guided and cannot give way; 0: the arm's own [rad].
    """

    name: str
    trajectory: Trajectory | None = None
    gripper_width: float = 0.0
    gripper_effort: float = 0.0
    expect_object: bool = False
    holding: bool = False
    goal_tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Refuse tolerances that are none."""
        if not 0.0 <= self.goal_tolerance < 1.0:
            raise InvalidInputError(
                f"goal tolerance {self.goal_tolerance} rad of '{self.name}' is not within 0..1"
            )


@dataclass(frozen=True)
class Plan:
    """Robot motion that makes the object follow a flow.

    Attributes:
        robot: name in config/robots.
        grasp: how the object is held.
        segments: in order of execution.
        object_poses: (T, 4, 4) planned motion of the object since its start, one per flow step.
        times: (T,) seconds of `object_poses`.
        frame_id: frame of all poses.
        object: words for the object.
        stamp: seconds, of the observation it was made from.
        rejections: how many grasp proposals each reason cost.
        considered: grasps that were looked at, best first (for pictures).
    """

    robot: str
    grasp: Grasp
    segments: tuple[PlanSegment, ...]
    object_poses: NDArray[np.float64]
    times: NDArray[np.float64]
    frame_id: str = 'world'
    object: str = ''
    stamp: float = 0.0
    rejections: Mapping[str, int] = field(default_factory=dict)
    considered: tuple[Grasp, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds of all moves together."""
        return sum(s.trajectory.duration for s in self.segments if s.trajectory is not None)


@dataclass(frozen=True)
class GripperReading:
    """What a gripper reports after a command.

    Attributes:
        width: opening between the fingers [m].
        stalled: they pushed against something and stopped.
    """

    width: float
    stalled: bool


@dataclass(frozen=True)
class ExecutionOutcome:
    """What the robot reports after a plan.

    Attributes:
        segments_done: how many segments ran to their end.
        final_gripper_width: opening between the fingers at the end [m].
    """

    segments_done: int
    final_gripper_width: float
