# SPDX-License-Identifier: Apache-2.0
"""What the paid video services have in common: order, wait, fetch, within a budget per goal."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import os
from pathlib import Path
import tempfile
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    BackendError,
    ConfigurationError,
    FlowManipError,
    InvalidInputError,
    VideoBudgetError,
    VideoFailedError,
)
from flow_manip_core.observation import Observation
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_world_model.progress import ignore_dropped, ignore_progress, never_cancelled
from flow_manip_world_model.prompts import load_prompt, Prompt
from flow_manip_world_model.video.files import read_video
from flow_manip_world_model.video.framing import Framing
from flow_manip_world_model.video.http import Clock, Service, WallClock

MAX_VIDEO = 256 * 1024 * 1024  # [bytes] of one video file
MAX_VIDEOS = 64  # of one goal


@dataclass(frozen=True)
class CloudConfig:
    """What every service needs; the services' own `Config`s extend it.

    Attributes:
        url: of the service.
        model: its name there.
        seconds: length of a video.
        price_per_second: in the currency of `budget`; look it up in the price list.
        budget: that one goal may cost; a video that would exceed it is not ordered.
        width: of the frame that is asked for [px].
        height: of the frame that is asked for [px].
        num_frames: kept of a video, spread evenly.
        prompt: template in `flow_manip_world_model/prompts`, or a path to a yaml file.
        timeout: of one video, from the order on [s].
        request_timeout: of one HTTP exchange [s].
        poll_interval: between two questions whether a video is ready [s].
        retries: of an exchange that failed for a reason that passes.
        backoff: pause before the first retry [s]; doubles with each.
    """

    url: str = ''
    model: str = ''
    seconds: int = 8
    price_per_second: float = 0.0
    budget: float = 0.0
    width: int = 1280
    height: int = 720
    num_frames: int = 41
    prompt: str = 'by_one_hand'
    timeout: float = 600.0
    request_timeout: float = 60.0
    poll_interval: float = 5.0
    retries: int = 4
    backoff: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense; a price of nothing would make the budget none."""
        if not self.price_per_second > 0 or not self.budget >= 0:
            raise ConfigurationError(
                f'price_per_second {self.price_per_second} must be above 0, budget {self.budget} '
                'not below'
            )
        if not 2 <= self.num_frames <= 1000 or not 1 <= self.seconds <= 60:
            raise ConfigurationError(f'{self.num_frames} frames of {self.seconds} s')
        if min(self.timeout, self.request_timeout, self.poll_interval, self.backoff) <= 0:
            raise ConfigurationError('time-outs, poll_interval and backoff must be above 0')
        if not 0 <= self.retries <= 10:
            raise ConfigurationError(f'retries is {self.retries}, expected 0..10')

    @property
    def price(self) -> float:
        """Of one video."""
        return self.price_per_second * self.seconds


@dataclass
class _Order:
    """One video that was ordered."""

    number: int
    ticket: str
    since: float


