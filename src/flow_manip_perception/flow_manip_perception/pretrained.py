# SPDX-License-Identifier: Apache-2.0
"""Loading models of transformers, and images as they want them, without torchvision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError, CancelledError, ConfigurationError
from flow_manip_core.registry import INSTALL_COMMANDS

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DTYPES = ('float32', 'bfloat16', 'float16')


@dataclass(frozen=True)
class ModelRuntime:
    """Where models run and whether the hub may be asked.

    Attributes:
        local_files_only: only what is on the disk already.
        device: torch's name.
        dtype: of the weights.
    """

    local_files_only: bool = field(default=False, metadata={'doc': 'Never ask the hub'})
    device: str = field(default='cpu', metadata={'doc': "torch's name of it"})
    dtype: str = field(default='float32', metadata={'doc': 'Of the weights'})

    def __post_init__(self) -> None:
        """Refuse an unknown type.

        Raises:
            ConfigurationError: it is none of `DTYPES`.
        """
        if self.dtype not in DTYPES:
            raise ConfigurationError(f"dtype '{self.dtype}'; known: {', '.join(DTYPES)}")


def require(module: str) -> Any:
    """Import a package that only some backends need.

    Raises:
        BackendError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition('.')[0]
        command = INSTALL_COMMANDS.get(missing, INSTALL_COMMANDS['transformers'])
        raise BackendError(f'{error}; install it with: {command}') from error


def load_model(name: str, where: str, runtime: ModelRuntime) -> Any:
    """Load the weights of a class of transformers, ready to answer.

    Args:
        name: of the class.
        where: hub id, or folder with a config and safetensors.
        runtime: where it runs.

    Raises:
        BackendError: transformers or torch is missing, or there is no such model.
    """
    torch = require('torch')
    transformers = require('transformers')
    try:
        model = getattr(transformers, name).from_pretrained(
            where,
            dtype=getattr(torch, runtime.dtype),
            use_safetensors=True,
            local_files_only=runtime.local_files_only,
        )
        return model.to(runtime.device).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise BackendError(f"{name} '{where}' cannot be loaded: {error}") from error


def load_tokenizer(where: str, runtime: ModelRuntime) -> Any:
    """Load the tokenizer beside a model.

    Raises:
        BackendError: as `load_model`.
    """
    transformers = require('transformers')
    try:
        return transformers.AutoTokenizer.from_pretrained(
            where, local_files_only=runtime.local_files_only
        )
    except (OSError, ValueError) as error:
        raise BackendError(f"the tokenizer of '{where}' cannot be loaded: {error}") from error


def image_tensor(
    images: NDArray[np.uint8],
    size: tuple[int, int],
    like: Any,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    interpolation: int = cv2.INTER_LINEAR,
) -> Any:
    """Resize and normalise (B, H, W, 3) RGB images.

    Args:
        images: uint8.
        size: (width, height) [px] that the model wants.
        like: a model, whose device and type the tensor gets.
        mean: of the channels, 0..1.
        std: likewise.
        interpolation: of OpenCV; areas are averaged where the image gets smaller, as an
            anti-aliased resize does.

    Returns:
        (B, 3, height, width) tensor.
    """
    torch = require('torch')
    smaller = size[0] < images.shape[2] or size[1] < images.shape[1]
    how = cv2.INTER_AREA if smaller else interpolation
    resized = np.stack([cv2.resize(image, size, interpolation=how) for image in images])
    tensor = torch.from_numpy(resized.astype(np.float32) / 255.0)
    tensor = (tensor - torch.tensor(tuple(mean))) / torch.tensor(tuple(std))
    tensor = tensor.permute(0, 3, 1, 2).contiguous()
    return tensor.to(device=like.device, dtype=like.dtype)


def square_side(config: Any) -> int:
    """Return the side of the square images of a SAM 2 model [px]."""
    size = getattr(config, 'image_size', None)
    if size is None:
        size = config.prompt_encoder_config.image_size
    return int(size[0] if isinstance(size, (list, tuple)) else size)


@contextmanager
def interruptible(model: Any, cancelled: Callable[[], bool], doing: str) -> Iterator[None]:
    """Let a model be cancelled between any two of its layers.

    Raises:
        CancelledError: `cancelled` said so; out of the call of the model.
    """

    def look(module: Any, args: Any) -> None:
        if cancelled():
            raise CancelledError(f'cancelled while {doing}')

    hooks = [module.register_forward_pre_hook(look) for module in model.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
