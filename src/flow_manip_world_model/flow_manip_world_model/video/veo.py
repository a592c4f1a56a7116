# SPDX-License-Identifier: Apache-2.0
"""Google's Veo through the Gemini API.

A long-running operation is started (``models/<model>:predictLongRunning``), asked for until it is
done, and its file fetched. Images travel as ``bytesBase64Encoded`` with their ``mimeType``, as on
Vertex AI; the key travels in the header ``x-goog-api-key``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import re
from typing import Any
from urllib.parse import quote

from flow_manip_core.errors import ConfigurationError, VideoFailedError
from flow_manip_world_model.prompts import Prompt
from flow_manip_world_model.video.cloud import CloudConfig, CloudVideo, key_from, text_at

LENGTHS = (4, 6, 8)  # [s] that the service makes


class VeoVideo(CloudVideo):
    """Eight seconds at 24 Hz, thinned to 41 frames: NovaFlow's closed choice."""

    name = 'veo'

    @dataclass(frozen=True)
    class Config(CloudConfig):
        """Parameters beside those of every service.

        Attributes:
            key_variable: environment variable with the key.
            person_generation: what people may be shown; 'allow_adult' is what images allow.
            use_goal_image: send a goal image as last frame; Veo 3.1 and newer take one.
        """

        url: str = 'https://generativelanguage.googleapis.com'
        # NovaFlow's text says veo-3.0-generate-001, its code asks for veo-3.1-generate-preview.
        model: str = 'veo-3.0-generate-001'
        price_per_second: float = 0.4  # US dollars, 2025; look it up
        budget: float = 30.0
        key_variable: str = 'GEMINI_API_KEY'
        person_generation: str = 'allow_adult'
        use_goal_image: bool = False

        def __post_init__(self) -> None:
            """Refuse lengths that the service does not make."""
            super().__post_init__()
            if self.seconds not in LENGTHS:
                raise ConfigurationError(f'veo: {self.seconds} s, known: {list(LENGTHS)}')

    _config: Config

    def headers(self) -> Mapping[str, str]:
        """Return the key's header."""
        return {'x-goog-api-key': key_from(self._config.key_variable)}

    def order(
        self,
        image: str,
        last: str | None,
        prompt: Prompt,
        seed: int,
        cancelled: Callable[[], bool],
    ) -> str:
        """Start an operation and return its name."""
        config = self._config
        instance: dict[str, Any] = {'prompt': prompt.text, 'image': _image(image)}
        if last is not None and config.use_goal_image:
            instance['lastFrame'] = _image(last)
        body = {
            'instances': [instance],
            'parameters': {
                'aspectRatio': '16:9' if config.width >= config.height else '9:16',
                'resolution': f'{min(config.width, config.height)}p',
                'durationSeconds': config.seconds,
                'negativePrompt': prompt.negative,
                'personGeneration': config.person_generation,
                'seed': seed % 2**32,
            },
        }
        path = f'v1beta/models/{quote(config.model, safe="")}:predictLongRunning'
        ticket = text_at(self._service.post(path, body, self.headers, cancelled), 'name')
        if not re.fullmatch(r'[\w.-]+(/[\w.-]+)*', ticket) or '..' in ticket:
            raise VideoFailedError(f"veo named no operation: '{ticket[:100]}'")
        return ticket

    def ask(self, ticket: str, cancelled: Callable[[], bool]) -> str:
        """Return the file's address once the operation is done."""
        answer = self._service.get(f'v1beta/{ticket}', self.headers, cancelled)
        if answer.get('done') is not True:
            return ''
        if 'error' in answer:
            reason = text_at(answer, 'error', 'message') or 'no reason given'
            raise VideoFailedError(f'veo failed: {reason[:300]}')
        made = answer.get('response')
        made = made.get('generateVideoResponse') if isinstance(made, dict) else None
        link = text_at(made, 'generatedSamples', 0, 'video', 'uri')
        if not link:
            reason = text_at(made, 'raiMediaFilteredReasons', 0) or 'the operation has no video'
            raise VideoFailedError(f'veo refused: {reason[:300]}')
        return link


def _image(data: str) -> dict[str, str]:
    return {'bytesBase64Encoded': data, 'mimeType': 'image/png'}
