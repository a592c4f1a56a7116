# SPDX-License-Identifier: Apache-2.0
"""Object flow out of imagined videos: many are made, each is lifted or dropped with its reason.

The order of NovaFlow and Dream2Flow: a video generator shows the task being done, depth is
calibrated to the sensor's, points on the object are tracked and lifted to 3D. Eight candidates at
a time are NovaFlow's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.backends import create_backend
from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    FailureStage,
    FlowManipError,
    ImplausibleVideoError,
    InvalidInputError,
    PeerLostError,
    StageTimeoutError,
    VideoFailedError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_world_model.flow import PART_NAMES
from flow_manip_world_model.flow.lifting import (
    LiftedVideo,
    LIFTER,
    LiftEvent,
    LiftingRecipe,
    LiftJob,
)
from flow_manip_world_model.flow.workers import InlineWorkers, LiftWorkers, ProcessWorkers
from flow_manip_world_model.progress import (
    candidate_stage,
    ignore_dropped,
    ignore_progress,
    never_cancelled,
)
from flow_manip_world_model.video import VIDEO_GENERATORS
from flow_manip_world_model.video.plausibility import check_video, VideoCheckConfig

MAX_CANDIDATES = 64
MAX_PROCESSES = 64
WAIT = 0.02  # [s] between two looks at `cancelled`

# What becomes of one candidate: told when it is lifted or dropped.
OnDream = Callable[[int, Video, 'LiftedVideo | FlowManipError'], None]


class DreamFlow:
    """Imagines videos and lifts them to object flows.

    Attributes:
        on_dream: told every candidate's number and video, and what was lifted from it or why it
            was dropped, e.g. for a record; None keeps nothing.
    """

    PARTS = PART_NAMES

    @dataclass(frozen=True)
    class Config:
        """How many dreams, and who lifts them.

        Attributes:
            num_candidates: videos per goal where the request does not say.
            processes: that lift at the same time on this machine; 1 lifts in this process.
            ray_address: of a Ray cluster that lifts instead, e.g. 'auto'; empty: none.
            lift_timeout: of one candidate in another process [s].
            check: limits of a plausible video.
            lifter: path of the lifter's class.
        """

        num_candidates: int = 8
        processes: int = 1
        ray_address: str = ''
        lift_timeout: float = 300.0
        check: VideoCheckConfig = field(default_factory=VideoCheckConfig)
        lifter: str = LIFTER

        def __post_init__(self) -> None:
            """Refuse counts that are none."""
            if not 1 <= self.num_candidates <= MAX_CANDIDATES:
                raise ConfigurationError(
                    f'num_candidates is {self.num_candidates}, expected 1..{MAX_CANDIDATES}'
                )
            if not 1 <= self.processes <= MAX_PROCESSES:
                raise ConfigurationError(
                    f'processes is {self.processes}, expected 1..{MAX_PROCESSES}'
                )
            if not self.lift_timeout > 0.0:
                raise ConfigurationError(f'lift_timeout is {self.lift_timeout} s, not above 0')

    def __init__(
        self, config: Config, context: Context, parts: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Build the parts.

        Args:
            config: of the joining.
            context: robot and rig, and the simulation where there is one.
            parts: the blocks `video`, `depth`, `tracking` (each with a `backend`) and `lifting`.

        Raises:
            BackendError, ConfigurationError: a part is unknown, or a parameter of it.
        """
        self._config = config
        self._videos = create_backend(VIDEO_GENERATORS, parts['video'], context)
        recipe = LiftingRecipe(
            parts['depth'], parts['tracking'], parts['lifting'], context, config.lifter
        )
        recipe.check()
        self._workers = _make_workers(config, recipe)
        self.on_dream: OnDream | None = None

    def generate(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_candidates: int = 0,
        seed: int = 0,
        on_dropped: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> list[ObjectFlow]:
        """Return the flows of the videos that could be lifted, in the order of their numbers.

        See `FlowGenerator.generate`. Candidate `i` is made from ``seed + i``.

        Raises:
            VideoFailedError, VideoBudgetError, BackendError: from the video generator.
            ImplausibleVideoError, DepthCalibrationError, TracksLostError, CameraMotionError,
                TooFewPointsError: every candidate was dropped; of the papers' class of failures
                (video or tracking) that most belong to, the most frequent, with all counts.
        """
        if not 0 <= num_candidates <= MAX_CANDIDATES:
            raise InvalidInputError(
                f'{num_candidates} candidates asked for, expected 0..{MAX_CANDIDATES}'
            )
        if not masks:
            raise InvalidInputError('a dream needs the mask of the object that moves')
        count = num_candidates or self._config.num_candidates
        dream = _Dream(observation, masks[0], seed, count, on_dropped, on_progress, cancelled)
        dream.on_dream = self.on_dream
        if isinstance(self._workers, InlineWorkers):
            self._workers.on_progress, self._workers.cancelled = dream.lifting, cancelled
        videos = self._videos.generate(
            observation,
            instruction,
            goal_image=goal_image,
            num_videos=count,
            seed=seed,
            on_failed=dream.drop,
            on_progress=dream.imagining,
            cancelled=cancelled,
        )
        try:
            for video in videos:
                self._begin(dream, video)
                # Videos are large: no more of them wait than there is work for.
                self._collect(dream, at_most=self._config.processes)
            self._collect(dream, at_most=0)
        except BaseException:
            self._workers.kill()
            raise
        finally:
            # It may hold a renderer or a connection.
            getattr(videos, 'close', lambda: None)()
        return dream.flows()

    def _begin(self, dream: _Dream, video: Video) -> None:
        """Look at a video, then have it lifted."""
        number = dream.take(video)
        try:
            check_video(video, dream.observation, dream.mask, self._config.check, dream.cancelled)
        except ImplausibleVideoError as error:
            dream.drop(number, error)
            return
        whole = self.on_dream is not None
        self._workers.submit(LiftJob(number, video, dream.observation, dream.mask, whole))

    def close(self) -> None:
        """End the processes that lift; the next goal starts new ones."""
        self._workers.close()

    def _collect(self, dream: _Dream, at_most: int) -> None:
        """Take what the workers say until at most so many jobs are left."""
        waiting = True
        while waiting:
            waiting = self._workers.pending > at_most
            dream.poll()
            for event in self._workers.events(WAIT if waiting else 0.0):
                dream.hear(event)
            waiting = self._workers.pending > at_most


@dataclass
class _Dream:
    """One goal's candidates and what has become of them."""

    observation: Observation
    mask: Mask
    seed: int
    count: int
    on_dropped: Callable[[int, FlowManipError], None]
    on_progress: Callable[[str, float], None]
    cancelled: Callable[[], bool]
    on_dream: OnDream | None = None
    videos: dict[int, Video] = field(default_factory=dict)
    lifted: dict[int, ObjectFlow] = field(default_factory=dict)
    dropped: dict[int, FlowManipError] = field(default_factory=dict)
    shares: dict[int, float] = field(default_factory=dict)
    furthest: float = 0.0

    def poll(self) -> None:
        """Stop if the caller asked to.

        Raises:
            CancelledError: it did.
        """
        if self.cancelled():
            raise CancelledError(
                f'cancelled while imagining: {self.finished} of {self.count} candidates were ready'
            )

    @property
    def finished(self) -> int:
        """How many candidates are lifted or dropped."""
        return len(self.lifted) + len(self.dropped)

    def take(self, video: Video) -> int:
        """Number a video that has come: by its seed, else by the next number that is free."""
        number = video.seed - self.seed
        used = self.shares.keys()
        if not 0 <= number < self.count or number in used:
            number = next(n for n in range(self.count + len(used) + 1) if n not in used)
        self.videos[number] = video
        self.shares[number] = 0.5
        return number

    def imagining(self, stage: str, progress: float) -> None:
        """Report what the video generator does: the first half of the work."""
        self._report(stage, 0.5 * progress)

    def lifting(self, event: LiftEvent) -> None:
        """Report what a lifter does with one candidate."""
        self.shares[event.number] = 0.5 + 0.5 * event.progress
        share = sum(self.shares.values()) / self.count
        self._report(f'video {event.number + 1}, {event.stage}', share)

    def hear(self, event: LiftEvent) -> None:
        """Take news of a candidate.

        Raises:
            RuntimeError: the code of a lifter broke.
            FlowManipError: what is wrong is wrong for all candidates.
        """
        if not event.finished:
            self.lifting(event)
        elif isinstance(event.error, str):
            raise RuntimeError(f'lifting candidate {event.number} broke:\n{event.error}')
        elif event.error is not None:
            self.drop(event.number, event.error)
        elif event.lifted is not None:
            video = self.videos[event.number]
            self.lifted[event.number] = replace(
                event.lifted.flow,
                object=self.mask.label,
                source=f'dream of {video.source or "a video"}, seed {video.seed}',
                stamp=self.observation.stamp,
            )
            self._remember(event.number, event.lifted)
            self._done(event.number, 'lifted')

    def drop(self, number: int, error: FlowManipError) -> None:
        """Give a candidate up, if it is the candidate's fault; else raise the error."""
        whose = (FailureStage.VIDEO, FailureStage.TRACKING)
        if error.failure not in whose and not isinstance(
            error, (PeerLostError, StageTimeoutError)
        ):
            raise error
        self.dropped[number] = error
        self.shares[number] = 1.0
        self.on_dropped(number, error)
        self._remember(number, error)
        self._done(number, f'dropped: {error.name}')

    def flows(self) -> list[ObjectFlow]:
        """Return what was lifted, by number.

        Raises:
            FlowManipError: nothing was.
        """
        if not self.lifted:
            raise summary(self.dropped)
        self._report('imagined', 1.0)
        return [self.lifted[number] for number in sorted(self.lifted)]

    def _remember(self, number: int, outcome: LiftedVideo | FlowManipError) -> None:
        """Let the listener see; videos are large and kept no longer than needed."""
        video = self.videos.pop(number, None)
        if video is not None and self.on_dream is not None:
            self.on_dream(number, video, outcome)

    def _done(self, number: int, what: str) -> None:
        self.shares[number] = 1.0
        self._report(f'video {number + 1} {what}', sum(self.shares.values()) / self.count)

    def _report(self, what: str, share: float) -> None:
        """Report, never backwards, under the number of the candidate that is not finished."""
        self.furthest = min(max(self.furthest, share), 1.0)
        current = min(self.finished + 1, self.count)
        self.on_progress(candidate_stage(current, self.count, what), self.furthest)


def summary(dropped: Mapping[int, FlowManipError]) -> FlowManipError:
    """Return the error that stands for all candidates: of the largest class, the most frequent.

    Args:
        dropped: by candidate; may be empty where the generator gave nothing.
    """
    if not dropped:
        return VideoFailedError('the video generator gave no video')
    classes = Counter(error.failure for error in dropped.values())
    # Earlier stages first where two are equal.
    largest = min(classes, key=lambda stage: (-classes[stage], stage))
    names = Counter(error.name for error in dropped.values() if error.failure is largest)
    chosen = names.most_common(1)[0][0]
    first = next(e for e in dropped.values() if e.name == chosen and e.failure is largest)
    counts = []
    for stage in sorted(classes):
        each = Counter(error.name for error in dropped.values() if error.failure is stage)
        listed = ', '.join(f'{number} {name}' for name, number in each.most_common())
        counts.append(f'{classes[stage]} {stage.name if stage else "other"} ({listed})')
    return type(first)(
        f'none of {len(dropped)} videos became a flow: {"; ".join(counts)}; first: {first}'
    )


def _make_workers(config: DreamFlow.Config, recipe: LiftingRecipe) -> LiftWorkers:
    """Choose who lifts."""
    if config.ray_address:
        from flow_manip_world_model.flow.cluster import RayWorkers

        return RayWorkers(recipe, config.ray_address, config.lift_timeout)
    if config.processes > 1:
        return ProcessWorkers(recipe, config.processes, config.lift_timeout)
    return InlineWorkers(recipe)
