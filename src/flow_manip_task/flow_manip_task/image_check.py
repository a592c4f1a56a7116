# SPDX-License-Identifier: Apache-2.0
"""A second opinion on the end of a goal: three images to a model that can only say no.

The images are the scene before, the end as it was imagined, and the scene after. The model's
answer is untrusted: bounded in size and time, read strictly, and never more than a veto. A model
that does not answer is reported, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
import os
from typing import Any, Protocol

import cv2
import numpy as np

from flow_manip_core.camera import project_from
from flow_manip_core.chat import (
    as_data_url,
    check_url,
    Image,
    MAX_ANSWER,
    NoAnswerError,
    post_json,
    text_of,
)
from flow_manip_core.errors import ConfigurationError, GoalNotReachedError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.transforms import invert_transform, transform_points

MAX_REASON = 500  # characters that are kept
QUESTION = (
    'A robot was told: "{instruction}". Image 1 shows the table before, image 2 how the end was '
    'imagined, image 3 the table now. Is what the robot was told done in image 3? Small '
    'differences from image 2 do not matter. Answer with JSON only: '
    '{{"done": true or false, "reason": "one sentence"}}'
)


class NoVerdictError(NoAnswerError):
    """The checker gave no usable answer; never leaves the state machine."""


@dataclass(frozen=True)
class Verdict:
    """What a checker says.

    Attributes:
        done: the instruction is carried out.
        reason: in a sentence.
    """

    done: bool
    reason: str


class Checker(Protocol):
    """Judges the end of a goal by images."""

    def check(
        self,
        instruction: str,
        before: Image,
        imagined: Image,
        after: Image,
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """Say whether it is done, from three (H, W, 3) uint8 RGB images.

        Raises:
            NoVerdictError: there is no usable answer.
            CancelledError: `cancelled` turned true.
        """


@dataclass(frozen=True)
class ImageCheckConfig:
    """Whom to ask.

    Attributes:
        url: of an OpenAI-compatible server, up to and without /chat/completions; empty: nobody.
        model: its name there.
        key_variable: environment variable with the key; empty: none is sent.
        timeout: after which there is no answer [s].
        max_side: of the images that are sent [px].
    """

    url: str = ''
    model: str = ''
    key_variable: str = ''
    timeout: float = 30.0
    max_side: int = 640

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if not self.url:
            return
        check_url(self.url)
        if not self.model:
            raise ConfigurationError('image_check.url is set, image_check.model is not')
        if self.timeout <= 0 or not 32 <= self.max_side <= 4096:
            raise ConfigurationError(f'image_check: {self.timeout} s, {self.max_side} px')


@dataclass
class HttpChecker:
    """Asks a model behind an OpenAI-compatible HTTP interface."""

    config: ImageCheckConfig

    def check(
        self,
        instruction: str,
        before: Image,
        imagined: Image,
        after: Image,
        cancelled: Callable[[], bool],
    ) -> Verdict:
        """Ask once; see `Checker`."""
        body = self._question(instruction, (before, imagined, after))
        key = os.environ.get(self.config.key_variable, '') if self.config.key_variable else ''
        headers = {'Authorization': f'Bearer {key}'} if key else {}
        url = f'{self.config.url.rstrip("/")}/chat/completions'
        try:
            return read_answer(post_json(url, body, headers, self.config.timeout, cancelled))
        except NoVerdictError:
            raise
        except NoAnswerError as error:
            raise NoVerdictError(str(error)) from error

    def _question(self, instruction: str, images: tuple[Image, ...]) -> dict[str, Any]:
        text = {'type': 'text', 'text': QUESTION.format(instruction=instruction)}
        shown = [
            {'type': 'image_url', 'image_url': {'url': as_data_url(i, self.config.max_side)}}
            for i in images
        ]
        return {
            'model': self.config.model,
            'temperature': 0,
            'max_tokens': 300,
            'response_format': {'type': 'json_object'},
            'messages': [{'role': 'user', 'content': [text, *shown]}],
        }


def make_checker(config: ImageCheckConfig) -> Checker | None:
    """Return who is asked, None where nobody is."""
    return HttpChecker(config) if config.url else None


def second_opinion(
    config: ImageCheckConfig,
    instruction: str,
    goal: tuple[Observation, Mask, ObjectFlow, Image | None],
    after: Observation,
    cancelled: Callable[[], bool],
) -> str:
    """Ask whoever is configured whether a goal is reached that looks so.

    Args:
        config: whom to ask.
        instruction: in words.
        goal: what was seen before, the object in it, its flow, and an image of the wished end if
            one was given.
        after: what is seen now.
        cancelled: polled while waiting.

    Returns:
        What to add to the result's message: agreement, or that there was no verdict and why;
        empty where nobody is asked.

    Raises:
        GoalNotReachedError: the answer is no.
        CancelledError: `cancelled` turned true.
        DegenerateFlowError: the flow's end does not determine a rigid motion.
    """
    checker = make_checker(config)
    if checker is None:
        return ''
    before, mask, flow, image = goal
    imagined = imagined_end(before, mask, flow) if image is None else image
    try:
        verdict = checker.check(instruction, before.color, imagined, after.color, cancelled)
    except NoVerdictError as error:
        return f'; {config.model} was asked by images and gave no verdict: {error}'
    if not verdict.done:
        raise GoalNotReachedError(
            f'{config.model} says by images that it is not done: {verdict.reason}'
        )
    return f'; {config.model} agrees by images: {verdict.reason}'


def read_answer(data: bytes) -> Verdict:
    """Read a chat completion whose message is {"done": bool, "reason": str} and nothing else.

    Raises:
        NoVerdictError: it is too long or anything else.
    """
    if len(data) > MAX_ANSWER:
        raise NoVerdictError(f'the answer is longer than {MAX_ANSWER} bytes')
    try:
        answer = json.loads(text_of('openai', data))
    except NoAnswerError as error:
        raise NoVerdictError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise NoVerdictError(f'the answer is not as asked for: {error!r:.200}') from error
    if not isinstance(answer, dict) or set(answer) != {'done', 'reason'}:
        raise NoVerdictError('the answer has not exactly "done" and "reason"')
    done, reason = answer['done'], answer['reason']
    if not isinstance(done, bool) or not isinstance(reason, str):
        raise NoVerdictError('"done" is not true or false, or "reason" not a text')
    printable = ''.join(c if c.isprintable() else ' ' for c in reason)
    return Verdict(done, printable[:MAX_REASON])


def imagined_end(before: Observation, mask: Mask, flow: ObjectFlow) -> Image:
    """Draw the scene as it would be at the flow's end: (H, W, 3) uint8 RGB.

    The object's place is painted over from its surroundings, and its visible points are drawn
    where the flow's end has them, nearer ones over farther ones, over what is behind them.

    Raises:
        DegenerateFlowError: the flow's end does not determine a rigid motion.
    """
    grown = cv2.dilate(mask.pixels.astype(np.uint8), np.ones((5, 5), np.uint8))
    image = cv2.inpaint(before.color, grown, 3, cv2.INPAINT_TELEA)
    cloud = before.points_world()
    known = mask.pixels & np.isfinite(cloud).all(axis=-1)
    points = transform_points(fit_flow_transforms(flow)[0][-1], cloud[known])
    depth = transform_points(invert_transform(before.T_world_camera), points)[:, 2]
    pixels = project_from(before.camera, before.T_world_camera, points)
    order = np.argsort(-depth)
    for (u, v), color in zip(pixels[order], before.color[known][order]):
        if np.isfinite([u, v]).all():
            corner = (round(u) - 1, round(v) - 1)
            cv2.rectangle(image, corner, (corner[0] + 2, corner[1] + 2), color.tolist(), -1)
    return image
