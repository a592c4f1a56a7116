# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: all that a run needs to go on as if nothing had happened, as safetensors.

What is random is drawn from seed and step number, the learning rate follows from the step, and so
does the position in the data: none of them needs to be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
import re
import shutil
from typing import Any

from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import nn

from flow_manip_core.errors import BackendError

VERSION = 1
_NAME = re.compile(r'step-(\d+)')
_MOMENTS = ('exp_avg', 'exp_avg_sq', 'step')


def checkpoint_folders(folder: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    found = [p for p in folder.glob('step-*') if _NAME.fullmatch(p.name)]
    return sorted(found, key=lambda p: int(p.name.removeprefix('step-')))


def save_checkpoint(
    folder: Path,
    step: int,
    trained: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    ema: EMAModel | None,
    about: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a checkpoint and drop the oldest beyond `keep`.

    Args:
        folder: of all checkpoints of the run.
        step: how many are done.
        trained: parameters by name, in the order that optimiser and average have them.
        optimizer: AdamW over them.
        ema: average of them.
        about: of the run, checked by `load_checkpoint`; and what else belongs to the moment.
        keep: newest ones that stay.
    """
    path, unfinished = folder / f'step-{step:07d}', folder / '.unfinished'
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(_plain(trained), unfinished / 'model.safetensors')
    moments = {
        f'{name}.{moment}': optimizer.state[parameter][moment]
        for name, parameter in trained.items()
        for moment in _MOMENTS
        if parameter in optimizer.state
    }
    save_file(_plain(moments), unfinished / 'optimizer.safetensors')
    state = {'version': VERSION, 'step': step, **about}
    if ema is not None:
        save_file(_plain(dict(zip(trained, ema.shadow_params))), unfinished / 'ema.safetensors')
        state['ema_step'] = ema.optimization_step
    (unfinished / 'state.json').write_text(json.dumps(state, indent=1), encoding='utf-8')
    shutil.rmtree(path, ignore_errors=True)
    unfinished.rename(path)
    for old in checkpoint_folders(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def load_checkpoint(
    path: Path,
    trained: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    ema: EMAModel | None,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Fill parameters, optimiser and average; return what the checkpoint says of its moment.

    Raises:
        BackendError: it is broken, or of a run whose `about` differs.
    """
    try:
        state = json.loads((path / 'state.json').read_text(encoding='utf-8'))
        differs = sorted(key for key, value in about.items() if state.get(key) != value)
        if state.get('version') != VERSION or differs:
            raise BackendError(
                f'{path}: of another run: {differs or "version"} differ, e.g. '
                f'{[(state.get(key), about[key]) for key in differs[:1]]}'
            )
        model = load_file(path / 'model.safetensors')
        moments = load_file(path / 'optimizer.safetensors')
        average = load_file(path / 'ema.safetensors') if ema is not None else {}
        for name, parameter in trained.items():
            parameter.data.copy_(model[name])
            if f'{name}.step' in moments:
                optimizer.state[parameter] = {
                    moment: moments[f'{name}.{moment}'].to(
                        'cpu' if moment == 'step' else parameter.device
                    )
                    for moment in _MOMENTS
                }
        if ema is not None:
            for name, shadow in zip(trained, ema.shadow_params):
                shadow.data.copy_(average[name])
            ema.optimization_step = int(state['ema_step'])
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BackendError(f'{path}: {type(error).__name__}: {error}') from error
    return dict(state)


def _plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors as safetensors takes them: on the CPU, each with memory of its own."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
