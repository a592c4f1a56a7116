# SPDX-License-Identifier: Apache-2.0
"""Making a simulated dataset: whole, interrupted, and with several processes."""

import pytest

from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset import (
    check_dataset,
    DatasetIndex,
    read_samples,
    write_contact_sheet,
)
from flow_manip_learning.simulated import (
    make_simulated_dataset,
    making,
    SimulatedConfig,
    SimulatedRecipe,
)

TINY = SimulatedConfig(width=96, height=72, views=3, steps=4, points=32, min_pixels=8)
RECIPE = SimulatedRecipe(count=7, seed=4, config=TINY)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp('made') / 'whole'
    told = []
    report = make_simulated_dataset(
        folder,
        RECIPE,
        max_shard_bytes=30_000,
        on_progress=lambda done, count, rate: told.append((done, count)),
    )
    return folder, report, told


def test_it_has_as_many_samples_as_were_asked_for(whole):
    folder, report, told = whole
    assert check_dataset(folder) == []
    assert (report.samples, report.made) == (7, 7)
    assert report.rate > 0
    assert told[-1] == (7, 7)
    assert len(list(read_samples(folder))) == 7
    assert report.bytes / report.samples < 60_000


def test_the_card_has_the_command_and_the_recipe(whole):
    text = (whole[0] / 'README.md').read_text()
    assert 'flow_manip dataset make --out FOLDER --count 7 --seed 4 --split train' in text
    assert '"width": 96' in text


def test_an_interrupted_run_ends_with_the_same_bytes(whole, tmp_path, monkeypatch):
    real, seen = making._scene, []

    def failing(number):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(number)
        return real(number)

    monkeypatch.setattr(making, '_scene', failing)
    with pytest.raises(KeyboardInterrupt):
        make_simulated_dataset(tmp_path / 'torn', RECIPE, max_shard_bytes=30_000)
    monkeypatch.undo()
    assert not DatasetIndex.read(tmp_path / 'torn').complete
    report = make_simulated_dataset(tmp_path / 'torn', RECIPE, max_shard_bytes=30_000)
    assert 0 < report.made < 7
    # The shard that was cut short stays short; the samples are the same, in the same order.
    keys = [sample.key for sample in read_samples(tmp_path / 'torn')]
    assert keys == [sample.key for sample in read_samples(whole[0])]
    assert check_dataset(tmp_path / 'torn') == []


def test_made_already_is_not_made_again(whole):
    report = make_simulated_dataset(whole[0], RECIPE, max_shard_bytes=30_000)
    assert (report.samples, report.made, report.scenes) == (7, 0, 0)
    assert check_dataset(whole[0]) == []


def test_another_recipe_is_refused(whole):
    with pytest.raises(InvalidInputError, match='recipe'):
        make_simulated_dataset(whole[0], SimulatedRecipe(count=8, seed=4, config=TINY))


def test_what_nothing_can_be_shown_with_ends_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(making, '_scene', lambda number: [])
    with pytest.raises(InvalidInputError, match='200 scenes'):
        make_simulated_dataset(tmp_path, RECIPE)


def test_a_contact_sheet_shows_the_samples(whole, tmp_path):
    import cv2

    path = tmp_path / 'sheet.png'
    assert write_contact_sheet(whole[0], path, count=5) == 5
    image = cv2.imread(str(path))
    assert image.shape[1] == 4 * 384
    assert image.std() > 20
    with pytest.raises(InvalidInputError, match='juggle'):
        write_contact_sheet(whole[0], path, tags={'action': 'juggle'})


@pytest.mark.slow
def test_any_number_of_processes_makes_the_same_bytes(whole, tmp_path):
    make_simulated_dataset(tmp_path / 'two', RECIPE, processes=2, max_shard_bytes=30_000)
    for name in sorted(path.name for path in whole[0].iterdir()):
        assert (tmp_path / 'two' / name).read_bytes() == (whole[0] / name).read_bytes(), name
