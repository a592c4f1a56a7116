# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import sys

from dream_fakes import make_observation
import numpy as np
import pytest
from tiny_wan import save_tiny_wan

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
    VideoFailedError,
)
from flow_manip_world_model.video import VIDEO_GENERATORS
from flow_manip_world_model.video.wan import _as_frames, WanVideo, WATCHED

TEXT = 'put the red block on the right'


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    pytest.importorskip('diffusers')
    root = tmp_path_factory.mktemp('wan')
    save_tiny_wan(root / 'first')
    save_tiny_wan(root / 'both', two_images=True)
    return root


@pytest.fixture(scope='module')
def seen():
    return make_observation()[0]


@pytest.fixture(scope='module')
def wan(folders, context):
    """The true classes, tiny, loaded from a folder as the real ones are."""
    return WanVideo(
        WanVideo.Config(
            model=str(folders / 'first'),
            goal_model=str(folders / 'both'),
            local_files_only=True,
            num_frames=9,
            width=64,
            height=32,
            steps=3,
            device='cpu',
            dtype='float32',
            max_tokens=32,
        ),
        context,
    )


def test_its_defaults_are_novaflows(context):
    config = WanVideo.Config()
    assert VIDEO_GENERATORS.load('wan') is WanVideo
    assert (config.num_frames, config.width, config.height, config.rate) == (41, 1280, 720, 16.0)
    assert (config.steps, config.flow_shift, config.guidance) == (40, 5.0, 5.0)
    assert config.prompt == 'wan_zh'


def test_videos_have_the_cameras_size_and_say_what_made_them(wan, seen):
    heard = []
    videos = list(
        wan.generate(
            seen, TEXT, num_videos=2, seed=5, on_progress=lambda *report: heard.append(report)
        )
    )
    assert [video.frames.shape for video in videos] == [(9, 240, 320, 3)] * 2
    assert [video.seed for video in videos] == [5, 6]
    np.testing.assert_allclose(videos[0].times, np.arange(9) / 16.0)
    assert videos[0].source == 'wan first, prompt wan_zh@1'
    assert 'Put the red block on the right' in videos[0].prompt
    assert '右手' in videos[0].prompt
    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    assert sum('video 2 of 2' in stage for stage, _ in heard) == 3


def test_the_schedule_is_unipc_with_the_shift_that_was_asked_for(wan, seen):
    next(wan.generate(seen, TEXT))
    scheduler = wan._pipelines[wan._config.model].scheduler
    assert type(scheduler).__name__ == 'UniPCMultistepScheduler'
    assert scheduler.config.flow_shift == 5.0
    assert scheduler.config.use_flow_sigmas
    assert scheduler.config.prediction_type == 'flow_prediction'


def test_the_same_seed_gives_the_same_video_and_another_seed_another(wan, seen):
    one, two = (next(wan.generate(seen, TEXT, seed=5)) for _ in range(2))
    other = next(wan.generate(seen, TEXT, seed=6))
    np.testing.assert_array_equal(one.frames, two.frames)
    assert (one.frames != other.frames).any()


def test_a_goal_image_takes_the_pipeline_of_first_and_last_frames(wan, seen):
    goal = np.ascontiguousarray(seen.color[:, ::-1])
    video = next(wan.generate(seen, TEXT, goal_image=goal, seed=5))
    assert video.source.startswith('wan both')
    elsewhere = next(wan.generate(seen, TEXT, goal_image=255 - goal, seed=5))
    assert (video.frames != elsewhere.frames).any()
    with pytest.raises(InvalidInputError, match='an image is'):
        next(wan.generate(seen, TEXT, goal_image=goal[:100]))


def test_half_precision_is_for_the_parts_that_bear_it(wan, seen, context):
    half = WanVideo(replace(wan._config, dtype='bfloat16', preload=True), context)
    (pipeline,) = half._pipelines.values()
    kinds = {name: str(getattr(pipeline, name).dtype)[6:] for name in WATCHED[:1] + WATCHED[2:]}
    assert kinds == {
        'transformer': 'bfloat16',
        'text_encoder': 'bfloat16',
        'vae': 'float32',
        'image_encoder': 'float32',
    }
    assert next(half.generate(seen, TEXT)).num_frames == 9


