# SPDX-License-Identifier: Apache-2.0
"""The training loop, on one CPU, one GPU or many (`accelerate launch`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from importlib.util import find_spec
import logging
import math
from pathlib import Path
import time

from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration, set_seed
from diffusers.training_utils import EMAModel
import torch

from flow_manip_core.errors import BackendError, CancelledError
from flow_manip_learning.training.checkpoints import (
    checkpoint_folders,
    load_checkpoint,
    save_checkpoint,
)
from flow_manip_learning.training.config import TrainingConfig
from flow_manip_learning.training.data import TrainingData
from flow_manip_learning.training.objective import Draws, Objective, step_inputs, StepInputs
from flow_manip_learning.training.pictures import draw_pictures, save_sheet
from flow_manip_learning.training.validation import validate
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion
from flow_manip_world_model.flow.diffusion.text import (
    load_text_encoder,
    RememberedText,
    TextEncoder,
)
from flow_manip_world_model.flow.diffusion.weights import fill_network, save_weights
from flow_manip_world_model.progress import never_cancelled

LOGGER = logging.getLogger(__name__)
WEIGHTS = 'model.safetensors'


@dataclass
class TrainingResult:
    """How a run ended.

    Attributes:
        steps: done in all.
        losses: mean loss of every step of this call, by step number.
        validations: numbers by step.
        seconds_per_step: mean of this call, without validation.
        weights: the averaged weights.
    """

    steps: int
    losses: dict[int, float] = field(default_factory=dict)
    validations: dict[int, dict[str, float]] = field(default_factory=dict)
    seconds_per_step: float = 0.0
    weights: Path = Path()


def train(
    config: TrainingConfig,
    *,
    data: TrainingData | None = None,
    until: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    cancelled: Callable[[], bool] = never_cancelled,
) -> TrainingResult:
    """Train, going on from the newest checkpoint in the output folder if there is one.

    Args:
        config: of the run.
        data: to train with; the data set that `config` names if left out.
        until: stop with a checkpoint after this many steps in all; 0: at the end.
        on_step: told the number of steps done and the loss.
        cancelled: looked at between steps; a checkpoint is written first.

    Raises:
        BackendError: a model, weights or a checkpoint cannot be used, or the loss is not finite.
        CancelledError: the caller asked to stop.
        InvalidInputError: the data set cannot be used.
    """
    return Trainer(config, data).run(until or config.steps, on_step, cancelled)


class Trainer:
    """Everything that a run holds."""

    def __init__(self, config: TrainingConfig, data: TrainingData | None = None) -> None:
        """Build network, optimiser and data, and load the newest checkpoint."""
        self.config = config
        self.output = Path(config.output)
        set_seed(config.seed)
        self.accelerator = _accelerator(config, self.output)
        network_config = config.network()
        encoder = load_text_encoder(network_config.text, local_files_only=config.local_files_only)
        self.text: TextEncoder = RememberedText(encoder)
        self.network = FlowDiffusion(
            network_config, encoder.width, local_files_only=config.local_files_only
        )
        if config.start:
            fill_network(self.network, Path(config.start))
        self.data = data or self._shared_data()
        self.trained = self.network.trained()
        self.optimizer = torch.optim.AdamW(
            list(self.trained.values()),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            eps=config.epsilon,
        )
        objective = Objective(self.network)
        self.objective, self.prepared_optimizer = self.accelerator.prepare(
            objective, self.optimizer
        )
        self.ema = EMAModel(list(self.trained.values()), decay=config.ema) if config.ema else None
        self.about = {
            'network': network_config.to_json(),
            'processes': self.accelerator.num_processes,
            **{key: getattr(config, key) for key in ('seed', 'batch', 'accumulate')},
        }
        self.step = self._resumed()

    def run(
        self, until: int, on_step: Callable[[int, float], None], cancelled: Callable[[], bool]
    ) -> TrainingResult:
        """Train until a number of steps is done in all."""
        config, result = self.config, TrainingResult(self.step)
        begun, spent = time.perf_counter(), 0.0
        first = self.step
        while self.step < min(until, config.steps):
            if cancelled():
                self._save()
                raise CancelledError(f'cancelled after {self.step} steps; a checkpoint is written')
            loss = self._one_step()
            result.losses[self.step] = loss
            on_step(self.step, loss)
            if self.step % config.log_every == 0:
                seconds = (time.perf_counter() - begun - spent) / (self.step - first)
                self._log({'loss': loss, 'rate': self._rate(), 'seconds_per_step': seconds})
            pause = time.perf_counter()
            if self.step % config.checkpoint_every == 0:
                self._save()
            if config.validation.every and self.step % config.validation.every == 0:
                result.validations[self.step] = self._validate()
            spent += time.perf_counter() - pause
        if self.step > first:
            result.seconds_per_step = (time.perf_counter() - begun - spent) / (self.step - first)
            self._save()
        if self.step >= config.steps and self.step not in result.validations:
            result.validations[self.step] = self._validate()
        result.steps, result.weights = self.step, self.output / WEIGHTS
        self.accelerator.end_training()
        return result

    def _one_step(self) -> float:
        """Change the weights once; return the mean loss of all processes."""
        config, accelerator = self.config, self.accelerator
        for group in self.optimizer.param_groups:
            group['lr'] = self._rate()
        total = 0.0
        for part in range(config.accumulate):
            last = part == config.accumulate - 1
            with nullcontext() if last else accelerator.no_sync(self.objective):
                loss = self.objective(self._inputs(part))
                accelerator.backward(loss / config.accumulate)
            total += float(accelerator.reduce(loss.detach(), 'mean')) / config.accumulate
        if not math.isfinite(total):
            raise BackendError(f'the loss of step {self.step + 1} is {total}')
        if config.clip:
            accelerator.clip_grad_norm_(list(self.trained.values()), config.clip)
        self.prepared_optimizer.step()
        self.prepared_optimizer.zero_grad()
        if self.ema is not None:
            self.ema.step(list(self.trained.values()))
        self.step += 1
        return total

    def _inputs(self, part: int) -> StepInputs:
        """Return this process's part of a step, on its device."""
        config, rank = self.config, self.accelerator.process_index
        rows = self.data.rows(
            (self.step * config.accumulate + part) * self.accelerator.num_processes + rank,
            config.batch,
            config.seed,
        )
        network = self.network.config
        inputs = step_inputs(
            self.data.training.rows(rows),
            self.text,
            Draws(config.color_jitter, network.text.dropout, config.reference_dropout),
            config.loss,
            network.noise.train_steps,
            (config.seed, self.step, part, rank),
        )
        device = self.accelerator.device
        return StepInputs(
            **{f.name: getattr(inputs, f.name).to(device) for f in fields(StepInputs)}
        )

    def _rate(self) -> float:
        """Return the learning rate of the coming step."""
        config, step = self.config, self.step
        rate = config.learning_rate * min(1.0, (step + 1) / (config.warmup + 1))
        if config.schedule == 'cosine' and step > config.warmup:
            share = (step - config.warmup) / max(1, config.steps - config.warmup)
            rate *= 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
        return rate

    def _validate(self) -> dict[str, float]:
        """Measure the averaged weights; write pictures and the weights themselves."""
        if not self.accelerator.is_main_process or not self.data.examples:
            return {}
        config = self.config.validation
        with self.averaged():
            found = validate(self.network, self.text, self.data.examples, config)
        numbers = {f'validation/{name}': value for name, value in found.numbers.items()}
        self._log(numbers)
        shown = draw_pictures(found.drawn[: config.pictures])
        if shown:
            save_sheet(shown, self.output / 'pictures' / f'step-{self.step:07d}.png')
        LOGGER.info('step %d: %s', self.step, found.numbers)
        return found.numbers

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averaged weights into the network until the end."""
        parameters = list(self.trained.values())
        if self.ema is None:
            yield
            return
        self.ema.store(parameters)
        self.ema.copy_to(parameters)
        try:
            yield
        finally:
            self.ema.restore(parameters)

    def _save(self) -> None:
        """Write a checkpoint and the averaged weights."""
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        moment = {} if scaler is None else {'scaler': scaler.state_dict()}
        save_checkpoint(
            self.output / 'checkpoints',
            self.step,
            self.trained,
            self.optimizer,
            self.ema,
            {**self.about, **moment},
            self.config.keep,
        )
        notes = {'steps': str(self.step), 'seed': str(self.config.seed), **self.data.notes}
        with self.averaged():
            save_weights(self.output / WEIGHTS, self.network.config, self.trained, notes=notes)

    def _resumed(self) -> int:
        """Load the newest checkpoint; return how many steps are done."""
        folders = checkpoint_folders(self.output / 'checkpoints')
        if not folders:
            return 0
        state = load_checkpoint(folders[-1], self.trained, self.optimizer, self.ema, self.about)
        if self.accelerator.scaler is not None and 'scaler' in state:
            self.accelerator.scaler.load_state_dict(state['scaler'])
        LOGGER.info('going on from %s', folders[-1])
        return int(state['step'])

    def _log(self, values: Mapping[str, float]) -> None:
        """Write numbers for TensorBoard."""
        if self.config.tensorboard:
            self.accelerator.log(dict(values), step=self.step)

    def _shared_data(self) -> TrainingData:
        """Prepare the data once, the other processes wait for it."""
        with self.accelerator.main_process_first():
            return TrainingData.of(self.config)


def _accelerator(config: TrainingConfig, output: Path) -> Accelerator:
    """Return accelerate's helper, with a log for TensorBoard."""
    if config.tensorboard and find_spec('tensorboard') is None:
        raise BackendError(
            "no module named 'tensorboard'; install it with: pip install tensorboard, or set "
            'tensorboard: false'
        )
    output.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(
        mixed_precision=config.precision,
        log_with='tensorboard' if config.tensorboard else None,
        project_config=ProjectConfiguration(str(output), logging_dir=str(output / 'logs')),
    )
    if config.tensorboard:
        shown = {
            key: value
            for key, value in asdict(config).items()
            if isinstance(value, int | float | str | bool)
        }
        accelerator.init_trackers('flow_diffusion', shown)
    return accelerator
