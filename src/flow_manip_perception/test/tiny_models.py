# SPDX-License-Identifier: Apache-2.0
"""Random models of a few thousand weights, of the same classes as the published ones, saved to a
folder as the hub would have them."""

import torch
import transformers

HIDDEN = 128  # twice the 64 of SAM 2's memory, which knows no other ratio below one
WORDS = ('red', 'blue', 'cube', 'bowl', 'cup', 'the', 'a')


def save_tokenizer(folder):
    """Save a word tokenizer whose control tokens have BERT's numbers, which the detector knows."""
    from tokenizers import models, pre_tokenizers, processors, Tokenizer

    fixed = {'[PAD]': 0, '[UNK]': 100, '[CLS]': 101, '[SEP]': 102, '.': 1012, '?': 1029}
    vocabulary = dict(fixed)
    for i, word in enumerate(WORDS):
        vocabulary[word] = 200 + i
    taken = set(vocabulary.values())
    vocabulary |= {f'[unused{i}]': i for i in range(1030) if i not in taken}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token='[UNK]'))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single='[CLS] $A [SEP]', special_tokens=[('[CLS]', 101), ('[SEP]', 102)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token='[UNK]', pad_token='[PAD]', cls_token='[CLS]',
        sep_token='[SEP]',
    ).save_pretrained(folder)  # fmt: skip


def save_detector(folder):
    """Save a tiny Grounding DINO and its tokenizer."""
    torch.manual_seed(0)
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            image_size=64, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1],
            window_size=4, out_indices=[2, 3, 4],
        ),
        text_config=transformers.BertConfig(
            vocab_size=1030, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32,
        ),
        d_model=32, num_queries=12, encoder_layers=1, encoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_layers=2, decoder_ffn_dim=32,
        decoder_attention_heads=2, disable_custom_kernels=True, max_text_len=64,
    )  # fmt: skip
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    save_tokenizer(folder)
    return str(folder)


def sam2_parts(side):
    """Return the configurations that image and video models share."""
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(
            image_size=[side, side], hidden_size=8, num_attention_heads=1,
            blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=[8, 16, 32, 64],
            num_attention_heads_per_stage=[1, 1, 1, 1], window_size_per_stage=[4, 2, 4, 2],
            global_attention_blocks=[3],
        ),
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
        fpn_hidden_size=HIDDEN,
    )  # fmt: skip
    prompts = {'hidden_size': HIDDEN, 'image_size': side, 'patch_size': 16}
    decoder = {
        'hidden_size': HIDDEN, 'mlp_dim': 32, 'num_attention_heads': 2, 'iou_head_hidden_dim': 32,
    }  # fmt: skip
    return vision, prompts, decoder


def save_sam2(folder, side=64):
    """Save a tiny SAM 2 for images."""
    torch.manual_seed(0)
    vision, prompts, decoder = sam2_parts(side)
    config = transformers.Sam2Config(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
    transformers.Sam2Model(config).save_pretrained(folder)
    return str(folder)


def save_sam2_video(folder, side=64):
    """Save a tiny SAM 2 for videos."""
    torch.manual_seed(0)
    vision, prompts, decoder = sam2_parts(side)
    config = transformers.Sam2VideoConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder,
        image_size=side, memory_attention_hidden_size=HIDDEN, memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[side // 16] * 2, memory_encoder_hidden_size=HIDDEN,
        memory_encoder_output_channels=64, mask_downsampler_embed_dim=HIDDEN,
        memory_fuser_num_layers=1, memory_fuser_embed_dim=HIDDEN, memory_fuser_intermediate_dim=32,
        num_maskmem=3, max_object_pointers_in_encoder=4,
    )  # fmt: skip
    transformers.Sam2VideoModel(config).save_pretrained(folder)
    return str(folder)


def save_depth_anything(folder, kind='relative'):
    """Save a tiny Depth Anything; `kind` as checkpoints name it: relative or metric."""
    torch.manual_seed(0)
    config = transformers.DepthAnythingConfig(
        backbone_config=transformers.Dinov2Config(
            image_size=28, patch_size=14, hidden_size=16, num_hidden_layers=4,
            num_attention_heads=2, mlp_ratio=1, out_indices=[1, 2, 3, 4],
            reshape_hidden_states=False, apply_layernorm=True, initializer_range=0.3,
        ),
        patch_size=14, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8, head_hidden_size=8, depth_estimation_type=kind, max_depth=5,
        initializer_range=0.1,
    )  # fmt: skip
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    return str(folder)
