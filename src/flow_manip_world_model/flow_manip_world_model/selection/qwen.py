# SPDX-License-Identifier: Apache-2.0
"""A Qwen-VL model in this process, through transformers: Qwen2-VL, Qwen2.5-VL and Qwen3-VL.

torchvision is not needed: images go through the processor that is written with PIL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.chat import NoAnswerError
from flow_manip_core.errors import BackendError, CancelledError, ConfigurationError
from flow_manip_core.registry import INSTALL_COMMANDS

Image = NDArray[np.uint8]
IMAGE = '<|vision_start|>{pads}<|vision_end|>'
PAD = '<|image_pad|>'
TURN = '<|im_start|>user\n{images}{question}<|im_end|>\n<|im_start|>assistant\n'
DTYPES = ('float32', 'bfloat16', 'float16')


@dataclass(frozen=True)
class QwenConfig:
    """Where the model is and how it answers.

    Attributes:
        model: hub id or folder with config, tokenizer, preprocessor and safetensors; '' for none.
        local_files_only: never ask the hub.
        device: torch's name.
        dtype: of the weights.
        timeout: of an answer [s].
        max_new_tokens: of an answer.
    """

    model: str = field(default='', metadata={'doc': 'Hub id or folder; empty: none'})
    local_files_only: bool = field(default=False, metadata={'doc': 'Never ask the hub'})
    device: str = field(default='cpu', metadata={'doc': "torch's name of it"})
    dtype: str = field(default='bfloat16', metadata={'doc': 'Of the weights'})
    timeout: float = field(default=120.0, metadata={'doc': 'Of an answer [s]'})
    max_new_tokens: int = field(default=900, metadata={'doc': 'Of an answer'})

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigurationError: with what is wrong.
        """
        if self.dtype not in DTYPES:
            raise ConfigurationError(f"dtype '{self.dtype}', known: {', '.join(DTYPES)}")
        if self.timeout <= 0 or not 1 <= self.max_new_tokens <= 100_000:
            raise ConfigurationError(f'{self.timeout} s, {self.max_new_tokens} tokens')


class QwenModel:
    """Answers questions about images; the weights are read at the first question."""

    def __init__(self, config: QwenConfig) -> None:
        """Remember where the model is."""
        self._config = config
        self._loaded: tuple[Any, Any, Any] | None = None

    @property
    def name(self) -> str:
        """Its hub id or folder."""
        return self._config.model

    def ask(
        self,
        question: str,
        images: Sequence[Image],
        schema: Any,
        read: Callable[[str], Any],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Ask once; as `flow_manip_core.chat.ChatModel.ask`, without being held to the schema.

        Raises:
            NoAnswerError: it is not usable, or took too long.
            CancelledError: `cancelled` turned true.
            BackendError: the model cannot be loaded.
        """
        return read(self._answer(question, images, cancelled))

    def _answer(
        self, question: str, images: Sequence[Image], cancelled: Callable[[], bool]
    ) -> str:
        """Return the model's text, decoded greedily."""
        model, tokenizer, processor = self._load()
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        deadline = time.monotonic() + self._config.timeout
        stopped = ''

        class Stop(StoppingCriteria):
            """Ends at a cancel and at the deadline, between tokens."""

            def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
                nonlocal stopped
                if cancelled():
                    stopped = 'cancelled'
                elif time.monotonic() > deadline:
                    stopped = 'late'
                return torch.full((len(input_ids),), bool(stopped), device=input_ids.device)

        inputs = self._inputs(model, tokenizer, processor, question, images)
        count = inputs['input_ids'].shape[1]
        with torch.inference_mode():
            tokens = model.generate(
                **inputs,
                max_new_tokens=self._config.max_new_tokens,
                do_sample=False,
                stopping_criteria=StoppingCriteriaList([Stop()]),
            )
        if stopped == 'cancelled':
            raise CancelledError('cancelled while a model was asked')
        if stopped:
            raise NoAnswerError(f'no answer within {self._config.timeout:g} s')
        return str(tokenizer.decode(tokens[0, count:], skip_special_tokens=True))

    def _inputs(
        self, model: Any, tokenizer: Any, processor: Any, question: str, images: Sequence[Image]
    ) -> dict[str, Any]:
        """Return what the model takes: tokens, patches, their grids, and which token is what."""
        import torch

        seen = processor(list(images), return_tensors='pt')
        merged = seen['image_grid_thw'].prod(dim=1) // processor.merge_size**2
        shown = ''.join(IMAGE.format(pads=PAD * int(n)) for n in merged)
        # The question is data: what looks like a control token in it must not be one.
        quoted = question.replace('<|', '< |')
        text = TURN.format(images=shown, question=quoted)
        tokens = tokenizer(text, return_tensors='pt', add_special_tokens=False)
        ids = tokens['input_ids']
        kinds = (ids == model.config.image_token_id).to(torch.int32)
        if int(kinds.sum()) != int(merged.sum()):
            raise BackendError(
                f"'{self.name}': its tokenizer makes {int(kinds.sum())} image tokens of "
                f'{int(merged.sum())}'
            )
        values = {
            'input_ids': ids,
            'attention_mask': torch.ones_like(ids),
            'pixel_values': seen['pixel_values'].to(model.dtype),
            'image_grid_thw': seen['image_grid_thw'],
            'mm_token_type_ids': kinds,
        }
        return {name: value.to(model.device) for name, value in values.items()}

    def _load(self) -> tuple[Any, Any, Any]:
        """Return model, tokenizer and image processor, loaded once.

        Raises:
            BackendError: a package or a file is missing.
        """
        if self._loaded is not None:
            return self._loaded
        config = self._config
        try:
            import torch
            from transformers import AutoModelForImageTextToText, AutoTokenizer
            from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
                Qwen2VLImageProcessorPil,
            )
        except ImportError as error:
            missing = (error.name or '').partition('.')[0]
            command = INSTALL_COMMANDS.get(missing, INSTALL_COMMANDS['transformers'])
            raise BackendError(f'{error}; install it with: {command}') from error
        where: dict[str, Any] = {'local_files_only': config.local_files_only}
        try:
            model: Any = AutoModelForImageTextToText.from_pretrained(
                config.model, dtype=getattr(torch, config.dtype), use_safetensors=True, **where
            )
            tokenizer = AutoTokenizer.from_pretrained(config.model, **where)
            processor = Qwen2VLImageProcessorPil.from_pretrained(config.model, **where)
        except (OSError, ValueError, KeyError) as error:
            raise BackendError(f"'{config.model}' cannot be loaded: {error}") from error
        self._loaded = (model.to(config.device).eval(), tokenizer, processor)
        return self._loaded
