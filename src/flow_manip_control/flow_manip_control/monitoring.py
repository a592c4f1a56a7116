# SPDX-License-Identifier: Apache-2.0
"""Does the object go where its flow says? Watched while the arm moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_control.progress import SegmentProgress
from flow_manip_control.tilts import TiltWatch
from flow_manip_core.errors import ConfigurationError, SlipError
from flow_manip_core.plan import Plan
from flow_manip_core.tracking import TrackedPose
from flow_manip_core.transforms import (
    interpolate_transforms,
    invert_transform,
    transform_distance,
    transform_points,
)

Array = NDArray[np.float64]
Clock = Callable[[], float]


class ObjectTracker(Protocol):
    """Says where the object that is to move really is."""

    def pose(self, now: float) -> TrackedPose | None:
        """Return the newest known pose at `now` [s], None where there is none."""


@dataclass(frozen=True)
class MonitorConfig:
    """When an object counts as off its flow.

    Attributes:
        max_metres: of the grasped point from where the flow has it.
        max_degrees: of the object's turn from the flow's.
        min_tilt_share: of the largest tilt that a flow undoes again (it pours): the object must
            have been tilted that far, or it did not happen.
        max_reference_metres: by how much a reference (what the object is put on, in, next to) may
            carry off the place where the flow ends.
        debounce: an object must be off for longer than this: one wrong pose stops nothing [s].
        period: between looks; 0.02 to 0.05 [s].
        max_age: poses older than this say nothing [s].
        ahead: by how much the arm may be ahead of the time since the segment began [s].
    """

    max_metres: float = 0.03
    max_degrees: float = 20.0
    min_tilt_share: float = 0.75
    max_reference_metres: float = 0.03
    debounce: float = 0.1
    period: float = 0.02
    max_age: float = 0.5
    ahead: float = 0.25

    def __post_init__(self) -> None:
        """Refuse bounds that nothing meets."""
        bounds = (self.max_metres, self.max_degrees, self.max_reference_metres, self.max_age)
        if min(bounds) <= 0 or self.debounce < 0 or self.period < 0:
            raise ConfigurationError(f'{self} has a bound that is not positive')
        if not 0.0 <= self.min_tilt_share <= 1.0:
            raise ConfigurationError(f'min_tilt_share is {self.min_tilt_share}, expected 0..1')


@dataclass
class Deviation:
    """How far the object is from its flow.

    Attributes:
        metres: of the grasped point.
        degrees: of the turn.
        flow_seconds: second of the flow.
    """

    metres: float
    degrees: float
    flow_seconds: float

    def __str__(self) -> str:
        """Say it with the numbers."""
        return (
            f'{self.metres * 1000:.0f} mm and {self.degrees:.0f} degrees off its flow at '
            f'{self.flow_seconds:.2f} s of it'
        )


class ObjectMonitor:
    """Compares the tracked motion of the object of one plan with the planned.

    Until the object is grasped it must stay where it was (it may turn: what rolls does); from then
    on it must move from where it was grasped as `Plan.object_poses` says. Deviations are measured
    at the grasped point, so they do not depend on where the tracker has the object's origin.

    Attributes:
        last: the newest deviation since the grasp; None before the first look.
        worst: the one with the largest distance.
        looks: number of poses that were compared.
    """

    def __init__(
        self,
        tracker: ObjectTracker,
        clock: Clock,
        config: MonitorConfig | None = None,
        *,
        references: Mapping[str, ObjectTracker] | None = None,
    ) -> None:
        """Watch one object.

        Args:
            tracker: of the object.
            clock: seconds of the clock that stamps the poses.
            config: bounds.
            references: trackers of what the goal refers to, by name.
        """
        self.config = config or MonitorConfig()
        self._tracker, self._clock = tracker, clock
        self._references = dict(references or {})
        self._progress: Mapping[int, SegmentProgress] = {}
        self._origin: Array | None = None
        self.last: Deviation | None = None
        self.worst: Deviation | None = None
        self.looks = 0

    @property
    def tracking(self) -> bool:
        """Whether the object has been seen since it was grasped, or, before that, at all."""
        return self._origin is not None

    def begin(self, plan: Plan, progress: Mapping[int, SegmentProgress]) -> None:
        """Get ready for a plan; poses from now on count.

        Args:
            plan: about to run.
            progress: of its holding segments, by index: `plan_progress`.
        """
        self._plan, self._progress = plan, progress
        self._begun = self._looked = self._clock()
        self._anchor = plan.grasp.T_world_tcp[:3, 3].copy()
        self._end = transform_points(plan.object_poses[-1], self._anchor)
        self._held, self._watching = False, True
        self._off_since: dict[str, float] = {}
        self._history: deque[tuple[float, float]] = deque(maxlen=256)
        self._segment, self._reached, self._segment_begun = -1, 0.0, self._begun
        self.last = self.worst = None
        self.looks = 0
        self._tilt = TiltWatch.of(plan)
        self._origin = self._now_at(self._tracker, self._begun)
        self._reference_origins = {
            name: self._now_at(tracker, self._begun) for name, tracker in self._references.items()
        }

    def grasped(self) -> None:
        """From now on the object is in the hand and moves with it."""
        self._held = True
        self._origin = self._now_at(self._tracker, self._clock())
        self._off_since.clear()
        self._history.clear()

    def released(self) -> None:
        """From now on the object is left to itself."""
        self._held = self._watching = False

    def look(self, segment: int, joints: Array) -> SlipError | None:
        """Return what is wrong, None if nothing is; call as often as possible.

        Args:
            segment: index of the one that runs.
            joints: (J,) measured [rad].
        """
        now = self._clock()
        if segment != self._segment:
            self._segment, self._reached, self._segment_begun = segment, 0.0, now
        elif now - self._looked < self.config.period:
            return None
        self._looked = now
        if not self._watching:
            return None
        self._history.append((now, self._flow_seconds(segment, joints, now)))
        return self._look_at_object(now) or self._look_at_references(now)

    # ------------------------------------------------------------------ inside

    def _flow_seconds(self, segment: int, joints: Array, now: float) -> float:
        """Return the second of the flow at which the hand is."""
        progress = self._progress.get(segment)
        if progress is None or not self._held:
            return float(self._plan.times[0])
        latest = now - self._segment_begun + self.config.ahead
        index = progress.nearest(joints, self._reached, max(latest, self._reached))
        self._reached = float(progress.times[index])
        return float(progress.flow_times[index])

    def _look_at_object(self, now: float) -> SlipError | None:
        tracked = self._fresh(self._tracker, now)
        if tracked is None:
            return None
        if self._origin is None:
            # Seen late: it counts as on its flow now, and is watched from here.
            expected = self._expected(self._flow_seconds_at(tracked.stamp))
            self._origin = invert_transform(expected) @ tracked.pose
        deviation = self._deviation(tracked)
        self.looks += 1
        if self._held:
            self.last = deviation
            if self.worst is None or deviation.metres > self.worst.metres:
                self.worst = deviation
        config = self.config
        # What rolls turns at the fingers' first touch; until it is held only its place counts.
        turned = self._held and deviation.degrees > config.max_degrees
        off = deviation.metres > config.max_metres or turned
        lasted = self._lasted('', off, tracked.stamp)
        name = self._plan.object or 'the object'
        if lasted is None:
            short = self._short_tilt(tracked, deviation.flow_seconds)
            return SlipError(f'{name} {short}') if short else None
        limit = f'{config.max_metres * 1000:.0f} mm'
        if not self._held:
            return SlipError(
                f'{name} moved by {deviation.metres * 1000:.0f} mm before it was grasped, for '
                f'{lasted:.2f} s; the limit is {limit}'
            )
        return SlipError(
            f'{name} is {deviation} for {lasted:.2f} s; the limits are {limit} and '
            f'{config.max_degrees:.0f} degrees'
        )

    def _short_tilt(self, tracked: TrackedPose, seconds: float) -> str:
        """Say how a tilt that the flow undoes again fell short; '' while it did not."""
        if not self._held or self._tilt is None or self._origin is None:
            return ''
        self._tilt.note(seconds, tracked.pose @ invert_transform(self._origin))
        return self._tilt.fell_short(seconds, self.config.min_tilt_share)

    def _look_at_references(self, now: float) -> SlipError | None:
        """Find a target that is no longer where the flow ends."""
        for name, origin in self._reference_origins.items():
            tracked = self._fresh(self._references[name], now)
            if tracked is None:
                continue
            if origin is None:
                self._reference_origins[name] = tracked.pose
                continue
            motion = tracked.pose @ invert_transform(origin)
            moved = float(np.linalg.norm(transform_points(motion, self._end) - self._end))
            limit = self.config.max_reference_metres
            lasted = self._lasted(name, moved > limit, tracked.stamp)
            if lasted is not None:
                return SlipError(
                    f'{name} moved by {moved * 1000:.0f} mm while the flow that ends at it was '
                    f'followed, for {lasted:.2f} s; the limit is {limit * 1000:.0f} mm'
                )
        return None

    def _deviation(self, tracked: TrackedPose) -> Deviation:
        """Compare with where the object should have been when the pose was true."""
        assert self._origin is not None
        seconds = self._flow_seconds_at(tracked.stamp)
        expected = self._expected(seconds)
        actual = tracked.pose @ invert_transform(self._origin)
        away = transform_points(actual, self._anchor) - transform_points(expected, self._anchor)
        _, angle = transform_distance(actual, expected)
        return Deviation(float(np.linalg.norm(away)), math.degrees(angle), seconds)

    def _expected(self, seconds: float) -> Array:
        """Return (4, 4) how the object should have moved since it was grasped."""
        plan = self._plan
        if not self._held or len(plan.times) < 2:
            return np.eye(4)
        return interpolate_transforms(plan.times, plan.object_poses, [seconds])[0]

    def _flow_seconds_at(self, stamp: float) -> float:
        """Return the second of the flow at a time: a tracker answers late."""
        if stamp <= self._history[0][0]:
            return self._history[0][1]
        times = [time for time, _ in self._history]
        return float(np.interp(stamp, times, [seconds for _, seconds in self._history]))

    def _lasted(self, name: str, off: bool, stamp: float) -> float | None:
        """Return for how long something has been off, None while that is within the debounce."""
        if not off:
            self._off_since.pop(name, None)
            return None
        lasted = stamp - self._off_since.setdefault(name, stamp)
        return lasted if lasted > self.config.debounce else None

    def _fresh(self, tracker: ObjectTracker, now: float) -> TrackedPose | None:
        """Return a pose that is from this plan and not too old."""
        tracked = tracker.pose(now)
        if tracked is None or now - tracked.stamp > self.config.max_age:
            return None
        return tracked

    def _now_at(self, tracker: ObjectTracker, now: float) -> Array | None:
        tracked = self._fresh(tracker, now)
        return None if tracked is None else tracked.pose
