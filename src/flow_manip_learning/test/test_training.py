# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import json

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')
pytest.importorskip('accelerate')

from training_samples import Folders, make_scene, tiny_overrides  # noqa: E402

# isort: split
from tiny_flow_diffusion import save_tiny_bert  # noqa: E402

from flow_manip_core.config import from_mapping  # noqa: E402
from flow_manip_core.errors import (  # noqa: E402
    BackendError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
)
from flow_manip_learning.dataset import DatasetCard, ShardWriter  # noqa: E402
from flow_manip_learning.training.config import (  # noqa: E402
    find_config,
    LossConfig,
    TrainingConfig,
)
from flow_manip_learning.training.data import TrainingData  # noqa: E402
from flow_manip_learning.training.objective import (  # noqa: E402
    Draws,
    loss_weights,
    Objective,
    step_inputs,
)
from flow_manip_learning.training.prepared import prepare  # noqa: E402
from flow_manip_learning.training.trainer import train, Trainer  # noqa: E402
from flow_manip_learning.training.validation import make_examples, validate  # noqa: E402
from flow_manip_world_model.flow.diffusion.network import FlowDiffusion  # noqa: E402
from flow_manip_world_model.flow.diffusion.weights import (  # noqa: E402
    load_network,
    read_config,
    read_notes,
)

TO_THE_PLATE, OPEN = 'put the red cube on the plate', 'open the drawer'


def write_dataset(folder, scenes):
    with ShardWriter(folder, DatasetCard('test', 'blocks', 'pytest')) as writer:
        for scene in scenes:
            writer.write(scene)
    return folder


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('training')
    scenes = [
        make_scene(f's{i}', i, (0.15, 0.05, 0.05), TO_THE_PLATE)
        if i % 2
        else make_scene(f's{i}', i, (-0.15, 0.1, 0.0), OPEN)
        for i in range(7)
    ]
    return Folders(
        write_dataset(root / 'data', scenes), save_tiny_bert(root / 'bert'), root / 'runs'
    )


def test_a_tiny_network_learns_two_samples_by_heart(folders, tmp_path):
    """Two scenes of one place, told apart by words alone."""
    scenes = [
        make_scene('a', 3, (0.2, 0.05, 0.05), TO_THE_PLATE),
        make_scene('b', 3, (-0.15, 0.1, 0.0), OPEN),
    ]
    config = folders.config(
        'overfit', output=str(tmp_path), steps=160, batch=8, learning_rate=5e-3, warmup=5,
        schedule='cosine', color_jitter=0.0, checkpoint_every=1000, loss=LossConfig(),
    )  # fmt: skip
    network = config.network()
    prepared = prepare(scenes, 2, network, tmp_path / 'prepared')
    data = TrainingData(prepared, make_examples(scenes, network, 2))
    result = train(config, data=data)
    numbers = result.validations[160]
    assert numbers['rest_100'] > 0.15
    assert numbers['error_100'] < 0.03
    assert numbers['error_50'] < 0.03
    assert numbers['visibility_f1'] > 0.9
    first, last = (
        np.mean([result.losses[i] for i in steps]) for steps in (range(1, 11), range(151, 161))
    )
    assert last < 0.1 * first


def test_a_run_that_stopped_goes_on_as_if_it_had_not(folders):
    whole = train(folders.config('whole'))
    part = folders.config('part')
    first = train(part, until=3)
    rest = train(part)
    assert (sorted(first.losses), sorted(rest.losses)) == ([1, 2, 3], [4, 5, 6])
    assert {**first.losses, **rest.losses} == pytest.approx(whole.losses, rel=1e-6)
    assert rest.validations[6] == pytest.approx(whole.validations[6], rel=1e-4)
    tensors = [
        dict(load_network(result.weights)[0].named_parameters()) for result in (whole, rest)
    ]
    for name, value in tensors[0].items():
        torch.testing.assert_close(tensors[1][name], value, atol=1e-6, rtol=1e-5)


