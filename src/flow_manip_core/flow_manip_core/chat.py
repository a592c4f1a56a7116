# SPDX-License-Identifier: Apache-2.0
"""Asking a language model behind HTTP about images: bounded in size, time and tries.

Two interfaces: servers that speak OpenAI's chat completions (most do), and Gemini's
``generateContent``. What comes back is untrusted text; whoever asks reads it strictly.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import json
import os
import queue
import threading
import time
from typing import Any
from urllib import error as url_errors
from urllib import request as url_requests
from urllib.parse import quote, urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import CancelledError, ConfigurationError, FlowManipError

Image = NDArray[np.uint8]

MAX_ANSWER = 65_536  # [bytes]
POLL = 0.02  # [s] between looks at `cancelled`
KINDS = ('openai', 'gemini')


class NoAnswerError(FlowManipError):
    """A model gave no usable answer; whoever asked goes on without and says so."""


@dataclass(frozen=True)
class ChatConfig:
    """Whom to ask.

    Attributes:
        url: of the server; 'openai': up to and without /chat/completions, 'gemini': up to and
            without /models, e.g. https://generativelanguage.googleapis.com/v1beta.
        model: its name there.
        kind: 'openai' or 'gemini'.
        key_variable: environment variable with the key; empty: none is sent.
        timeout: of everything, tries included [s].
        tries: questions that may be asked until an answer is usable.
        max_side: of the images that are sent [px].
        max_tokens: of the answer.
    """

    url: str = field(default='', metadata={'doc': 'Of the server, without /chat/completions'})
    model: str = field(default='', metadata={'doc': 'Its name there'})
    kind: str = field(default='openai', metadata={'doc': "'openai' or 'gemini'"})
    key_variable: str = field(default='', metadata={'doc': 'Environment variable with the key'})
    timeout: float = field(default=30.0, metadata={'doc': 'Of everything, tries included [s]'})
    tries: int = field(default=2, metadata={'doc': 'Until an answer is usable'})
    max_side: int = field(default=1280, metadata={'doc': 'Of the images that are sent [px]'})
    max_tokens: int = field(default=1200, metadata={'doc': 'Of the answer'})

    def __post_init__(self) -> None:
        """Refuse what cannot be asked; an empty URL asks nobody.

        Raises:
            ConfigurationError: with what is wrong.
        """
        if self.kind not in KINDS:
            raise ConfigurationError(f"chat kind '{self.kind}', known: {', '.join(KINDS)}")
        if self.url:
            check_url(self.url)
            if not self.model:
                raise ConfigurationError('a chat url is set, its model is not')
        if not 0 < self.timeout < 3600 or not 1 <= self.tries <= 10:
            raise ConfigurationError(f'chat: {self.timeout} s, {self.tries} tries')
        if not 32 <= self.max_side <= 4096 or not 16 <= self.max_tokens <= 100_000:
            raise ConfigurationError(f'chat: {self.max_side} px, {self.max_tokens} tokens')


def check_url(url: str) -> None:
    """Refuse what is no web address.

    Raises:
        ConfigurationError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise ConfigurationError(f"'{url}' is not http(s)://host...")


