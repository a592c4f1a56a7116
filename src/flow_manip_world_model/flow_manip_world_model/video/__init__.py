# SPDX-License-Identifier: Apache-2.0
"""Video generators: from an image and words to videos of what should happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import FlowManipError
from flow_manip_core.observation import Observation
from flow_manip_core.registry import Registry
from flow_manip_core.video import Video
from flow_manip_world_model.progress import ignore_dropped, ignore_progress, never_cancelled


class VideoGenerator(Protocol):
    """Imagines what a camera would see while an instruction is carried out."""

    def generate(
        self,
        observation: Observation,
        instruction: str,
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_videos: int = 1,
        seed: int = 0,
        on_failed: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> Iterator[Video]:
        """Give videos one by one, as they are ready.

        Every video shows what the observation's camera would see: its frames have the size and the
        field of view of `observation.color`, whatever size the model itself works in. The first
        frame shows the observation. `Video.seed` is ``seed + number`` of the video.

        Args:
            observation: what the camera sees now.
            instruction: what is to be done, in words.
            goal_image: (H, W, 3) uint8 RGB of the wished-for end, for generators that use one.
            num_videos: how many; a generator that has fewer gives fewer, but at least one.
            seed: the same seed gives the same videos, as far as the model allows.
            on_failed: told the number (from 0) of a video that failed and why; the others come.
            on_progress: told a short text and 0..1.
            cancelled: polled at least every 20 ms of work, or as often as a model's loop allows.

        Raises:
            VideoFailedError: no video came: refused, unreadable, or the service failed.
            VideoBudgetError: the first video already costs more than the goal may.
            BackendError: a package or a key is missing.
            CancelledError: the caller asked to stop.
            InvalidInputError: the goal image does not belong to the observation.
        """


VIDEO_GENERATORS: Registry[VideoGenerator] = Registry(
    'video',
    {
        'kling': 'flow_manip_world_model.video.kling:KlingVideo',
        'recorded': 'flow_manip_world_model.video.recorded:RecordedVideo',
        'remote': 'flow_manip_world_model.video.remote:RemoteVideo',
        # It renders what only the simulator knows.
        'simulated': 'flow_manip_mujoco.video.simulated:SimulatedVideo',
        'veo': 'flow_manip_world_model.video.veo:VeoVideo',
        'wan': 'flow_manip_world_model.video.wan:WanVideo',
    },
)