def test_seeds_decide(folders):
    losses = [
        train(folders.config(name, seed=seed), until=2).losses
        for name, seed in (('one', 1), ('same', 1), ('other', 2))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    # The network says nothing at first, whatever the noise.
    assert losses[0][2] != pytest.approx(losses[2][2], rel=1e-4)


def test_what_a_run_leaves_behind(folders):
    config = folders.config('left', steps=9, keep=2)
    result = train(config)
    output = folders.runs / 'left'
    assert result.weights == output / 'model.safetensors'
    assert read_config(result.weights) == config.network()
    assert read_notes(result.weights) == {
        'dataset': 'data', 'samples': '5', 'seed': '0', 'steps': '9'
    }  # fmt: skip
    kept = sorted(path.name for path in (output / 'checkpoints').iterdir())
    assert kept == ['step-0000006', 'step-0000009']
    names = {path.name for path in (output / 'checkpoints' / kept[0]).iterdir()}
    assert names == {
        'model.safetensors', 'ema.safetensors', 'optimizer.safetensors', 'state.json'
    }  # fmt: skip
    assert (output / 'pictures' / 'step-0000009.png').stat().st_size > 1000


def test_a_checkpoint_of_another_run_is_refused(folders):
    config = folders.config('mixed')
    train(config, until=1)
    with pytest.raises(BackendError, match=r"of another run: \['batch'\]"):
        train(replace(config, batch=2))


def test_a_damaged_checkpoint_is_refused(folders):
    config = folders.config('damaged')
    train(config, until=1)
    path = folders.runs / 'damaged' / 'checkpoints' / 'step-0000001' / 'optimizer.safetensors'
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BackendError, match='step-0000001'):
        train(config)


def test_cancelling_leaves_a_checkpoint(folders):
    config = folders.config('cancelled')
    done = []
    with pytest.raises(CancelledError, match='cancelled after 2 steps'):
        train(config, on_step=lambda *step: done.append(step), cancelled=lambda: len(done) == 2)
    assert sorted(train(config).losses) == [3, 4, 5, 6]


def test_the_average_is_what_is_measured_and_written(folders):
    trainer = Trainer(folders.config('averaged'))
    trainer.run(3, lambda *_: None, lambda: False)
    name = next(iter(trainer.trained))
    now = trainer.trained[name].detach().clone()
    with trainer.averaged():
        average = trainer.trained[name].detach().clone()
    torch.testing.assert_close(trainer.trained[name], now, atol=0, rtol=0)
    assert (average - now).abs().max() > 0
    written = load_network(folders.runs / 'averaged' / 'model.safetensors')[0]
    torch.testing.assert_close(written.get_parameter(name), average, atol=1e-3, rtol=1e-3)


def test_accumulated_batches_are_one_large_batch(folders):
    """Two batches of three rows are the six rows of one; only what is drawn differs."""
    trainers = [
        Trainer(folders.config(name, batch=batch, accumulate=accumulate))
        for name, batch, accumulate in (('two', 3, 2), ('one6', 6, 1))
    ]
    parts = [trainers[0]._inputs(part).clean for part in range(2)]
    torch.testing.assert_close(torch.cat(parts), trainers[1]._inputs(0).clean)


def test_the_rate_warms_up_and_falls(folders):
    config = folders.config('rate', steps=100, warmup=10, schedule='cosine')
    trainer = Trainer(config)
    rates = []
    for trainer.step in range(100):
        rates.append(trainer._rate())
    assert rates[0] == pytest.approx(config.learning_rate / 11)
    assert max(rates) == rates[10] == config.learning_rate
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] < 1e-3 * config.learning_rate


