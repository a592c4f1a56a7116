# SPDX-License-Identifier: Apache-2.0
"""The CPU profiles of NovaFlow and Dream2Flow: from words to a chosen flow, against the truth."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.errors import ImplausibleVideoError
from flow_manip_core.instruction import parse_instruction
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.video.failures import FailureWeights
from flow_manip_perception.segmentation import SEGMENTERS
from flow_manip_world_model.flow import create_flow_generator
from flow_manip_world_model.selection import SELECTORS

CONFIG = Path(__file__).parents[1] / 'config'
INSTRUCTION = 'put the red cube on the white plate'

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def context():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('FLOW_MANIP_CONFIG', str(CONFIG))
        yield Context(load_robot('franka'), load_rig('tabletop'))


@pytest.fixture(scope='module')
def cell(context):
    cell = SimulatedCell(context)
    cell.reset(seed=3, scene='red_cube,white_plate+3')
    yield cell
    cell.close()


@pytest.fixture(scope='module')
def seen(cell, context):
    observation = cell.observe()
    segmenter = create_backend(SEGMENTERS, {'backend': 'tabletop'}, context)
    words = parse_instruction(INSTRUCTION)
    return observation, [
        segmenter.segment(observation, p) for p in (words.object, *words.references)
    ]


def dream_of(pipeline, context, cell, **simulated):
    """Return the pipeline's generator, drawing such videos."""
    parameters = pipeline_parameters(pipeline, 'franka')['world_model_node']
    parameters['video']['simulated'] = simulated
    world = Context(context.robot, context.rig, simulation=cell.state)
    return create_flow_generator(parameters, world), parameters


@pytest.mark.parametrize('pipeline', ['novaflow', 'dream2flow'])
def test_a_good_dream_is_the_truth_within_a_centimetre_and_is_chosen(
    pipeline, context, cell, seen
):
    observation, masks = seen
    generator, parameters = dream_of(pipeline, context, cell, good_rate=1.0)
    truths = {}
    generator.on_dream = lambda number, video, lifted: truths.update(
        {number: (generator._videos.truth(video), lifted)}
    )
    flows = generator.generate(observation, INSTRUCTION, masks, num_candidates=2, seed=5)
    assert len(flows) == 2
    for number, (truth, lifted) in truths.items():
        assert truth.is_good
        assert lifted.seconds.keys() >= {'depth', 'calibration', 'tracking', 'lifting'}
        flow = flows[number]
        true = truth.carry(flow.points[0], flow.times)
        error = np.linalg.norm(flow.points - true, axis=-1)[flow.visible]
        assert np.median(error) < 0.01
        assert flow.source == f'dream of simulated, seed {5 + number}'
    selector = create_backend(SELECTORS, parameters['selection'], context)
    ranking = selector.rank(observation, INSTRUCTION, masks[0], flows)
    assert set(ranking.order) == {0, 1}


def test_jump_cuts_are_dropped_before_anything_is_lifted(context, cell, seen):
    observation, masks = seen
    failures = dict.fromkeys((f.name for f in fields(FailureWeights)), 0.0) | {'jump_cut': 1.0}
    generator, _ = dream_of('novaflow', context, cell, good_rate=0.0, failures=failures)
    dropped = {}
    with pytest.raises(ImplausibleVideoError, match='3 VIDEO'):
        generator.generate(
            observation,
            INSTRUCTION,
            masks,
            num_candidates=3,
            seed=8,
            on_dropped=dropped.__setitem__,
        )
    assert len(dropped) == 3
    assert all('the video cuts at frame' in str(error) for error in dropped.values())
