# SPDX-License-Identifier: Apache-2.0
"""What a training run is: one yaml file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flow_manip_core.config import from_mapping, load_yaml
from flow_manip_core.errors import ConfigurationError
from flow_manip_world_model.flow.diffusion.config import CONFIGS, FlowDiffusionConfig

FOLDER = Path(__file__).parent / 'configs'
SCHEDULES = ('constant', 'cosine')
PRECISIONS = ('no', 'fp16', 'bf16')


@dataclass(frozen=True)
class LossConfig:
    """What an error costs; with all ones it is the paper's plain mean square.

    Attributes:
        hidden: weight of where a point is while it cannot be seen.
        filled: weight of cells without a point of their own, which repeat their neighbour.
        visibility: weight of the fourth channel.
        end: weight of the last frame; the first has 1, in between it grows evenly.
    """

    hidden: float = 1.0
    filled: float = 1.0
    visibility: float = 1.0
    end: float = 1.0


@dataclass(frozen=True)
class ValidationConfig:
    """Measuring during training, with the averaged weights.

    Attributes:
        dataset: folder; empty: the last samples of the training set are kept for it.
        samples: how many.
        every: steps; 0: only at the end.
        pictures: of the first samples, each time.
        steps: of DDIM; 0 is the network's own.
        guidance: scale; 0 is the network's own.
        batch: samples drawn at a time.
    """

    dataset: str = ''
    samples: int = 64
    every: int = 500
    pictures: int = 6
    steps: int = 0
    guidance: float = 0.0
    batch: int = 16


@dataclass(frozen=True)
class TrainingConfig:
    """Parameters of a run. Paths are relative to where it is started.

    Attributes:
        dataset: folder of `flow_manip_learning.dataset`.
        output: folder of the run: checkpoints, logs, pictures, model.safetensors.
        model: 'compact' or 'paper'.
        overrides: of the model's configuration, e.g. {noise: {steps: 8}}.
        start: weights to begin with (fine-tuning); empty: at random, or from the base.
        prepared: folder for what the samples are turned into; empty: inside of `output`.
        samples: at most this many of the data set, 0 is all.
        seed: of everything that is drawn.
        steps: of the optimiser.
        batch: samples per step and process.
        accumulate: batches per step.
        learning_rate: at its highest.
        warmup: steps over which the rate grows to it.
        schedule: 'constant' or 'cosine' (down to 0) afterwards.
        weight_decay: of AdamW.
        epsilon: of AdamW.
        clip: largest norm of the gradient; 0: any.
        ema: decay of the averaged weights; 0: none.
        precision: 'no', 'fp16' or 'bf16'.
        color_jitter: share by which colours are changed at random ('conv' only).
        reference_dropout: share of samples whose references are not shown, where the network has
            references.
        loss: weights of the loss.
        validation: measuring on the way.
        log_every: steps.
        checkpoint_every: steps.
        keep: newest checkpoints that stay.
        tensorboard: write logs for it.
        local_files_only: never ask the hub.
    """

    dataset: str
    output: str
    model: str = 'compact'
    overrides: Mapping[str, Any] = field(default_factory=dict)
    start: str = ''
    prepared: str = ''
    samples: int = 0
    seed: int = 0
    steps: int = 10000
    batch: int = 32
    accumulate: int = 1
    learning_rate: float = 1e-4
    warmup: int = 0
    schedule: str = 'constant'
    weight_decay: float = 0.01
    epsilon: float = 1e-8
    clip: float = 1.0
    ema: float = 0.0
    precision: str = 'no'
    color_jitter: float = 0.0
    reference_dropout: float = 0.5
    loss: LossConfig = field(default_factory=LossConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    log_every: int = 20
    checkpoint_every: int = 500
    keep: int = 2
    tensorboard: bool = True
    local_files_only: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            ConfigurationError: with the numbers.
        """
        if self.model not in CONFIGS:
            raise ConfigurationError(f"model '{self.model}', known: {sorted(CONFIGS)}")
        if self.schedule not in SCHEDULES or self.precision not in PRECISIONS:
            raise ConfigurationError(
                f"schedule '{self.schedule}', precision '{self.precision}'; known: {SCHEDULES}, "
                f'{PRECISIONS}'
            )
        positive = ('steps', 'batch', 'accumulate', 'log_every', 'checkpoint_every', 'keep')
        for name in (*positive, 'learning_rate', 'epsilon'):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f'{name} is {getattr(self, name)}, it must be above 0')
        if not 0.0 <= self.ema < 1.0 or not 0 <= self.seed < 2**32 or self.warmup < 0:
            raise ConfigurationError(
                f'ema {self.ema}, seed {self.seed}, warmup {self.warmup} steps'
            )
        if min(self.clip, self.samples, self.validation.samples, self.color_jitter) < 0:
            raise ConfigurationError(
                f'clip {self.clip}, samples {self.samples}, validation samples '
                f'{self.validation.samples}, color_jitter {self.color_jitter}: none may be '
                'negative'
            )

    def network(self) -> FlowDiffusionConfig:
        """Return the configuration of the network.

        Raises:
            ConfigurationError: an override is unknown, or the parts do not fit together.
        """
        values = _merged(asdict(CONFIGS[self.model]()), self.overrides)
        return from_mapping(FlowDiffusionConfig, values, where=f'model {self.model}')


def find_config(name: str) -> TrainingConfig:
    """Read a run's configuration: a yaml file, or one that comes with the package, by name.

    Raises:
        ConfigurationError: there is none, or a key is wrong.
    """
    path = Path(name)
    if not path.is_file():
        path = FOLDER / f'{name}.yaml'
        if '/' in name or not path.is_file():
            known = sorted(p.stem for p in FOLDER.glob('*.yaml'))
            raise ConfigurationError(f"no configuration '{name}'; there are {known}, and files")
    return from_mapping(TrainingConfig, load_yaml(path), where=str(path))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `changes` over `values`, mapping by mapping."""
    result = dict(values)
    for key, value in changes.items():
        inner = result.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        result[key] = _merged(inner, value) if both else value
    return result
