# SPDX-License-Identifier: Apache-2.0
"""Weights as one safetensors file that says what network they are of.

The file holds what training changed, in half precision; frozen models (Stable Diffusion, CLIP,
MiniLM) are named in the configuration and loaded from where they are. The metadata have the
configuration with the codec's normalisation, so that nobody decodes by another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch

from flow_manip_core.errors import BackendError, ConfigurationError
from flow_manip_world_model.flow.diffusion.config import FlowDiffusionConfig, FORMAT
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion
from flow_manip_world_model.flow.diffusion.text import load_text_encoder, TextEncoder

KIND = 'flow_manip flow diffusion'


def save_weights(
    path: Path,
    config: FlowDiffusionConfig,
    tensors: Mapping[str, torch.Tensor],
    *,
    notes: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write weights; a reader never sees half a file.

    Args:
        path: of the file; its folder is made.
        config: of the network.
        tensors: as `FlowDiffusion.trained` names them.
        notes: for whoever looks into the file (data, seed, steps, score).
        dtype: to store in.
    """
    metadata = {'kind': KIND, 'format': str(FORMAT), 'config': config.to_json()}
    metadata |= {f'note.{key}': value for key, value in (notes or {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {
        name: value.detach().to('cpu', dtype).contiguous() for name, value in tensors.items()
    }
    unfinished = path.with_suffix('.unfinished')
    save_file(stored, unfinished, metadata=metadata)
    unfinished.chmod(0o644)  # safetensors writes files that only their owner may read
    unfinished.replace(path)


def read_config(path: Path) -> FlowDiffusionConfig:
    """Read the configuration that weights are of.

    Raises:
        BackendError: the file is missing, broken, of something else or of a newer format.
    """
    return _config_of(path, _metadata(path))


def read_notes(path: Path) -> dict[str, str]:
    """Read what the writer said about the weights.

    Raises:
        BackendError: see `read_config`.
    """
    found = _metadata(path)
    _config_of(path, found)
    return {k.removeprefix('note.'): v for k, v in found.items() if k.startswith('note.')}


def load_network(
    path: Path, *, local_files_only: bool = False
) -> tuple[FlowDiffusion, TextEncoder]:
    """Build the network that weights are of and fill it, in evaluation mode and float32.

    Raises:
        BackendError: the file cannot be used, or a model that it is built on is missing.
    """
    config = read_config(path)
    text = load_text_encoder(config.text, local_files_only=local_files_only)
    network = FlowDiffusion(config, text.width, local_files_only=local_files_only)
    fill_network(network, path)
    return network.eval().requires_grad_(False), text


def fill_network(network: FlowDiffusion, path: Path) -> None:
    """Copy weights into a network of the same configuration.

    Raises:
        BackendError: the file cannot be used, is of another configuration, or has other tensors.
    """
    config = read_config(path)
    if config != network.config:
        raise BackendError(
            f'{path}: weights of {config.to_json()}, the network is {network.config.to_json()}'
        )
    expected = network.trained()
    with safe_open(path, framework='pt') as file:
        names = set(file.keys())
        missing, extra = sorted(set(expected) - names), sorted(names - set(expected))
        if missing or extra:
            raise BackendError(
                f'{path}: {len(missing)} tensors are missing and {len(extra)} too many, e.g. '
                f'{(missing + extra)[0]}'
            )
        for name, parameter in expected.items():
            value = file.get_tensor(name)
            if value.shape != parameter.shape or not bool(torch.isfinite(value).all()):
                raise BackendError(
                    f"{path}: '{name}' is {tuple(value.shape)}, expected "
                    f'{tuple(parameter.shape)} and finite'
                )
            parameter.data.copy_(value)


def _metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file."""
    if not path.is_file():
        raise BackendError(f'no weights at {path}')
    try:
        with safe_open(path, framework='pt') as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise BackendError(f'{path}: {error}') from error


def _config_of(path: Path, metadata: Mapping[str, str]) -> FlowDiffusionConfig:
    """Check what a file is and return its configuration."""
    if metadata.get('kind') != KIND:
        raise BackendError(f"{path}: of kind '{metadata.get('kind', '')}', expected '{KIND}'")
    if metadata.get('format') != str(FORMAT):
        raise BackendError(f'{path}: format {metadata.get("format")}, this reads {FORMAT}')
    try:
        return FlowDiffusionConfig.from_json(metadata.get('config', ''), str(path))
    except ConfigurationError as error:
        raise BackendError(f'{path}: {error}') from error
