# SPDX-License-Identifier: Apache-2.0
"""Object flows drawn by a flow diffusion network (3DFlowAction's flow world model)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    DegenerateFlowError,
    FlowManipError,
    InvalidInputError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.registry import INSTALL_COMMANDS
from flow_manip_core.rigid import fit_rigid_transforms
from flow_manip_core.robot import Context
from flow_manip_core.transforms import transform_points
from flow_manip_world_model.flow.diffusion.codec import Anchors, FlowCodec, masked_depth
from flow_manip_world_model.flow.diffusion.config import FlowDiffusionConfig
from flow_manip_world_model.flow.diffusion.views import make_views
from flow_manip_world_model.progress import (
    candidate_stage,
    ignore_dropped,
    ignore_progress,
    never_cancelled,
)

PACKAGES = ('torch', 'diffusers', 'transformers', 'safetensors')
MAX_CANDIDATES = 64
WEIGHTS_NAME = 'model.safetensors'  # in a repository of the hub
COMPACT_WEIGHTS = Path(__file__).resolve().parents[2] / 'weights' / 'compact.safetensors'
LEAST_WEIGHT = 0.05  # of a point that is drawn as hidden, in a rigid fit


class AnimateDiffFlow:
    """Draws candidates with any weights of a `FlowDiffusion`."""

    SOURCE = 'animatediff_flow'

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            weights: safetensors file of `flow_manip train`, or a repository of the hub that has
                one as model.safetensors.
            num_candidates: unless the goal asks for another number; drawn in one batch.
            steps: of DDIM; 0 is what the weights say.
            guidance: scale of classifier-free guidance; 0 is what the weights say, 1 is none and
                needs half the time.
            rigid: move all points by the best rigid motion of each step.
            mask_depth: leave depth as it was at the start: the paper's 2D ablation.
            device: of torch.
            local_files_only: never ask the hub.
        """

        weights: str = ''
        num_candidates: int = 4
        steps: int = 0
        guidance: float = 0.0
        rigid: bool = False
        mask_depth: bool = False
        device: str = field(default='cpu', metadata={'doc': 'Of torch'})
        local_files_only: bool = False

        def __post_init__(self) -> None:
            """Refuse numbers that make no sense."""
            if not 1 <= self.num_candidates <= MAX_CANDIDATES or not 0 <= self.steps <= 1000:
                raise ConfigurationError(
                    f'{self.num_candidates} candidates of {self.steps} steps; 1..{MAX_CANDIDATES} '
                    'and 0..1000 are taken'
                )
            if not 0.0 <= self.guidance <= 50.0:
                raise ConfigurationError(f'guidance {self.guidance}, expected 0..50')

    def __init__(self, config: Config, context: Context) -> None:
        """Find the weights; they are loaded by the first goal.

        Raises:
            BackendError: a library or the weights are missing.
            ConfigurationError: no weights are named.
        """
        self._config = config
        _check_installed(self.SOURCE)
        self._path = self._find_weights()
        self._loaded: Any = None

    def generate(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_candidates: int = 0,
        seed: int = 0,
        on_dropped: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> list[ObjectFlow]:
        """Draw all candidates in one batch, the most agreed upon first; see `FlowGenerator`.

        `goal_image` is not used. `cancelled` is looked at before every layer of the network.
        """
        count = num_candidates or self._config.num_candidates
        if not 1 <= count <= MAX_CANDIDATES:
            raise InvalidInputError(f'{count} candidates asked for, expected 1..{MAX_CANDIDATES}')
        if not masks or not instruction.strip():
            raise InvalidInputError(f'{len(masks)} masks, instruction {instruction!r}')
        on_progress('loading the flow model', 0.0)
        network, _ = self._models()
        _stop_if(cancelled)
        codec = FlowCodec(network.config.codec)
        anchors = codec.anchors(observation, masks[0])
        values = self._draw(
            observation, instruction, masks, anchors, count, seed, on_progress, cancelled
        )
        if self._config.mask_depth:
            values = masked_depth(values, network.config.codec, anchors)
        flows = []
        errors: list[FlowManipError] = []
        for number, each in enumerate(values):
            try:
                flow = codec.decode(
                    each, anchors, observation, object=masks[0].label, source=self.SOURCE
                )
                flows.append(as_rigid(flow) if self._config.rigid else flow)
            except (InvalidInputError, DegenerateFlowError) as error:
                errors.append(error)
                on_dropped(number, error)
            on_progress(candidate_stage(number + 1, count), 1.0)
        if not flows:
            raise errors[0]
        return most_agreed_first(flows)

    def config(self) -> FlowDiffusionConfig:
        """Return the configuration of the network, loaded if need be."""
        return self._models()[0].config

    def _draw(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        anchors: Anchors,
        count: int,
        seed: int,
        on_progress: Callable[[str, float], None],
        cancelled: Callable[[], bool],
    ) -> NDArray[np.float32]:
        """Return (count, T, G, G, 4)."""
        import torch

        from flow_manip_world_model.flow.diffusion.batching import from_sample, to_conditions
        from flow_manip_world_model.flow.diffusion.sampling import draw, stopped_by

        network, text = self._models()
        config = self._config
        on_progress('looking at the scene', 0.0)
        views = make_views(observation, masks[0], anchors, network.config.image, masks[1:])
        guidance = config.guidance or network.config.noise.guidance

        def on_step(done: int, steps: int) -> None:
            on_progress(f'drawing {count} flows: step {done} of {steps}', done / (steps + 1))

        def encoded(words: str) -> Any:
            _stop_if(cancelled)
            conditions = to_conditions([views], text.encode([words])).to(config.device)
            return network.encode(conditions).repeated(count)

        with torch.inference_mode(), stopped_by(network, cancelled):
            given = encoded(instruction)
            without_words = encoded('') if guidance != 1.0 else None
        drawn = draw(
            network,
            given,
            without_words,
            candidate_seeds(seed, count),
            steps=config.steps,
            guidance=guidance,
            on_step=on_step,
            cancelled=cancelled,
        )
        return from_sample(drawn)

    def _models(self) -> Any:
        """Return network and text encoder, loaded once."""
        if self._loaded is None:
            from flow_manip_world_model.flow.diffusion.weights import load_network

            only_here = self._config.local_files_only
            network, text = load_network(self._path, local_files_only=only_here)
            try:
                network.to(self._config.device)
            except (RuntimeError, AssertionError) as error:
                raise BackendError(f'{self.SOURCE}: {error}') from error
            self._loaded = network, text
        return self._loaded

    def _find_weights(self) -> Path:
        """Return where the weights are; those of the hub are fetched."""
        name = self._config.weights
        if not name:
            raise ConfigurationError(f'{self.SOURCE}: weights are not named')
        path = Path(name).expanduser()
        if path.is_file():
            return path
        if path.is_absolute() or path.suffix or name.count('/') != 1:
            raise BackendError(f'{self.SOURCE}: no weights at {name}')
        from huggingface_hub import hf_hub_download

        only_here = self._config.local_files_only
        try:
            return Path(hf_hub_download(name, WEIGHTS_NAME, local_files_only=only_here))
        except (OSError, ValueError) as error:
            raise BackendError(f"{self.SOURCE}: weights '{name}': {error}") from error


class CompactFlow(AnimateDiffFlow):
    """Draws candidates with the weights that come with this package."""

    SOURCE = 'compact'

    def _find_weights(self) -> Path:
        """Return the package's weights, unless others are named."""
        if self._config.weights:
            return super()._find_weights()
        if not COMPACT_WEIGHTS.is_file():
            raise BackendError(
                f'compact: no weights at {COMPACT_WEIGHTS}: the compact model has not been '
                "trained in this checkout; run 'flow_manip train compact'"
            )
        return COMPACT_WEIGHTS


def candidate_seeds(seed: int, count: int) -> list[int]:
    """Return a seed per candidate; those of different goals have nothing in common."""
    return [int(np.random.SeedSequence((seed, i)).generate_state(1)[0]) for i in range(count)]


def as_rigid(flow: ObjectFlow) -> ObjectFlow:
    """Replace every step by the best rigid motion of the start (Kabsch, by confidence).

    Raises:
        DegenerateFlowError: the points do not fix a rotation.
    """
    start = flow.points[0].astype(np.float64)
    weights = np.maximum(flow.confidence.astype(np.float64), LEAST_WEIGHT)
    fits = fit_rigid_transforms(start, flow.points.astype(np.float64), weights)
    if not fits.determined.all():
        raise DegenerateFlowError(
            f'{flow.num_points} points do not fix a rotation at '
            f'{int((~fits.determined).sum())} of {flow.num_steps} steps'
        )
    points = np.stack([transform_points(T, start) for T in fits.transforms])
    return replace(flow, points=points.astype(np.float32))


def most_agreed_first(flows: Sequence[ObjectFlow]) -> list[ObjectFlow]:
    """Order flows of the same points by how near they end to where the others end."""
    ends = np.stack([flow.points[-1] for flow in flows])
    apart = np.linalg.norm(ends[:, None] - ends[None], axis=-1).mean(axis=2)
    return [flows[i] for i in np.argsort(np.median(apart, axis=1), kind='stable')]


def _check_installed(source: str) -> None:
    """Look for libraries without importing them, which takes seconds."""
    for package in PACKAGES:
        if find_spec(package) is None:
            command = INSTALL_COMMANDS.get(package, f'pip install {package}')
            raise BackendError(
                f"{source}: no module named '{package}'; install it with: {command}"
            )


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise CancelledError('cancelled before drawing')
