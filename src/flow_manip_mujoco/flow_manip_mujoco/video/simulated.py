# SPDX-License-Identifier: Apache-2.0
"""The video generator that knows the truth: the object moves by itself, rightly or wrongly.

How often and how it fails is set to what is reported of real ones: of NovaFlow's videos
(arXiv:2510.08568) 15 % were usable with words alone and 46 % with a goal image.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import threading

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    FlowManipError,
    InvalidInputError,
)
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context
from flow_manip_core.transforms import transform_points
from flow_manip_core.video import MAX_FRAMES, Video
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.meaning import meant_step
from flow_manip_mujoco.video.failures import (
    draw_take,
    FailureWeights,
    STOPS_SHORT,
    WRONG_DIRECTION,
)
from flow_manip_mujoco.video.hand import hand_poses
from flow_manip_mujoco.video.picture import (
    DepthTruth,
    disturb_colour,
    disturb_depth,
    draw_depth_truth,
    VideoDepthConfig,
)
from flow_manip_mujoco.video.setting import carried_by, read_setting
from flow_manip_mujoco.video.stage import Stage
from flow_manip_mujoco.video.take import Array, Setting, Take
from flow_manip_mujoco.video.truth import video_key, VideoTruth

Cancelled = Callable[[], bool]

STREAM = 0x766964  # keeps a video's draws apart from what else a seed is used for
_TRUTHS_KEPT = 512


@dataclass(frozen=True)
class _Record:
    """All that is needed to say what a video shows, and to draw its masks."""

    truth: VideoTruth
    take: Take
    hands: Array | None
    state: str
    camera: CameraModel


class SimulatedVideo:
    """Draws what the camera would see while the object moves along the task's reference motion.

    The state comes from `Context.simulation`; the live cell is not touched. One instance may be
    used by several threads; each iterator by one.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            num_frames: of a video.
            rate: frames per second.
            rest_frames: at the end, in which the object rests.
            show_robot: draw it, standing still.
            hand: draw a hand that comes and seems to hold what moves.
            hand_frames: until it has come; the object rests before.
            good_rate: chance that a video is good, without a goal image.
            good_rate_with_goal_image: the same with one.
            goal_image_weight: factor on the weights of a wrong direction and of stopping short
                where there is a goal image.
            failures: how often each comes among the others.
            noise: standard deviation of the pictures' grain (0..255).
            with_depth: give depth with the frames.
            depth: what it is like.
            with_camera_poses: say where the camera was; generators do not know.
        """

        num_frames: int = 41
        rate: float = 16.0
        rest_frames: int = 4
        show_robot: bool = True
        hand: bool = False
        hand_frames: int = 6
        good_rate: float = 0.15
        good_rate_with_goal_image: float = 0.46
        goal_image_weight: float = 0.25
        failures: FailureWeights = field(default_factory=FailureWeights)
        noise: float = 2.0
        with_depth: bool = True
        depth: VideoDepthConfig = field(default_factory=VideoDepthConfig)
        with_camera_poses: bool = False

        def __post_init__(self) -> None:
            """Refuse what is no video."""
            used = self.rest_frames + (self.hand_frames if self.hand else 0)
            if not 8 <= self.num_frames <= MAX_FRAMES or used > self.num_frames - 4:
                raise ConfigurationError(
                    f'{self.num_frames} frames, {used} of them at rest: 8 to {MAX_FRAMES} with 4 '
                    'in motion are needed'
                )
            rates = (self.good_rate, self.good_rate_with_goal_image)
            if min(self.rest_frames, self.hand_frames) < 0 or self.rate <= 0 or self.noise < 0:
                raise ConfigurationError(f'rest, rate or noise of {self} is out of range')
            if not all(0.0 <= r <= 1.0 for r in rates) or self.goal_image_weight < 0.0:
                raise ConfigurationError(f'good rates {rates} are not within 0..1')

    def __init__(self, config: Config, context: Context) -> None:
        """Get ready; the first video builds the copy of the cell.

        Raises:
            BackendError: the context has no simulation.
        """
        if context.simulation is None:
            raise BackendError('simulated videos need a simulated cell (Context.simulation)')
        self.config, self._context = config, context
        self._lock = threading.RLock()
        self._cell: SimulatedCell | None = None
        self._records: OrderedDict[bytes, _Record] = OrderedDict()

    # ---------------------------------------------------------------- videos

    def generate(
        self,
        observation: Observation,
        instruction: str,
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_videos: int = 1,
        seed: int = 0,
        on_failed: Callable[[int, FlowManipError], None] = lambda number, error: None,
        on_progress: Callable[[str, float], None] = lambda stage, progress: None,
        cancelled: Cancelled = lambda: False,
    ) -> Iterator[Video]:
        """Give videos one by one, as they are ready.

        Args:
            observation: whose camera is drawn; where things are comes from the simulation.
            instruction: which of the task's steps is meant, or what to do in a free scene.
            goal_image: makes good videos more likely; its content does not matter.
            num_videos: how many.
            seed: with a video's number, of everything that is drawn at random.
            on_failed: never called: a drawn video does not fail by itself.
            on_progress: told a short text and 0..1.
            cancelled: polled several times per frame.

        Raises:
            CancelledError: `cancelled` turned true.
            TaskNotSupportedError: there is no motion for the words.
            ObjectAbsentError, ObjectAmbiguousError, NoFreePlaceError: the words do not fit.
            VideoFailedError: what should move is out of sight.
            InvalidInputError: the goal image does not belong to the observation, or the state is
                no state of this robot and rig.
        """
        if goal_image is not None and goal_image.shape != observation.color.shape:
            raise InvalidInputError(
                f'goal image is {goal_image.shape}, the picture {observation.color.shape}'
            )
        _stop_if(cancelled, 'before the first video')
        state = self._context.simulation()
        stage, setting = self._set_up(state, observation, instruction)
        try:
            for number in range(num_videos):
                rng = np.random.default_rng([STREAM, seed, number])
                take = draw_take(setting, *self._chances(goal_image is not None), rng)

                def report(share: float, number: int = number) -> None:
                    on_progress(
                        f'drawing video {number + 1} of {num_videos}',
                        (number + share) / num_videos,
                    )

                hands = self._hands(setting, take)
                film, told = self._film(stage, take, hands, rng, report, cancelled)
                video = Video(**film, source='simulated', prompt=instruction, seed=seed + number)
                truth = _truth(setting, take, told, video.times)
                self._remember(video, _Record(truth, take, hands, state, observation.camera))
                yield video
        finally:
            stage.close()

    # ---------------------------------------------------------------- truth

    def truth(self, video: Video) -> VideoTruth:
        """Return what one of the last few hundred videos, thinned or not, really shows.

        Raises:
            InvalidInputError: it was not made here, or too long ago.
        """
        return self._record(video).truth

    def true_masks(self, video: Video, body: str = '') -> NDArray[np.bool_]:
        """Draw the (T, H, W) true pixels of what the words mean, or of another body.

        T are the frames of the video as it was made.

        Raises:
            InvalidInputError: the video was not made here, or there is no such body.
        """
        record = self._record(video)
        name = body or record.truth.body
        with self._lock:
            stage, _ = self._stage(record.state, record.camera, record.take.camera[0])
            known = self._cell is not None and name in self._cell.body_names
        try:
            if not known:
                raise InvalidInputError(f"no body '{name}' in the video's scene")
            return np.array(
                [
                    stage.mask(record.take, i, name, _hand_at(record.hands, i))
                    for i in range(len(record.truth.times))
                ]
            )
        finally:
            stage.close()

    # ---------------------------------------------------------------- inside

    def _set_up(
        self, state: str, observation: Observation, instruction: str
    ) -> tuple[Stage, Setting]:
        """Build the scene of the state and read from it what the words mean."""
        with self._lock:
            stage, carried = self._stage(state, observation.camera, observation.T_world_camera)
            try:
                step = meant_step(self._cell, instruction)
                setting = read_setting(
                    self._cell,
                    step,
                    self._share(),
                    np.asarray(observation.T_world_camera, dtype=np.float64),
                    stage.visible_pixels(),
                    carried,
                )
            except BaseException:
                stage.close()
                raise
            return stage, setting

    def _stage(
        self, state: str, camera: CameraModel, T_world_camera: Array
    ) -> tuple[Stage, dict[str, tuple[str, ...]]]:
        """Restore a state and build its stage; with it what each body carries. Under the lock."""
        if self._cell is None:
            self._cell = SimulatedCell(self._context)
        self._cell.restore(state)
        carried = carried_by(self._cell)
        show = self.config.show_robot
        return Stage(self._cell, camera, T_world_camera, show_robot=show, carried=carried), carried

    def _share(self) -> Array:
        """Return (T,) how much of the motion has passed at each frame."""
        config = self.config
        waiting = config.hand_frames if config.hand else 0
        moving = config.num_frames - 1 - config.rest_frames - waiting
        return np.clip((np.arange(config.num_frames) - waiting) / moving, 0.0, 1.0)

    def _chances(self, with_goal_image: bool) -> tuple[float, dict[str, float]]:
        """Return the chance of a good video and the weights of the failures."""
        weights = dict(vars(self.config.failures))
        if not with_goal_image:
            return self.config.good_rate, weights
        for name in (WRONG_DIRECTION, STOPS_SHORT):
            weights[name] *= self.config.goal_image_weight
        return self.config.good_rate_with_goal_image, weights

    def _hands(self, setting: Setting, take: Take) -> Array | None:
        """Return (T, 4, 4) where the hand is; None if there is none."""
        if not self.config.hand:
            return None
        start, contact = take.poses[0], setting.motion.contact
        if contact is None or take.moving != setting.body:
            top = setting.box.mean(axis=0)
            top[2] = setting.box[1, 2]
            contact = transform_points(start, top)
        return hand_poses(take, np.asarray(contact), self.config.hand_frames)

    def _film(
        self,
        stage: Stage,
        take: Take,
        hands: Array | None,
        rng: np.random.Generator,
        report: Callable[[float], None],
        cancelled: Cancelled,
    ) -> tuple[dict[str, NDArray | None], DepthTruth]:
        """Draw all frames of a take."""
        config, steps = self.config, len(take.poses)
        told = draw_depth_truth(config.depth, steps, rng)
        frames, depths = np.empty(0, np.uint8), np.empty(0, np.float32)
        for i in range(steps):
            _stop_if(cancelled, f'at frame {i} of {steps}')
            # Before and after the motion nothing changes but grain, light and depth's errors.
            if i == 0 or not take.rests(i) or not _same(hands, i):
                color, depth = stage.draw(take, i, _hand_at(hands, i))
            if i == 0:
                frames = np.empty((steps, *color.shape), np.uint8)
                depths = np.empty((steps if config.with_depth else 0, *depth.shape), np.float32)
            _stop_if(cancelled, f'at frame {i} of {steps}')
            frames[i] = disturb_colour(color, take.gain[i], config.noise, rng)
            if config.with_depth:
                _stop_if(cancelled, f'at frame {i} of {steps}')
                depths[i] = disturb_depth(depth, told, i, config.depth, rng)
            report((i + 1) / steps)
        film = {
            'frames': frames,
            'times': np.arange(steps) / config.rate,
            'depth': depths if config.with_depth else None,
            'camera_poses': take.camera if config.with_camera_poses else None,
        }
        return film, told

    def _remember(self, video: Video, record: _Record) -> None:
        with self._lock:
            self._records[video_key(video)] = record
            if len(self._records) > _TRUTHS_KEPT:
                self._records.popitem(last=False)

    def _record(self, video: Video) -> _Record:
        with self._lock:
            record = self._records.get(video_key(video))
        if record is None:
            raise InvalidInputError(
                f'the truth of this video is not known: it is none of the last {_TRUTHS_KEPT} '
                'that were made here'
            )
        return record


def _truth(setting: Setting, take: Take, told: DepthTruth, times: Array) -> VideoTruth:
    """Say what a take shows."""
    still = np.tile(setting.motion.poses[0], (len(times), 1, 1))
    return VideoTruth(
        failure=take.failure,
        body=setting.body,
        times=times,
        poses=take.poses if take.moving == setting.body else still,
        reference=setting.poses_at(setting.share),
        moved=take.moving,
        moved_poses=take.poses,
        visible=take.visible,
        ghost=take.ghost,
        camera_poses=take.camera,
        zoom=take.zoom,
        depth_scale=told.scale,
        depth_shift=told.shift,
    )


def _same(values: Array | None, frame: int) -> bool:
    """Say whether (T, ...) values, if any, are what they were a frame before."""
    return values is None or np.array_equal(values[frame], values[frame - 1], equal_nan=True)


def _hand_at(hands: Array | None, frame: int) -> Array | None:
    """Return the (4, 4) pose of the hand in a frame; None where it is not seen."""
    return None if hands is None or np.isnan(hands[frame]).any() else hands[frame]


def _stop_if(cancelled: Cancelled, where: str) -> None:
    if cancelled():
        raise CancelledError(f'drawing was cancelled {where}')
