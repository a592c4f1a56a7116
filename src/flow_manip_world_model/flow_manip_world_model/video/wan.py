# SPDX-License-Identifier: Apache-2.0
"""Wan 2.1 on this machine's GPU, through diffusers.

One pipeline class does both: image to video, and first and last frame to video where there is a
goal image (another checkpoint, trained for it). All numbers are NovaFlow's: 41 frames of 1280x720
at 16 Hz, UniPC with 40 steps and flow shift 5, guidance 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    FlowManipError,
    InvalidInputError,
    VideoFailedError,
)
from flow_manip_core.observation import Observation
from flow_manip_core.registry import INSTALL_COMMANDS
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_world_model.progress import ignore_dropped, ignore_progress, never_cancelled
from flow_manip_world_model.prompts import load_prompt, Prompt
from flow_manip_world_model.video.framing import Framing

# The pipeline cleans prompts with ftfy, and misses it only then.
PACKAGES = ('torch', 'transformers', 'diffusers', 'accelerate', 'ftfy')
MAX_VIDEOS = 64
FRAME_STEP = 4  # frames of a video per latent frame: 4 k + 1 frames exist
SIDE_STEP = 16  # [px] of the latent's patches
DTYPES = ('bfloat16', 'float16', 'float32')
OFFLOADS = ('none', 'model', 'sequential')
# Modules whose every layer looks whether the caller asked to stop.
WATCHED = ('transformer', 'transformer_2', 'vae', 'text_encoder', 'image_encoder')


class WanVideo:
    """Holds up to two pipelines, loaded when they are first needed."""

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            model: folder or hub name of a `WanImageToVideoPipeline`.
            goal_model: the same for first and last frame; used where there is a goal image; empty:
                goal images are not used.
            local_files_only: never ask the hub.
            lora: folder, file or hub name of LoRA weights; empty: none.
            lora_scale: of them.
            num_frames: of a video, 4 k + 1.
            width: of the frames [px], a multiple of 16.
            height: of the frames [px], a multiple of 16.
            rate: frames per second.
            steps: of denoising.
            flow_shift: of the noise schedule.
            guidance: scale; 1 or less needs half the time and ignores the negative prompt.
            prompt: template in `flow_manip_world_model/prompts`, or a path to a yaml file.
            max_tokens: of the prompt.
            device: of torch.
            dtype: of transformer and text encoder; VAE and image encoder keep float32.
            offload: 'none', 'model' (parts wait in RAM) or 'sequential' (layers do; slow).
            preload: load `model` when the backend is built, not at the first goal.
        """

        model: str = 'Wan-AI/Wan2.1-I2V-14B-720P-Diffusers'
        goal_model: str = 'Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers'
        local_files_only: bool = False
        lora: str = ''
        lora_scale: float = 1.0
        num_frames: int = 41
        width: int = 1280
        height: int = 720
        rate: float = 16.0
        steps: int = 40
        flow_shift: float = 5.0
        guidance: float = 5.0
        prompt: str = 'wan_zh'
        max_tokens: int = 512
        device: str = field(default='cuda', metadata={'doc': 'Of torch'})
        dtype: str = 'bfloat16'
        offload: str = 'none'
        preload: bool = False

        def __post_init__(self) -> None:
            """Refuse sizes that the model cannot have, before it rounds them by itself."""
            if self.num_frames % FRAME_STEP != 1 or not 5 <= self.num_frames <= 257:
                raise ConfigurationError(f'wan: {self.num_frames} frames, expected 4 k + 1')
            if (
                self.width % SIDE_STEP
                or self.height % SIDE_STEP
                or min(self.width, self.height) < 16
            ):
                raise ConfigurationError(
                    f'wan: {self.width} x {self.height} px, expected multiples of {SIDE_STEP}'
                )
            if self.dtype not in DTYPES or self.offload not in OFFLOADS:
                raise ConfigurationError(
                    f"wan: dtype '{self.dtype}', offload '{self.offload}'; known: {DTYPES}, "
                    f'{OFFLOADS}'
                )
            if not 1 <= self.steps <= 1000 or min(self.rate, self.flow_shift) <= 0:
                raise ConfigurationError(
                    f'wan: {self.steps} steps, {self.rate} Hz, shift {self.flow_shift}'
                )
            if not 16 <= self.max_tokens <= 512:
                raise ConfigurationError(f'wan: {self.max_tokens} tokens, expected 16..512')

    def __init__(self, config: Config, context: Context) -> None:
        """Load nothing yet, unless asked to; say at once what is not installed.

        Raises:
            BackendError: torch, diffusers or transformers is missing, with the command; or the
                model cannot be loaded.
            ConfigurationError: there is no such prompt.
        """
        self._config = config
        self._prompt = load_prompt(config.prompt)
        self._pipelines: dict[str, Any] = {}
        _check_installed(*(['peft'] if config.lora else []))
        if config.preload:
            self._pipeline(config.model)

    def generate(
        self,
        observation: Observation,
        instruction: str,
        *,
        goal_image: NDArray[np.uint8] | None = None,
        num_videos: int = 1,
        seed: int = 0,
        on_failed: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> Iterator[Video]:
        """Give videos one after another; see `VideoGenerator`.

        `cancelled` is looked at before every layer of every model: on a GPU that is every few
        milliseconds, and what the GPU has been given already is finished in the background.

        Raises:
            BackendError: the model cannot be loaded, or memory is too small.
        """
        if not 1 <= num_videos <= MAX_VIDEOS:
            raise InvalidInputError(f'{num_videos} videos asked for, expected 1..{MAX_VIDEOS}')
        config = self._config
        prompt = self._prompt.fill(instruction)
        framing = Framing(
            (observation.camera.width, observation.camera.height), (config.width, config.height)
        )
        images = [framing.fit(observation.color)]
        name = config.model
        if goal_image is not None and config.goal_model:
            images.append(framing.fit(goal_image))
            name = config.goal_model
        on_progress('loading the video model', 0.0)
        pipeline = self._pipeline(name)
        failed: list[VideoFailedError] = []
        for number in range(num_videos):

            def report(share: float, number: int = number) -> None:
                text = f'denoising video {number + 1} of {num_videos}'
                on_progress(text, (number + share) / num_videos)

            try:
                frames = self._denoise(pipeline, images, prompt, seed + number, report, cancelled)
                frames = framing.undo(frames)
            except VideoFailedError as error:
                failed.append(error)
                on_failed(number, error)
                continue
            times = np.arange(len(frames)) / config.rate
            source = f'wan {name.rstrip("/").rpartition("/")[2]}, prompt {prompt.version}'
            yield Video(frames, times, source=source, prompt=prompt.text, seed=seed + number)
        if len(failed) == num_videos:
            raise failed[0]

    def _pipeline(self, name: str) -> Any:
        """Return a pipeline, loaded once."""
        if name not in self._pipelines:
            try:
                self._pipelines[name] = self._load(name)
            except (OSError, ValueError, RuntimeError) as error:
                raise BackendError(f"wan: '{name}' cannot be loaded: {_short(error)}") from error
        return self._pipelines[name]

    def _load(self, name: str) -> Any:
        """Load one pipeline as NovaFlow runs it."""
        import diffusers
        import torch
        import transformers

        config = self._config
        dtype = getattr(torch, config.dtype)
        only_here = {'local_files_only': config.local_files_only}
        # What sees and draws images keeps float32, as diffusers advises for Wan.
        exact: dict[str, Any] = {
            'vae': diffusers.AutoencoderKLWan.from_pretrained(
                name, subfolder='vae', dtype=torch.float32, **only_here
            )
        }
        parts = diffusers.WanImageToVideoPipeline.load_config(name, **only_here)
        if parts.get('image_encoder', [None])[0] is not None:  # Wan 2.2 has none
            exact['image_encoder'] = transformers.CLIPVisionModel.from_pretrained(
                name, subfolder='image_encoder', dtype=torch.float32, **only_here
            )
        pipeline = diffusers.WanImageToVideoPipeline.from_pretrained(
            name, dtype=dtype, **exact, **only_here
        )
        pipeline.scheduler = diffusers.UniPCMultistepScheduler.from_config(
            pipeline.scheduler.config,
            prediction_type='flow_prediction',
            use_flow_sigmas=True,
            flow_shift=config.flow_shift,
        )
        pipeline.set_progress_bar_config(disable=True)
        if config.lora:
            pipeline.load_lora_weights(config.lora, adapter_name='lora', **only_here)
            pipeline.set_adapters(['lora'], [config.lora_scale])
        if config.offload == 'model':
            pipeline.enable_model_cpu_offload(device=config.device)
        elif config.offload == 'sequential':
            pipeline.enable_sequential_cpu_offload(device=config.device)
        else:
            pipeline.to(config.device)
        return pipeline

    def _denoise(
        self,
        pipeline: Any,
        images: list[NDArray[np.uint8]],
        prompt: Prompt,
        seed: int,
        report: Callable[[float], None],
        cancelled: Callable[[], bool],
    ) -> NDArray[np.uint8]:
        """Run the pipeline once and return (T, H, W, 3) frames."""
        from PIL import Image
        import torch

        config = self._config
        shown = [Image.fromarray(image) for image in images]

        def after_step(_: Any, step: int, __: Any, values: dict[str, Any]) -> dict[str, Any]:
            report((step + 1) / (config.steps + 1))
            return values

        try:
            with _stopped_by(pipeline, cancelled):
                made = pipeline(
                    image=shown[0],
                    last_image=shown[1] if len(shown) > 1 else None,
                    prompt=prompt.text,
                    negative_prompt=prompt.negative,
                    height=config.height,
                    width=config.width,
                    num_frames=config.num_frames,
                    num_inference_steps=config.steps,
                    guidance_scale=config.guidance,
                    # On the CPU, so that a seed means the same noise on every machine.
                    generator=torch.Generator('cpu').manual_seed(seed),
                    max_sequence_length=config.max_tokens,
                    callback_on_step_end=after_step,
                    output_type='np',
                ).frames[0]
        except CancelledError:
            pipeline.maybe_free_model_hooks()
            raise
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"wan: {_short(error)}; offload '{config.offload}' is set"
            ) from error
        return _as_frames(made)


