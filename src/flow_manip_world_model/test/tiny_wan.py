# SPDX-License-Identifier: Apache-2.0
"""Wan 2.1's true classes at a size that a laptop draws in a second, with random weights."""

from __future__ import annotations

IMAGE_SIDE = 8  # [px] that the tiny image encoder looks at
TOKENS = IMAGE_SIDE * IMAGE_SIDE + 1  # of one image


def save_tiny_wan(folder, *, two_images=False):
    """Write a pipeline folder as the hub has it; `two_images` is the first-last-frame kind."""
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanImageToVideoPipeline,
        WanTransformer3DModel,
    )
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        CLIPVisionModel,
        T5TokenizerFast,
        UMT5Config,
        UMT5EncoderModel,
    )

    torch.manual_seed(0)
    words = [('<pad>', 0.0), ('</s>', 0.0), ('<unk>', 0.0), ('▁', -2.0)]
    words += [(letter, -3.0) for letter in 'abcdefghijklmnopqrstuvwxyz.,']
    tokenizer = T5TokenizerFast(vocab=words, extra_ids=0)
    text = UMT5Config(
        vocab_size=len(tokenizer), d_model=32, d_ff=37, d_kv=8, num_layers=2, num_heads=4
    )
    seen = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=IMAGE_SIDE,
        patch_size=1,
    )
    pipeline = WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=UMT5EncoderModel(text).eval(),
        vae=AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ).eval(),
        # As the hub's folders have it: another shift than NovaFlow's.
        scheduler=UniPCMultistepScheduler(
            prediction_type='flow_prediction', use_flow_sigmas=True, flow_shift=3.0
        ),
        image_processor=CLIPImageProcessor(
            size={'shortest_edge': IMAGE_SIDE},
            crop_size={'height': IMAGE_SIDE, 'width': IMAGE_SIDE},
        ),
        image_encoder=CLIPVisionModel(seen).eval(),
        transformer=WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=36,
            out_channels=16,
            text_dim=32,
            freq_dim=32,
            ffn_dim=32,
            num_layers=2,
            rope_max_seq_len=32,
            image_dim=8,
            pos_embed_seq_len=2 * TOKENS if two_images else None,
        ).eval(),
    )
    pipeline.save_pretrained(folder)
