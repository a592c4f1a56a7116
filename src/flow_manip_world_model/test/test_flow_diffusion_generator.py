# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

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
    InvalidInputError,
    TooFewPointsError,
)
from flow_manip_core.flow import flow_from_transforms  # noqa: E402
from flow_manip_core.observation import Mask  # noqa: E402
from flow_manip_core.rigid import fit_flow_transforms  # noqa: E402
from flow_manip_core.transforms import make_transform, rotation_about  # noqa: E402
from flow_manip_world_model.flow import create_flow_generator  # noqa: E402
from flow_manip_world_model.flow.diffusion import generator as module  # noqa: E402
from flow_manip_world_model.flow.diffusion.generator import (  # noqa: E402
    AnimateDiffFlow,
    as_rigid,
    candidate_seeds,
    CompactFlow,
    most_agreed_first,
)
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion  # noqa: E402
from flow_manip_world_model.flow.diffusion.weights import save_weights  # noqa: E402

WORDS = 'put the red cube on the plate'


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Weights of a tiny network of each kind, by name."""
    folder = tmp_path_factory.mktemp('models')
    save_tiny_bert(folder / 'bert')
    save_tiny_stable_diffusion(folder)
    paths = {}
    for name, config, width in (
        ('compact', tiny_compact(folder / 'bert'), 16),
        ('paper', tiny_paper(folder), 24),
    ):
        torch.manual_seed(1)
        network = FlowDiffusion(config, width)
        for parameter in network.trained().values():
            parameter.data += 0.02 * torch.randn_like(parameter)
        paths[name] = folder / f'{name}.safetensors'
        save_weights(paths[name], config, network.trained())
    return paths


@pytest.fixture(scope='module')
def scene(shapes):
    table = shapes['table'](
        {
            'cube': shapes['box'](0.45, 0.1, (0.06, 0.06, 0.06)),
            'plate': shapes['bowl'](0.55, -0.15, 0.1, 0.02),
        },
        width=320,
    )
    observation, masks = table.observe()
    return observation, [masks['cube'], masks['plate']]


def made(weights, context, name='compact', **parameters):
    config = AnimateDiffFlow.Config(weights=str(weights[name]), **parameters)
    return AnimateDiffFlow(config, context)


@pytest.mark.parametrize('name', ['compact', 'paper'])
def test_candidates_start_on_the_object_and_differ(weights, scene, context, name):
    observation, masks = scene
    flows = made(weights, context, name).generate(observation, WORDS, masks, num_candidates=3)
    assert len(flows) == 3
    surface = observation.points_world()[masks[0].pixels]
    for flow in flows:
        assert flow.source == 'animatediff_flow'
        assert (flow.object, flow.frame_id, flow.stamp) == ('cube', 'world', 12.5)
        apart = np.linalg.norm(flow.points[0][:, None] - surface[None], axis=-1).min(axis=1)
        assert apart.max() < 1e-5
        assert flow.visible[0].all()
    np.testing.assert_array_equal(flows[0].points[0], flows[1].points[0])
    assert np.abs(flows[0].points[-1] - flows[1].points[-1]).max() > 1e-3


def test_the_same_seed_gives_the_same_candidates(weights, scene, context):
    observation, masks = scene
    generator = made(weights, context)
    first, again, other = (
        generator.generate(observation, WORDS, masks, seed=seed, num_candidates=2)
        for seed in (4, 4, 5)
    )
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a.points, b.points)
    assert not {f.points.tobytes() for f in first} & {f.points.tobytes() for f in other}
    assert len({*candidate_seeds(0, 8), *candidate_seeds(1, 8)}) == 16


def test_words_change_what_is_drawn(weights, scene, context):
    observation, masks = scene
    generator = made(weights, context)
    one, other = (
        generator.generate(observation, words, masks, num_candidates=1)[0]
        for words in (WORDS, 'open the drawer')
    )
    assert np.abs(one.points[-1] - other.points[-1]).max() > 1e-4


def test_the_number_of_candidates_and_steps_are_parameters(weights, scene, context):
    observation, masks = scene
    seen = []
    generator = made(weights, context, num_candidates=2, steps=3)
    flows = generator.generate(
        observation, WORDS, masks, on_progress=lambda text, share: seen.append((text, share))
    )
    assert len(flows) == 2
    drawn = [text for text, _ in seen if 'step' in text]
    assert drawn == [f'drawing 2 flows: step {i} of 3' for i in (1, 2, 3)]
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_guidance_changes_what_is_drawn(weights, scene, context):
    observation, masks = scene
    plain, led = (
        made(weights, context, guidance=scale).generate(observation, WORDS, masks)[0]
        for scale in (1.0, 6.0)
    )
    assert np.abs(plain.points[-1] - led.points[-1]).max() > 1e-4


def test_masked_depth_keeps_every_point_as_far_from_the_camera(weights, scene, context):
    observation, masks = scene
    (flow,) = made(weights, context, mask_depth=True).generate(
        observation, WORDS, masks, num_candidates=1
    )
    (full,) = made(weights, context).generate(observation, WORDS, masks, num_candidates=1)
    inverse = np.linalg.inv(observation.T_world_camera)

    def depth(f):
        return f.points @ inverse[2, :3] + inverse[2, 3]

    np.testing.assert_allclose(depth(flow), np.tile(depth(flow)[:1], (5, 1)), atol=1e-4)
    assert np.abs(depth(full) - depth(full)[:1]).max() > 1e-3


def test_rigid_candidates_keep_their_shape(weights, scene, context):
    observation, masks = scene
    (flow,) = made(weights, context, rigid=True).generate(
        observation, WORDS, masks, num_candidates=1
    )
    pairs = np.linalg.norm(flow.points[:, :, None] - flow.points[:, None], axis=-1)
    np.testing.assert_allclose(pairs, np.broadcast_to(pairs[0], pairs.shape), atol=1e-4)


def test_a_rigid_fit_takes_noise_away_but_not_the_motion():
    rng = np.random.default_rng(0)
    poses = [
        make_transform([0.05 * t, 0, 0.02 * t], rotation_about([0, 0, 1], 0.1 * t))
        for t in range(6)
    ]
    flow = flow_from_transforms(rng.uniform(-0.05, 0.05, (60, 3)), poses, np.arange(6.0))
    noise = rng.normal(0, 0.004, flow.points.shape)
    noise[0] = 0
    noisy = replace(flow, points=flow.points + noise)
    fitted = as_rigid(noisy)
    before, after = (np.abs(f.points - flow.points).mean() for f in (noisy, fitted))
    assert after < 0.4 * before
    found, residuals = fit_flow_transforms(fitted)
    np.testing.assert_allclose(residuals, 0.0, atol=1e-6)
    np.testing.assert_allclose(found[-1], poses[-1], atol=0.06)


def test_the_candidate_that_most_agree_with_comes_first():
    def ending(x):
        return flow_from_transforms(
            np.eye(3), [make_transform([0, 0, 0]), make_transform([x, 0, 0])], [0.0, 1.0]
        )

    ordered = most_agreed_first([ending(x) for x in (0.5, 0.11, -0.3, 0.1, 0.12)])
    ends = [float(flow.points[-1, 0, 0]) - 1.0 for flow in ordered]
    assert ends[0] == pytest.approx(0.11)
    assert {round(e, 2) for e in ends[:3]} == {0.1, 0.11, 0.12}


def test_cancelling_is_noticed_while_drawing(weights, scene, context):
    observation, masks = scene
    generator = made(weights, context)
    generator.generate(observation, WORDS, masks, num_candidates=1)
    started = []

    def on_progress(text, share):
        started.append('step 1' in text)

    with pytest.raises(CancelledError):
        generator.generate(
            observation, WORDS, masks, on_progress=on_progress, cancelled=lambda: any(started)
        )
    assert started.count(True) == 1
    with pytest.raises(CancelledError):
        generator.generate(observation, WORDS, masks, cancelled=lambda: True)


def test_what_makes_no_sense_is_refused(weights, scene, context):
    observation, masks = scene
    generator = made(weights, context)
    with pytest.raises(InvalidInputError, match='65 candidates'):
        generator.generate(observation, WORDS, masks, num_candidates=65)
    with pytest.raises(InvalidInputError, match='0 masks'):
        generator.generate(observation, WORDS, [])
    with pytest.raises(InvalidInputError, match="instruction ' '"):
        generator.generate(observation, ' ', masks)
    one = np.zeros_like(masks[0].pixels)
    one[100, 100] = True
    with pytest.raises(TooFewPointsError):
        generator.generate(observation, WORDS, [Mask(one, 'dot')])


def test_weights_that_are_not_there_are_named_when_the_backend_is_built(context, tmp_path):
    with pytest.raises(ConfigurationError, match='weights are not named'):
        create_flow_generator({'backend': 'animatediff_flow'}, context)
    missing = str(tmp_path / 'none.safetensors')
    with pytest.raises(BackendError, match=r'no weights at .*none\.safetensors'):
        create_flow_generator(
            {'backend': 'animatediff_flow', 'animatediff_flow': {'weights': missing}}, context
        )


def test_an_untrained_checkout_says_so(context, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'COMPACT_WEIGHTS', tmp_path / 'compact.safetensors')
    with pytest.raises(BackendError, match='has not been trained in this checkout'):
        create_flow_generator({'backend': 'compact'}, context)


def test_the_compact_backend_takes_the_weights_of_the_package(
    weights, scene, context, monkeypatch
):
    observation, masks = scene
    monkeypatch.setattr(module, 'COMPACT_WEIGHTS', weights['compact'])
    generator = create_flow_generator({'backend': 'compact'}, context)
    assert isinstance(generator, CompactFlow)
    flows = generator.generate(observation, WORDS, masks)
    assert [flow.source for flow in flows] == ['compact'] * 4


@pytest.mark.parametrize('wrong', [{'num_candidates': 0}, {'steps': -1}, {'guidance': -1.0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        AnimateDiffFlow.Config(**wrong)