def test_every_sample_comes_once_per_epoch_in_a_new_order(folders):
    data = TrainingData.of(folders.config('rows'))
    assert len(data.training) == 5
    rows = [row for number in range(10) for row in data.rows(number, 3, seed=0)]
    epochs = [rows[i : i + 5] for i in range(0, 30, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert data.rows(7, 3, seed=0) == rows[21:24]


def test_prepared_samples_are_what_the_codec_says_and_are_kept(folders, tmp_path):
    config = folders.config('kept').network()
    scenes = [make_scene('a', 1), make_scene('b', 2)]
    prepared = prepare(scenes, 2, config, tmp_path / 'p')
    (example,) = make_examples(scenes[1:], config, 1)
    batch = prepared.rows([1, 0, 1])
    assert batch.texts == (TO_THE_PLATE,) * 3
    np.testing.assert_allclose(batch.values[0], example.encoded.values, atol=1e-6)
    np.testing.assert_array_equal(batch.known[2], example.encoded.known)
    np.testing.assert_allclose(batch.views.scene[0], example.views.scene, atol=2e-3)
    again = prepare(iter(()), 2, config, tmp_path / 'p')
    np.testing.assert_array_equal(again.rows([0]).values, prepared.rows([0]).values)


def test_samples_without_enough_points_are_left_out_and_named(folders, tmp_path):
    scene = make_scene('few', 1)
    flow = scene.flow
    few = replace(
        flow,
        points=flow.points[:, :2],
        confidence=flow.confidence[:, :2],
        point_ids=flow.point_ids[:2],
    )
    config = folders.config('few').network()
    scenes = [replace(scene, flow=few), make_scene('good', 2)]
    prepared = prepare(scenes, 2, config, tmp_path / 'p')
    assert prepared.keys == ['good']
    assert '2 of 16 cells' in prepared.refused['few']
    with pytest.raises(InvalidInputError, match='none of 1 samples'):
        prepare(scenes[:1], 1, config, tmp_path / 'q')


def test_references_that_samples_do_not_have_are_not_made_up(folders, tmp_path):
    overrides = tiny_overrides(folders.bert)
    overrides['image']['references'] = True
    config = folders.config('refs', overrides=overrides).network()
    with pytest.raises(ConfigurationError, match='the sample has none'):
        prepare([make_scene('a', 1)], 1, config, tmp_path / 'p')


def test_weights_follow_what_is_known_and_seen(folders, tmp_path):
    config = folders.config('weights').network()
    batch = prepare([make_scene('a', 1)], 1, config, tmp_path / 'p').rows([0])
    weights = loss_weights(batch, LossConfig(hidden=0.5, filled=0.25, visibility=0.2, end=3.0))
    own = torch.from_numpy(batch.views.valid[0] > 0.5)
    seen = torch.from_numpy(batch.values[0, ..., 3] > 0)
    assert weights.shape == (1, 4, 4, 4, 4)
    assert own.any()
    first, last = weights[0, 0, 0], weights[0, 0, -1]
    torch.testing.assert_close(first[own & seen[0]], torch.ones(int((own & seen[0]).sum())))
    assert (last[own & seen[-1]] == 3.0).all()
    assert (last[own & ~seen[-1]] == 1.5).all()
    torch.testing.assert_close(weights[0, 3, 0][own], torch.full((int(own.sum()),), 0.2))
    plain = loss_weights(batch, LossConfig())
    assert (plain[:, :, torch.from_numpy(batch.known[0])] == 1.0).all()


def test_words_and_references_are_left_out_in_their_share(folders, tmp_path):
    config = folders.config('draws')
    prepared = prepare([make_scene('a', 1)], 1, config.network(), tmp_path / 'p')
    batch = prepared.rows([0] * 400)
    text = Trainer(config).text
    inputs = step_inputs(batch, text, Draws(0.0, 0.25, 0.5), LossConfig(), 1000, (0, 1))
    empty = text.encode([''])[0]
    silent = [bool(torch.equal(tokens, empty)) for tokens in inputs.conditions.text]
    assert 0.17 < np.mean(silent) < 0.33
    assert inputs.steps.min() < 50
    assert inputs.steps.max() > 950
    again = step_inputs(batch, text, Draws(0.0, 0.25, 0.5), LossConfig(), 1000, (0, 1))
    torch.testing.assert_close(inputs.noise, again.noise, atol=0, rtol=0)
    other = step_inputs(batch, text, Draws(0.0, 0.25, 0.5), LossConfig(), 1000, (0, 2))
    assert not torch.equal(inputs.noise, other.noise)


@pytest.mark.parametrize('prediction', ['epsilon', 'sample', 'v_prediction'])
def test_each_kind_of_prediction_has_no_loss_for_the_right_answer(
    folders, tmp_path, prediction, monkeypatch
):
    config = folders.config('right')
    overrides = tiny_overrides(folders.bert)
    overrides['network']['affine'] = False
    overrides['noise']['prediction'] = prediction
    config = replace(config, overrides=overrides)
    prepared = prepare([make_scene('a', 1)], 1, config.network(), tmp_path / 'p')
    trainer = Trainer(config)
    inputs = step_inputs(
        prepared.rows([0, 0]), trainer.text, Draws(0, 0, 0), LossConfig(), 1000, (0,)
    )
    alpha = Objective(trainer.network)._scheduler.alphas_cumprod[inputs.steps]
    alpha = alpha.view(-1, 1, 1, 1, 1)
    answer = {
        'epsilon': inputs.noise,
        'sample': inputs.clean,
        'v_prediction': alpha.sqrt() * inputs.noise - (1 - alpha).sqrt() * inputs.clean,
    }[prediction]
    monkeypatch.setattr(FlowDiffusion, 'forward', lambda *_: answer)
    assert float(Objective(trainer.network)(inputs)) == pytest.approx(0.0, abs=1e-9)


def test_the_measures_are_right_for_a_network_that_is_known(folders, monkeypatch):
    """One that draws the truth moved by 3 cm along the camera's axis, all of it visible."""
    from flow_manip_learning.training import validation

    config = folders.config('measures')
    trainer = Trainer(config)
    examples = make_examples([make_scene('a', 1), make_scene('b', 2)], config.network(), 2)
    moved = np.stack([e.encoded.values for e in examples])
    moved[..., 2] += 0.03 / config.network().codec.scale
    moved[..., 3] = 1.0
    monkeypatch.setattr(validation, '_draw', lambda *_: moved)
    found = validate(trainer.network, trainer.text, examples, config.validation)
    for name in ('error_25', 'error_50', 'error_75', 'error_100', 'end_put'):
        # What moves along the axis and keeps its pixel moves sideways a little too.
        assert found.numbers[name] == pytest.approx(0.03, rel=0.1)
    seen = np.concatenate(
        [e.encoded.values[:, e.encoded.anchors.valid, 3].ravel() for e in examples]
    )
    share = (seen > 0).mean()
    assert share < 1.0
    assert found.numbers['visibility_f1'] == pytest.approx(2 * share / (1 + share))


def test_tensorboard_is_written_where_it_is_wanted(folders):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(folders.config('logged', tensorboard=True, log_every=2, steps=4))
    events = EventAccumulator(str(folders.runs / 'logged' / 'logs' / 'flow_diffusion')).Reload()
    assert [event.step for event in events.Scalars('loss')] == [2, 4]
    assert 'validation/error_100' in events.Tags()['scalars']


def test_weights_to_start_from_are_taken(folders):
    first = train(folders.config('before'), until=2)
    trainer = Trainer(folders.config('after', start=str(first.weights)))
    loaded = load_network(first.weights)[0]
    for name, value in trainer.trained.items():
        torch.testing.assert_close(value.data, loaded.get_parameter(name), atol=0, rtol=0)


@pytest.mark.parametrize('name', ['compact', 'paper', 'fine_tune'])
def test_the_configurations_that_come_along_are_whole(name):
    config = find_config(name)
    assert config.network().name == config.model
    if name == 'paper':
        assert (config.learning_rate, config.weight_decay, config.epsilon) == (1e-4, 0.01, 1e-8)
        assert config.loss == LossConfig()
        assert (config.clip, config.ema, config.precision) == (1.0, 0.0, 'fp16')


def test_wrong_configurations_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no configuration 'nothing'; there are"):
        find_config('nothing')
    with pytest.raises(ConfigurationError, match="did you mean 'steps'"):
        from_mapping(TrainingConfig, {'dataset': 'a', 'output': 'b', 'step': 1})
    for wrong in ({'model': 'huge'}, {'steps': 0}, {'schedule': 'up'}, {'ema': 1.0}):
        with pytest.raises(ConfigurationError):
            TrainingConfig('a', 'b', **wrong)
    with pytest.raises(ConfigurationError, match='unknown key'):
        TrainingConfig('a', 'b', overrides={'codec': {'size': 3}}).network()


def test_a_dataset_that_is_too_small_is_refused(folders):
    config = folders.config('small')
    config = replace(config, validation=replace(config.validation, samples=7))
    with pytest.raises(InvalidInputError, match='7 samples, 7 of them are kept'):
        TrainingData.of(config)


def test_a_state_says_what_run_it_is_of(folders):
    train(folders.config('state'), until=1)
    path = folders.runs / 'state' / 'checkpoints' / 'step-0000001' / 'state.json'
    state = json.loads(path.read_text())
    assert (state['step'], state['seed'], state['batch'], state['processes']) == (1, 0, 3, 1)
