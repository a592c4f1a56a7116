# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

from learning_samples import make_sample
import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError


def test_a_sample_gives_the_observation_a_generator_is_asked_with():
    sample = make_sample()
    assert sample.observation.color is sample.color
    assert sample.object_mask.label == 'red cube'
    assert sample.observation.points_world().shape == (*sample.mask.shape, 3)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'key': 'a.b'}, 'key'),
        ({'key': ''}, 'key'),
        ({'key': '../a'}, 'key'),
        ({'source': 'dreamt'}, 'source'),
        ({'licence': ''}, 'licence'),
        ({'instruction': 'x' * 501}, '500'),
        ({'tags': {'seed': 3}}, 'tags'),
        ({'mask': np.zeros((24, 32), bool)}, 'empty'),
        ({'mask': np.ones((32, 24), bool)}, 'expected'),
        ({'mask': np.ones((24, 32), np.uint8)}, 'bool'),
        ({'depth': np.ones((24, 32))}, 'float32'),
        ({'T_world_camera': 2 * np.eye(4)}, 'rigid'),
    ],
)
def test_what_does_not_belong_together_is_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        replace(make_sample(), **changes)


def test_a_flow_needs_two_steps_and_the_world_frame():
    sample = make_sample()
    with pytest.raises(InvalidInputError, match='1 steps'):
        flow = replace(
            sample.flow,
            points=sample.flow.points[:1],
            confidence=sample.flow.confidence[:1],
            times=sample.flow.times[:1],
        )
        replace(sample, flow=flow)
    with pytest.raises(InvalidInputError, match='camera'):
        replace(sample, flow=sample.flow.in_frame('camera', np.eye(4)))
