# SPDX-License-Identifier: Apache-2.0
"""The compact flow world model on the CPU: seconds per goal, per step, per training step.

Weights are random where none are trained: they cost the same. Goals are drawn from a picture of
640 x 480 with everything after loading: anchors, views, words, denoising, decoding. The peer of a
step of denoising is diffusers' plain loop over the same network: tokens repeated for every frame
and projected at every step, by its own attention processor. Both alternate in the same run.

The machine's other work is in the wall clock; `cpu` is what this process used. The loader's rows
need a data set: ``python tests/benchmarks/world_model.py --dataset FOLDER``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import resource
from statistics import median
import tempfile
import time
from typing import Any

import numpy as np
from rows import row
import torch

from flow_manip_core.camera import CameraModel
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_learning.dataset import read_samples
from flow_manip_learning.training.config import LossConfig
from flow_manip_learning.training.objective import Objective, StepInputs
from flow_manip_learning.training.prepared import prepare
from flow_manip_world_model.flow.diffusion.batching import to_conditions
from flow_manip_world_model.flow.diffusion.codec import FlowCodec
from flow_manip_world_model.flow.diffusion.config import compact_config
from flow_manip_world_model.flow.diffusion.generator import COMPACT_WEIGHTS, CompactFlow
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion
from flow_manip_world_model.flow.diffusion.sampling import draw, make_scheduler
from flow_manip_world_model.flow.diffusion.text import load_text_encoder
from flow_manip_world_model.flow.diffusion.views import make_views
from flow_manip_world_model.flow.diffusion.weights import save_weights

GOALS = {1: 1.0, 8: 3.0}  # [s] by number of candidates
REPEATS, SEED, BATCH = 5, 0, 32
WORDS = 'put the red cube on the plate'


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return measure(REPEATS, None)


def measure(repeats: int, dataset: Path | None) -> list[dict[str, Any]]:
    """Measure with other numbers, and the loader where there is a data set."""
    torch.manual_seed(SEED)
    observation, mask = _scene()
    with tempfile.TemporaryDirectory() as folder:
        weights, trained = COMPACT_WEIGHTS, COMPACT_WEIGHTS.is_file()
        if not trained:
            weights = Path(folder) / 'random.safetensors'
            network = FlowDiffusion(compact_config(), 384)
            save_weights(weights, network.config, network.trained())
        rows = _goals(weights, observation, mask, repeats, trained)
        rows += _steps(observation, mask, repeats)
        rows += _training(observation, mask, repeats)
        if dataset is not None:
            rows += _loader(dataset, Path(folder))
    return rows


def _goals(
    weights: Path, observation: Observation, mask: Mask, repeats: int, trained: bool
) -> list[dict[str, Any]]:
    """Measure whole goals, and what the process takes of memory."""
    context = Context(load_robot('franka'), load_rig('tabletop'))
    generator = CompactFlow(CompactFlow.Config(weights=str(weights)), context)
    before = _memory()
    begun = time.perf_counter()
    generator.generate(observation, WORDS, [mask], num_candidates=1)
    loading = time.perf_counter() - begun
    common = {'n': repeats, 'seed': SEED, 'trained': trained}
    rows = [row('loading_and_first_goal', loading, 's', n=1, trained=trained)]
    for count, goal in GOALS.items():

        def one(count: int = count) -> None:
            generator.generate(observation, WORDS, [mask], num_candidates=count)

        wall, cpu = _timed(one, repeats)
        name = f'flow_{count}_candidates'
        rows.append(row(name, median(wall), 's', limit=goal, cpu=median(cpu), **common))
    used = (_memory() - before) / 1e6
    rows.append(row('memory_of_inference', used, 'MB', n=1, size=weights.stat().st_size / 1e6))
    return rows


def _steps(observation: Observation, mask: Mask, repeats: int) -> list[dict[str, Any]]:
    """Measure one step of denoising for eight candidates beside diffusers' plain loop."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    config = compact_config()
    text = load_text_encoder(config.text)
    network = FlowDiffusion(config, text.width).eval()
    anchors = FlowCodec(config.codec).anchors(observation, mask)
    views = make_views(observation, mask, anchors, config.image)
    with torch.inference_mode():
        given = network.encode(to_conditions([views], text.encode([WORDS]))).repeated(8)
    ours = dict(network.unet.attn_processors)
    repeated = replace(given, tokens=given.tokens.repeat_interleave(config.codec.frames, dim=0))

    def shared() -> None:
        draw(network, given, None, range(8), guidance=1.0)

    @torch.inference_mode()
    def plain() -> None:
        scheduler = make_scheduler(config.noise)
        scheduler.set_timesteps(config.noise.steps)
        codec = config.codec
        sample = torch.randn(8, 4, codec.frames, codec.grid, codec.grid)
        for step in scheduler.timesteps:
            said = network(sample, step.expand(8), repeated)
            sample = scheduler.step(said, step, sample).prev_sample

    taken: dict[str, list[list[float]]] = {'shared': [[], []], 'plain': [[], []]}
    for number in range(repeats + 1):
        for name, work in (('shared', shared), ('plain', plain)):
            # diffusers empties the mapping that it is given.
            network.unet.set_attn_processor(dict(ours) if name == 'shared' else AttnProcessor2_0())
            wall, cpu = _timed(work, 1)
            if number:  # the first warms up
                taken[name][0] += wall
                taken[name][1] += cpu
    steps = config.noise.steps
    return [
        row(
            f'seconds_per_step{suffix}', median(taken['shared'][i]) / steps, 's', n=repeats,
            seed=SEED, candidates=8, peer='diffusers_plain_loop',
            peer_value=median(taken['plain'][i]) / steps,
        )
        for i, suffix in enumerate(('', '_cpu'))
    ]  # fmt: skip


