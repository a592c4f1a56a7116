# SPDX-License-Identifier: Apache-2.0
"""Flow diffusion networks of true classes at a size that draws in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flow_manip_world_model.flow.diffusion.config import (
    CodecConfig,
    compact_config,
    FlowDiffusionConfig,
    ImageConfig,
    NetworkConfig,
    NoiseConfig,
    TextConfig,
)

WORDS = [
    'put',
    'the',
    'red',
    'green',
    'blue',
    'cube',
    'ball',
    'on',
    'in',
    'plate',
    'open',
    'drawer',
]


def save_tiny_bert(folder: Path, width: int = 16) -> Path:
    """Write a sentence encoder's folder as its package has it."""
    from tokenizers import models, pre_tokenizers, processors, Tokenizer
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    vocabulary = {w: i for i, w in enumerate(['[PAD]', '[UNK]', '[CLS]', '[SEP]', *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token='[UNK]'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single='[CLS] $A [SEP]', special_tokens=[('[CLS]', 2), ('[SEP]', 3)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / 'tokenizer.json'))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def tiny_compact(text_folder: Path | str, **network: object) -> FlowDiffusionConfig:
    """Return `compact_config` with everything small."""
    config = compact_config()
    return replace(
        config,
        name='tiny',
        codec=replace(config.codec, grid=4, frames=4),
        image=replace(
            config.image, height=24, width=32, crop=24, channels=16, queries=2, map_channels=4
        ),
        text=replace(config.text, model=str(text_folder), tokens=12),
        network=replace(
            config.network,
            **{'channels': (16, 32), 'heads': 2, 'context': 16, 'patch': 2, 'vector': 16}
            | network,
        ),
        noise=replace(config.noise, steps=4),
    )


def save_tiny_stable_diffusion(folder: Path) -> None:
    """Write the U-Net, text encoder and tokenizer of Stable Diffusion, and CLIP's image model."""
    from diffusers import UNet2DConditionModel
    import torch
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTokenizer,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=8,
        down_block_types=('CrossAttnDownBlock2D', 'DownBlock2D'),
        up_block_types=('UpBlock2D', 'CrossAttnUpBlock2D'),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=2,
    ).save_pretrained(folder / 'sd' / 'unet')
    letters = [*'abcdefghijklmnopqrstuvwxyz']
    vocabulary = [*letters, *(f'{x}</w>' for x in letters), '<|startoftext|>', '<|endoftext|>']
    CLIPTokenizer(
        vocab={word: i for i, word in enumerate(vocabulary)}, merges=[], model_max_length=16
    ).save_pretrained(folder / 'sd' / 'tokenizer')
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=16,
            bos_token_id=len(vocabulary) - 2,
            eos_token_id=len(vocabulary) - 1,
            pad_token_id=len(vocabulary) - 1,
        )
    ).save_pretrained(folder / 'sd' / 'text_encoder')
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            projection_dim=20,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        )
    ).save_pretrained(folder / 'clip')


def tiny_paper(folder: Path) -> FlowDiffusionConfig:
    """Return the paper's configuration over what `save_tiny_stable_diffusion` wrote."""
    base = str(folder / 'sd')
    return FlowDiffusionConfig(
        name='tiny paper',
        codec=CodecConfig(grid=8, frames=4),
        image=ImageConfig(model=str(folder / 'clip'), height=28, width=28),
        text=TextConfig(model=base, tokens=16),
        network=NetworkConfig(
            base=base, lora_rank=4, lora_alpha=4, channels=(16, 32), heads=2, context=24
        ),
        noise=NoiseConfig(steps=4, guidance=2.0),
    )