class ChatModel:
    """A model that answers questions about images with JSON."""

    def __init__(self, config: ChatConfig) -> None:
        """Remember whom to ask."""
        self._config = config

    @property
    def name(self) -> str:
        """The model's name."""
        return self._config.model

    def ask(
        self,
        question: str,
        images: Sequence[Image],
        schema: Mapping[str, Any],
        read: Callable[[str], Any],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Ask until `read` makes sense of the answer, a few times at most.

        Args:
            question: in words.
            images: (H, W, 3) uint8 RGB.
            schema: JSON schema of the answer, for servers that hold models to it.
            read: turns the answer's text into what is wanted; raises NoAnswerError.
            cancelled: polled while waiting.

        Raises:
            NoAnswerError: no usable answer within the time and the tries; the message has the
                last reason.
            CancelledError: `cancelled` turned true.
        """
        config = self._config
        url, headers, body = request_of(config, question, images, schema)
        deadline, reason = time.monotonic() + config.timeout, 'nobody was asked'
        for _ in range(config.tries):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                data = post_json(url, body, headers, left, cancelled, limit=config.timeout)
                return read(text_of(config.kind, data))
            except NoAnswerError as error:
                reason = str(error)
        raise NoAnswerError(reason)


def request_of(
    config: ChatConfig, question: str, images: Sequence[Image], schema: Mapping[str, Any]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return address, headers and body of a question."""
    key = os.environ.get(config.key_variable, '') if config.key_variable else ''
    if config.kind == 'gemini':
        return _gemini_request(config, key, question, images, schema)
    text = {'type': 'text', 'text': question}
    shown = [
        {'type': 'image_url', 'image_url': {'url': as_data_url(i, config.max_side)}}
        for i in images
    ]
    body = {
        'model': config.model,
        'temperature': 0,
        'max_tokens': config.max_tokens,
        'response_format': {
            'type': 'json_schema',
            'json_schema': {'name': 'answer', 'strict': True, 'schema': dict(schema)},
        },
        'messages': [{'role': 'user', 'content': [text, *shown]}],
    }
    headers = {'Authorization': f'Bearer {key}'} if key else {}
    return f'{config.url.rstrip("/")}/chat/completions', headers, body


def _gemini_request(
    config: ChatConfig,
    key: str,
    question: str,
    images: Sequence[Image],
    schema: Mapping[str, Any],
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return what Gemini's `generateContent` wants."""
    shown = [
        {'inlineData': {'mimeType': 'image/jpeg', 'data': as_base64(i, config.max_side)}}
        for i in images
    ]
    body = {
        'contents': [{'role': 'user', 'parts': [{'text': question}, *shown]}],
        'generationConfig': {
            'temperature': 0,
            'maxOutputTokens': config.max_tokens,
            'responseMimeType': 'application/json',
            'responseJsonSchema': dict(schema),
        },
    }
    model = quote(config.model, safe='')
    # The key goes into a header: addresses are written to logs.
    headers = {'x-goog-api-key': key} if key else {}
    return f'{config.url.rstrip("/")}/models/{model}:generateContent', headers, body


def text_of(kind: str, data: bytes) -> str:
    """Return the text of a server's answer.

    Raises:
        NoAnswerError: it is not what such a server answers, or it refused.
    """
    try:
        values = json.loads(data)
        if kind == 'gemini':
            parts = values['candidates'][0]['content']['parts']
            text = ''.join(part.get('text', '') for part in parts if not part.get('thought'))
        else:
            text = values['choices'][0]['message']['content']
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoAnswerError(f'the answer is not as asked for: {error!r:.200}') from error
    if not isinstance(text, str):
        raise NoAnswerError(f'the answer holds {type(text).__name__}, no text')
    return text


class _NoRedirects(url_requests.HTTPRedirectHandler):
    """Follows nobody elsewhere: the request carries a key."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = url_requests.build_opener(_NoRedirects)


def post_json(
    url: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    timeout: float,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    limit: float | None = None,
) -> bytes:
    """Post a JSON map and return the bytes that come back, at most `MAX_ANSWER`.

    Args:
        url: to post to; redirects are not followed.
        body: the map.
        headers: beside the content's type.
        timeout: of the whole exchange [s].
        cancelled: polled every 20 ms.
        limit: seconds that a message about no answer names; `timeout` if left out.

    Raises:
        NoAnswerError: there is none in time, it is too long, or the server says no.
        CancelledError: `cancelled` turned true.
    """
    data = json.dumps(body).encode()
    sent = {'Content-Type': 'application/json', **headers}
    request = url_requests.Request(url, data=data, headers=sent, method='POST')
    answers: queue.Queue[bytes | NoAnswerError] = queue.Queue()
    silent = f'no answer within {timeout if limit is None else limit:g} s'
    # A thread of its own: a server that trickles would block beyond any time-out of a socket.
    work = threading.Thread(
        target=lambda: answers.put(_exchange(request, timeout, silent)), daemon=True
    )
    work.start()
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if cancelled():
            raise CancelledError('cancelled while a model was asked')
        try:
            answer = answers.get(timeout=POLL)
        except queue.Empty:
            continue
        if isinstance(answer, NoAnswerError):
            raise answer
        return answer
    raise NoAnswerError(silent)


def _exchange(request: url_requests.Request, timeout: float, silent: str) -> bytes | NoAnswerError:
    """Do the exchange; hand what went wrong back, since this runs on a thread."""
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            data = bytes(response.read(MAX_ANSWER + 1))
    except url_errors.HTTPError as error:
        return NoAnswerError(f'the server answered {error.code}')
    except (OSError, ValueError) as error:
        if isinstance(getattr(error, 'reason', error), TimeoutError):
            return NoAnswerError(silent)
        return NoAnswerError(f'the server was not reached: {error}')
    if len(data) > MAX_ANSWER:
        return NoAnswerError(f'the answer is longer than {MAX_ANSWER} bytes')
    return data


def as_base64(image: Image, max_side: int) -> str:
    """Return an RGB image as a base64 JPEG, no side longer than `max_side` pixels."""
    scale = min(1.0, max_side / max(image.shape[:2]))
    if scale < 1.0:
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, dtype=np.uint8)
    _, data = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return base64.b64encode(data.tobytes()).decode()


def as_data_url(image: Image, max_side: int) -> str:
    """Return an RGB image as a JPEG data URL, no side longer than `max_side` pixels."""
    return 'data:image/jpeg;base64,' + as_base64(image, max_side)
