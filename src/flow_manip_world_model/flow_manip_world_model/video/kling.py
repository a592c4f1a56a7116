# SPDX-License-Identifier: Apache-2.0
"""Kling's image-to-video service.

A task is made (``v1/videos/image2video``), asked for until it has succeeded, and its file fetched.
Requests carry a JSON web token (RFC 7519, HS256) of half an hour, made from an access key and a
secret key.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import hashlib
import hmac
import json
import re
import time
from typing import Any

from flow_manip_core.errors import ConfigurationError, VideoFailedError
from flow_manip_world_model.prompts import MAX_PROMPT, Prompt
from flow_manip_world_model.video.cloud import CloudConfig, CloudVideo, key_from, text_at

LENGTHS = (5, 10)  # [s] that the service makes
MODES = ('std', 'pro')
TOKEN_LIFE = 1800  # [s]
CLOCK_SKEW = 5  # [s] by which our clock may be ahead
MIN_SIDE = 300  # [px] of an image that the service takes


class KlingVideo(CloudVideo):
    """Five seconds, with the goal image as last frame where there is one."""

    name = 'kling'

    @dataclass(frozen=True)
    class Config(CloudConfig):
        """Parameters beside those of every service.

        Attributes:
            access_variable: environment variable with the access key.
            secret_variable: environment variable with the secret key.
            mode: 'std' or 'pro'; a last frame needs 'pro'.
        """

        url: str = 'https://api-singapore.klingai.com'
        model: str = 'kling-v2-1'  # Dream2Flow's
        seconds: int = 5
        price_per_second: float = 0.1  # US dollars, 'pro', 2025; look it up
        budget: float = 10.0
        access_variable: str = 'KLING_ACCESS_KEY'
        secret_variable: str = 'KLING_SECRET_KEY'  # a variable's name, no secret
        mode: str = 'pro'

        def __post_init__(self) -> None:
            """Refuse what the service does not make."""
            super().__post_init__()
            if self.seconds not in LENGTHS or self.mode not in MODES:
                raise ConfigurationError(
                    f"kling: {self.seconds} s, mode '{self.mode}'; known: {list(LENGTHS)}, "
                    f'{list(MODES)}'
                )
            if min(self.width, self.height) < MIN_SIDE:
                raise ConfigurationError(
                    f'kling: {self.width} x {self.height} px, at least {MIN_SIDE} a side'
                )

    _config: Config

    def headers(self) -> Mapping[str, str]:
        """Return a fresh token's header."""
        access = key_from(self._config.access_variable)
        secret = key_from(self._config.secret_variable)
        return {'Authorization': f'Bearer {web_token(access, secret, int(time.time()))}'}

    def order(
        self,
        image: str,
        last: str | None,
        prompt: Prompt,
        seed: int,
        cancelled: Callable[[], bool],
    ) -> str:
        """Make a task and return its number; the service takes no seed."""
        body: dict[str, Any] = {
            'model_name': self._config.model,
            'mode': self._config.mode,
            'duration': str(self._config.seconds),
            'image': image,
            'prompt': prompt.text[:MAX_PROMPT],
            'negative_prompt': prompt.negative[:MAX_PROMPT],
        }
        if last is not None:
            body['image_tail'] = last
        answer = self._service.post('v1/videos/image2video', body, self.headers, cancelled)
        ticket = text_at(_data(answer), 'task_id')
        if not re.fullmatch(r'[\w-]+', ticket):
            raise VideoFailedError(f"kling named no task: '{ticket[:100]}'")
        return ticket

    def ask(self, ticket: str, cancelled: Callable[[], bool]) -> str:
        """Return the file's address once the task has succeeded."""
        path = f'v1/videos/image2video/{ticket}'
        data = _data(self._service.get(path, self.headers, cancelled))
        status = text_at(data, 'task_status')
        if status in ('submitted', 'processing'):
            return ''
        link = text_at(data, 'task_result', 'videos', 0, 'url')
        if status != 'succeed' or not link:
            reason = text_at(data, 'task_status_msg') or 'no reason given'
            raise VideoFailedError(f"kling: task '{status[:40]}': {reason[:300]}")
        return link


def web_token(access: str, secret: str, now: int) -> str:
    """Return a JSON web token (HS256) that is valid for half an hour.

    Args:
        access: who asks.
        secret: that signs.
        now: seconds since 1970.
    """

    def part(values: Mapping[str, Any]) -> bytes:
        return _base64(json.dumps(values, separators=(',', ':')).encode())

    claims = {'iss': access, 'exp': now + TOKEN_LIFE, 'nbf': now - CLOCK_SKEW}
    signed = part({'alg': 'HS256', 'typ': 'JWT'}) + b'.' + part(claims)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b'.' + _base64(signature)).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b'=')


def _data(answer: Mapping[str, Any]) -> Any:
    """Return what an answer holds.

    Raises:
        VideoFailedError: it says that something went wrong.
    """
    if answer.get('code') != 0:
        reason = text_at(answer, 'message') or 'no reason given'
        raise VideoFailedError(f'kling: code {str(answer.get("code"))[:20]}: {reason[:300]}')
    return answer.get('data')