class CloudVideo:
    """Orders all videos of a goal, then gives each as it is ready.

    A cancel leaves at once; what was ordered is paid and made all the same, since the services
    offer no way to take an order back.
    """

    name = ''

    def __init__(self, config: CloudConfig, context: Context, clock: Clock | None = None) -> None:
        """Check everything that needs no network.

        Raises:
            ConfigurationError: the prompt or the address is wrong.
        """
        self._config = config
        self._prompt = load_prompt(config.prompt)
        self._clock = clock or WallClock()
        self._service = Service(
            config.url, config.request_timeout, config.retries, config.backoff, self._clock
        )

    def headers(self) -> Mapping[str, str]:
        """Return what tells the service who asks.

        Raises:
            BackendError: a key is missing.
        """
        raise NotImplementedError

    def order(
        self,
        image: str,
        last: str | None,
        prompt: Prompt,
        seed: int,
        cancelled: Callable[[], bool],
    ) -> str:
        """Order one video of base64 PNGs and return its ticket."""
        raise NotImplementedError

    def ask(self, ticket: str, cancelled: Callable[[], bool]) -> str:
        """Return where the video lies, '' while it is not ready.

        Raises:
            VideoFailedError: it will never be.
        """
        raise NotImplementedError

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
        """Give videos as they are ready; see `VideoGenerator`."""
        if not 1 <= num_videos <= MAX_VIDEOS:
            raise InvalidInputError(f'{num_videos} videos asked for, expected 1..{MAX_VIDEOS}')
        self.headers()
        prompt = self._prompt.fill(instruction)
        camera = (observation.camera.width, observation.camera.height)
        framing = Framing(camera, (self._config.width, self._config.height))
        image = _as_png(framing.fit(observation.color))
        last = None if goal_image is None else _as_png(framing.fit(goal_image))
        failures: list[FlowManipError] = []

        def fail(number: int, error: FlowManipError) -> None:
            failures.append(error)
            on_failed(number, error)

        orders: list[_Order] = []
        for number in range(num_videos):
            self._report(on_progress, f'ordering video {number + 1}', 0, num_videos)
            try:
                self._check_budget(number)
                ticket = self.order(image, last, prompt, seed + number, cancelled)
                orders.append(_Order(number, ticket, self._clock.now()))
            except (VideoFailedError, VideoBudgetError) as error:
                if isinstance(error, VideoBudgetError) and number == 0:
                    raise
                fail(number, error)
        came = 0
        for order, link in self._ready(orders, fail, cancelled):
            done = num_videos - len(orders) - 1
            self._report(on_progress, f'fetching video {order.number + 1}', done, num_videos)
            try:
                video = self._fetch(order, link, framing, prompt, seed, cancelled)
            except VideoFailedError as error:
                fail(order.number, error)
                continue
            came += 1
            yield video
        if not came:
            raise VideoFailedError(
                f'{self.name} gave none of {num_videos} videos; the first: {failures[0]}'
            )

    def _ready(
        self,
        orders: list[_Order],
        fail: Callable[[int, FlowManipError], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[_Order, str]]:
        """Ask for the open orders in turn; give those that are ready with where they lie."""
        while orders:
            self._clock.wait(self._config.poll_interval, cancelled)
            for order in list(orders):
                try:
                    link = self.ask(order.ticket, cancelled)
                    if not link and self._clock.now() - order.since > self._config.timeout:
                        raise VideoFailedError(
                            f'the video was not ready within {self._config.timeout:g} s'
                        )
                except VideoFailedError as error:
                    orders.remove(order)
                    fail(order.number, error)
                    continue
                if link:
                    orders.remove(order)
                    yield order, link

    def _check_budget(self, number: int) -> None:
        """Refuse the video that would cost more than the goal may, before it is ordered.

        Orders that failed count as paid: nobody here knows whether they are.
        """
        price, spent = self._config.price, self._config.price * number
        # A cent's rounding is no overdraft.
        if spent + price > self._config.budget + 1e-9:
            raise VideoBudgetError(
                f'video {number + 1} costs {price:.2f}, {spent:.2f} of {self._config.budget:.2f} '
                'are spent on this goal'
            )

    def _fetch(
        self,
        order: _Order,
        link: str,
        framing: Framing,
        prompt: Prompt,
        seed: int,
        cancelled: Callable[[], bool],
    ) -> Video:
        """Download one video and read it as the camera would have seen it."""
        data = self._service.download(link, self.headers, MAX_VIDEO, cancelled)
        with tempfile.TemporaryDirectory(prefix='flow_manip_') as folder:
            path = Path(folder) / 'video.mp4'
            path.write_bytes(data)
            frames, times = read_video(path, self._config.num_frames, cancelled)
        return Video(
            framing.undo(frames),
            times,
            source=f'{self.name} {self._config.model}, prompt {prompt.version}',
            prompt=prompt.text,
            seed=seed + order.number,
        )

    @staticmethod
    def _report(
        on_progress: Callable[[str, float], None], text: str, done: int, count: int
    ) -> None:
        on_progress(f'{text} of {count}', max(done, 0) / count)


def key_from(variable: str) -> str:
    """Return a key from the environment.

    Raises:
        BackendError: there is none; the message names the variable, never a value.
    """
    key = os.environ.get(variable, '').strip()
    if not key:
        raise BackendError(f'the environment variable {variable} with the key is not set')
    if not key.isascii() or not key.isprintable():
        raise BackendError(f'the environment variable {variable} holds no key')
    return key


def text_at(values: Any, *path: str | int) -> str:
    """Return the text at a path of keys in a service's answer, '' where there is none."""
    for key in path:
        try:
            values = values[key]
        except (LookupError, TypeError):
            return ''
    return values if isinstance(values, str) else ''


def _as_png(image: NDArray[np.uint8]) -> str:
    """Return an RGB image as the base64 text of a PNG."""
    _, data = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return base64.b64encode(data.tobytes()).decode()
