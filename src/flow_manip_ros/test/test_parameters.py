# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass, field

import pytest
from rclpy.parameter import Parameter

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.registry import Registry
from flow_manip_ros.nodes import PlainNode

pytestmark = pytest.mark.ros


@dataclass(frozen=True)
class Config:
    size: tuple[float, float] = (1.0, 2.0)
    ratio: float = field(default=0.5, metadata={'doc': 'A share'})


class Backend:
    Config = Config

    def __init__(self, config, context):
        self.config = config


@pytest.fixture
def make(ros):
    def make_node(**values):
        overrides = [
            Parameter(name.replace('__', '.'), value=value) for name, value in values.items()
        ]
        return ros.add(PlainNode('node', context=ros.context, parameter_overrides=overrides))

    return make_node


def test_a_dataclass_becomes_described_read_only_parameters(make):
    node = make(block__ratio=0.75)
    assert node.parameters.dataclass(Config, 'block.') == Config(ratio=0.75)
    node.parameters.check()
    assert node.get_parameter('block.size').value == [1.0, 2.0]
    descriptor = node.describe_parameter('block.ratio')
    assert descriptor.description == 'A share'
    assert descriptor.read_only


def test_an_integer_in_yaml_may_stand_for_a_float(make):
    node = make(block__ratio=1)
    assert node.parameters.dataclass(Config, 'block.').ratio == 1.0


def test_a_misspelt_key_of_a_block_is_refused(make):
    node = make(block__ration=0.75)
    with pytest.raises(ConfigurationError, match="did you mean 'ratio'"):
        node.parameters.dataclass(Config, 'block.')


def test_a_key_that_nobody_declared_is_refused(make):
    node = make(sede=3)
    node.parameters.value('seed', 0, 'Of everything')
    with pytest.raises(ConfigurationError, match="unknown parameter 'sede'; did you mean 'seed'"):
        node.parameters.check()


def test_a_value_of_the_wrong_type_is_refused(make):
    node = make(seed='many')
    with pytest.raises(ConfigurationError, match='expected int'):
        node.parameters.value('seed', 0, 'Of everything')


def test_blocks_of_backends_that_were_not_chosen_may_stay(make, monkeypatch):
    registry = Registry('toy', {'plain': 'x:Y', 'other': 'x:Z'})
    monkeypatch.setattr(registry, 'load', {'plain': Backend}.get)
    node = make(backend='plain', plain__ratio=0.25, other__anything=1)
    backend = node.parameters.backend(registry, 'plain', None)
    node.parameters.check()
    assert backend.config.ratio == 0.25


def test_a_block_can_be_taken_as_it_was_given(make):
    node = make(video__backend='veo', video__veo__seconds=8, other=1)
    assert node.parameters.mapping('video.') == {'backend': 'veo', 'veo': {'seconds': 8}}
    assert node.get_parameter('video.veo.seconds').value == 8
    assert node.parameters.mapping('depth.') == {}
    with pytest.raises(ConfigurationError, match="'other'"):
        node.parameters.check()


def test_a_dataclass_at_the_top_level_leaves_declared_parameters_alone(make):
    node = make(rig='tabletop', ratio=0.75)
    node.parameters.value('rig', 'other', 'A file')
    assert node.parameters.dataclass(Config) == Config(ratio=0.75)
    node.parameters.check()