def _training(observation: Observation, mask: Mask, repeats: int) -> list[dict[str, Any]]:
    """Measure a training step on a batch that lies ready."""
    config = compact_config()
    network = FlowDiffusion(config, 384)
    objective = Objective(network)
    optimizer = torch.optim.AdamW(network.trained().values(), lr=1e-4)
    anchors = FlowCodec(config.codec).anchors(observation, mask)
    views = make_views(observation, mask, anchors, config.image)
    codec = config.codec
    clean = torch.randn(BATCH, 4, codec.frames, codec.grid, codec.grid)
    text = torch.randn(BATCH, config.text.tokens, 384)
    inputs = StepInputs(
        to_conditions([views] * BATCH, text), clean, torch.ones_like(clean),
        torch.randn_like(clean), torch.randint(0, 1000, (BATCH,)),
    )  # fmt: skip

    def step() -> None:
        objective(inputs).backward()
        optimizer.step()
        optimizer.zero_grad()

    before = _memory()
    step()
    wall, cpu = _timed(step, repeats)
    used = (_memory() - before) / 1e6
    size = sum(p.numel() for p in network.trained().values()) / 1e6
    return [
        row(
            'training_step', median(wall), 's', n=repeats, seed=SEED, batch=BATCH,
            cpu=median(cpu), parameters_in_millions=size, loss=vars(LossConfig()),
        ),
        row('memory_of_training', used, 'MB', n=1, batch=BATCH),
    ]  # fmt: skip


def _loader(dataset: Path, folder: Path) -> list[dict[str, Any]]:
    """Measure samples per second: read and prepared once, then from the prepared files."""
    most = 200
    begun = time.perf_counter()
    prepared = prepare(read_samples(dataset), most, compact_config(), folder / 'prepared')
    first = len(prepared) / (time.perf_counter() - begun)
    rng = np.random.default_rng(SEED)
    begun, batches = time.perf_counter(), 20
    for _ in range(batches):
        prepared.rows(rng.integers(0, len(prepared), BATCH).tolist())
    later = batches * BATCH / (time.perf_counter() - begun)
    return [
        row('loader_first_epoch', first, 'samples/s', n=len(prepared)),
        row('loader_later_epochs', later, 'samples/s', n=batches * BATCH, seed=SEED),
    ]


def _scene() -> tuple[Observation, Mask]:
    """Return a block on a table, 640 x 480, seen from above."""
    camera = CameraModel.from_fov(640, 480, 0.8)
    pose = make_transform([0.5, 0.0, 1.0], rotation_about([1, 0, 0], np.pi))
    pixels = np.zeros((480, 640), dtype=bool)
    pixels[200:260, 280:350] = True
    depth = np.where(pixels, 0.95, 1.0).astype(np.float32)
    color = np.where(pixels[..., None], [200, 40, 40], [120, 120, 110]).astype(np.uint8)
    return Observation(color, depth, camera, pose), Mask(pixels, 'red cube')


def _timed(work: Callable[[], None], repeats: int) -> tuple[list[float], list[float]]:
    """Return seconds of wall clock and of this process's CPU, for each time."""
    wall, cpu = [], []
    for _ in range(repeats):
        begun, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    return wall, cpu


def _memory() -> float:
    """Return the most memory that this process has held [byte]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    """Run with other numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--repeats', type=int, default=REPEATS)
    parser.add_argument('--dataset', type=Path, default=None)
    options = parser.parse_args()
    for each in measure(options.repeats, options.dataset):
        print(each)


if __name__ == '__main__':
    main()
