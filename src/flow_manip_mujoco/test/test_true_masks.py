# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.errors import (
    BackendError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_mujoco.segmentation import GroundTruthSegmenter
from flow_manip_mujoco.tasks import TASKS


@pytest.fixture(scope='module')
def segmenter(shared_cell):
    context = replace(shared_cell.context, simulation=shared_cell.state)
    return GroundTruthSegmenter(GroundTruthSegmenter.Config(), context)


def test_masks_are_the_true_ones_at_the_moment_of_asking(cell, segmenter):
    cell.reset(3, 'red_cube,pink_bowl+3')
    for name in ('red_cube', 'pink_bowl'):
        mask = segmenter.segment(cell.observe(), f'the {name.replace("_", " ")}')
        np.testing.assert_array_equal(mask.pixels, cell.object_mask(name).pixels)
    cell.data.joint('red_cube').qpos[:2] += 0.03
    mask = segmenter.segment(cell.observe(), 'red cube')
    np.testing.assert_array_equal(mask.pixels, cell.object_mask('red_cube').pixels)
    assert mask.label == 'red cube'


@pytest.mark.parametrize('name', ['open_top_drawer', 'put_screwdriver_in_toolbox', 'water_plant'])
def test_the_words_of_a_task_s_steps_name_their_bodies(cell, segmenter, name):
    trial = TASKS[name].make_trial(1)
    trial.reset(cell)
    for step in trial.steps:
        mask = segmenter.segment(cell.observe(), step.object)
        np.testing.assert_array_equal(mask.pixels, cell.true_mask(step.body).pixels)


def test_parts_stand_for_wholes_and_the_table_for_itself(cell, segmenter):
    TASKS['hang_mug'].make_trial(0).reset(cell)
    seen = cell.observe()
    peg = segmenter.segment(seen, 'peg of the mug tree')
    np.testing.assert_array_equal(peg.pixels, cell.true_mask('mug_tree').pixels)
    table = segmenter.segment(seen, 'table').pixels
    assert table.sum() > 50_000
    assert np.abs(seen.points_world()[table][:, 2]).max() < 0.05
    assert not (table & peg.pixels).any()


def test_what_is_not_there_not_one_thing_or_no_thing_is_refused(cell, segmenter):
    cell.reset(0, 'red_cube,blue_cube')
    seen = cell.observe()
    with pytest.raises(ObjectAbsentError, match="'red_cube'"):
        segmenter.segment(seen, 'banana')
    with pytest.raises(ObjectAmbiguousError):
        segmenter.segment(seen, 'cube')
    with pytest.raises(PhraseNotUnderstoodError):
        segmenter.segment(seen, 'the')
    cell.data.joint('red_cube').qpos[:3] = [0.0, 0.0, -5.0]
    with pytest.raises(ObjectAbsentError, match='0 pixels'):
        segmenter.segment(cell.observe(), 'red cube')


def test_what_is_in_view_is_told_in_words(cell, segmenter):
    TASKS['open_drawer'].make_trial(0).reset(cell)
    words = segmenter.describe(cell.observe())
    assert {'cabinet', 'cabinet drawer0'} <= set(words)
    assert all(spec.name.replace('_', ' ') in words for spec in cell.objects)


def test_it_needs_a_simulation(cell):
    with pytest.raises(BackendError, match='simulated cell'):
        GroundTruthSegmenter(GroundTruthSegmenter.Config(), cell.context)