def _check_installed(*more: str) -> None:
    """Look for what Wan needs without importing it, which takes seconds.

    Raises:
        BackendError: something is missing, with the command that installs it.
    """
    for package in (*PACKAGES, *more):
        try:
            found = find_spec(package)
        except ValueError:  # half-loaded
            found = None
        if found is None:
            command = INSTALL_COMMANDS.get(package, f'pip install {package}')
            raise BackendError(f"wan: no module named '{package}'; install it with: {command}")


@contextmanager
def _stopped_by(pipeline: Any, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Let every layer of a pipeline look at `cancelled` before it works."""

    def look(*_: Any) -> None:
        if cancelled():
            raise CancelledError('cancelled inside the video model')

    hooks = []
    try:
        for name in WATCHED:
            module = getattr(pipeline, name, None)
            for layer in module.modules() if module is not None else ():
                hooks.append(layer.register_forward_pre_hook(look))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _as_frames(made: Any) -> NDArray[np.uint8]:
    """Turn a pipeline's (T, H, W, 3) floats of 0..1 into frames.

    Raises:
        VideoFailedError: they are no numbers: half precision overflowed.
    """
    values = np.asarray(made, dtype=np.float32)
    if not np.isfinite(values).all():
        share = float((~np.isfinite(values)).mean())
        raise VideoFailedError(f"{100 * share:.1f} % of the video model's pixels are not finite")
    return np.clip(values * 255.0 + 0.5, 0, 255).astype(np.uint8)


def _short(error: BaseException) -> str:
    return ' '.join(str(error).split())[:300]