def test_a_cancel_is_seen_inside_a_step(wan, seen):
    steps, polls = [], iter(range(10_000))

    def cancelled():
        # After the first step has ended, in the middle of the second.
        return bool(steps) and next(polls) > 10

    with pytest.raises(CancelledError, match='inside the video model'):
        list(
            wan.generate(
                seen,
                TEXT,
                num_videos=2,
                on_progress=lambda stage, share: steps.append(1) if 'denois' in stage else None,
                cancelled=cancelled,
            )
        )
    assert len(steps) == 1
    # Nothing of the cancelled one is left behind.
    assert next(wan.generate(seen, TEXT)).num_frames == 9


def test_a_model_that_is_not_there_is_named(context, seen, tmp_path):
    lost = WanVideo(
        WanVideo.Config(model=str(tmp_path / 'lost'), local_files_only=True, device='cpu'), context
    )
    with pytest.raises(BackendError, match='lost'):
        next(lost.generate(seen, TEXT))
    with pytest.raises(BackendError, match='lost'):
        WanVideo(replace(lost._config, preload=True), context)


def test_what_is_not_installed_is_said_when_the_backend_is_built(context, monkeypatch):
    monkeypatch.setitem(sys.modules, 'diffusers', None)
    with pytest.raises(BackendError, match='pip install diffusers'):
        WanVideo(WanVideo.Config(), context)


def test_a_lora_needs_its_package(context, monkeypatch):
    monkeypatch.setitem(sys.modules, 'peft', None)
    with pytest.raises(BackendError, match='pip install peft'):
        WanVideo(WanVideo.Config(lora='hand.safetensors'), context)


def test_a_lora_changes_the_video_as_far_as_its_scale_says(wan, seen, context, tmp_path):
    pytest.importorskip('peft')
    from safetensors.torch import save_file
    import torch

    weights, noise = {}, torch.Generator().manual_seed(1)
    for layer in ('to_q', 'to_v'):
        name = f'transformer.blocks.0.attn1.{layer}'
        weights[f'{name}.lora_A.weight'] = torch.randn(4, 24, generator=noise)
        weights[f'{name}.lora_B.weight'] = torch.randn(24, 4, generator=noise)
    save_file(weights, tmp_path / 'lora.safetensors')
    plain = next(wan.generate(seen, TEXT, seed=5)).frames
    config = replace(wan._config, lora=str(tmp_path / 'lora.safetensors'))
    tuned = next(WanVideo(config, context).generate(seen, TEXT, seed=5)).frames
    unscaled = WanVideo(replace(config, lora_scale=0.0), context)
    assert (tuned != plain).any()
    np.testing.assert_array_equal(next(unscaled.generate(seen, TEXT, seed=5)).frames, plain)


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'num_frames': 40}, r'4 k \+ 1'),
        ({'width': 1270}, 'multiples of 16'),
        ({'dtype': 'int8'}, 'int8'),
        ({'offload': 'some'}, 'some'),
        ({'steps': 0}, '0 steps'),
        ({'max_tokens': 4096}, '16..512'),
    ],
)
def test_sizes_that_the_model_cannot_have_are_refused(values, words):
    with pytest.raises(ConfigurationError, match=words):
        WanVideo.Config(**values)


def test_a_prompt_that_does_not_exist_is_refused(context):
    with pytest.raises(ConfigurationError, match='wan_zh'):
        WanVideo(WanVideo.Config(prompt='wan_fr'), context)


def test_pixels_that_are_no_numbers_are_no_video():
    made = np.full((5, 4, 4, 3), 0.5)
    assert (_as_frames(made) == 128).all()
    made[2] = np.nan
    with pytest.raises(VideoFailedError, match=r'20\.0 % of'):
        _as_frames(made)
