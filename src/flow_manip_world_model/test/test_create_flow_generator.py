# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass
import re

import pytest

from flow_manip_core.errors import BackendError, ConfigurationError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_world_model.flow import create_flow_generator, FLOW_GENERATORS
from flow_manip_world_model.flow.rule_based import RuleBasedFlow
from flow_manip_world_model.video import VIDEO_GENERATORS


@pytest.fixture(scope='module')
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))


def test_a_generator_alone_is_built_from_the_block_under_its_name(context):
    parameters = {'backend': 'rule_based', 'rule_based': {'num_candidates': 2}, 'video': {'x': 1}}
    assert isinstance(create_flow_generator(parameters, context), RuleBasedFlow)
    with pytest.raises(ConfigurationError, match="num_candidates'"):
        create_flow_generator(
            {'backend': 'rule_based', 'rule_based': {'num_candidate': 2}}, context
        )


def test_a_generator_made_of_parts_is_given_their_blocks(context, monkeypatch):
    @dataclass(frozen=True)
    class Config:
        pass

    class Joined:
        PARTS = ('video', 'depth')

        def __init__(self, config, context, parts):
            self.parts = parts

    Joined.Config = Config
    monkeypatch.setattr(FLOW_GENERATORS, 'load', lambda name: Joined)
    built = create_flow_generator(
        {'backend': 'joined', 'video': {'backend': 'wan'}, 'selection': {'backend': 'geometric'}},
        context,
    )
    assert built.parts == {'video': {'backend': 'wan'}, 'depth': {}}


def test_an_unknown_generator_is_refused_with_the_nearest_name(context):
    with pytest.raises(BackendError, match="did you mean 'rule_based'"):
        create_flow_generator({'backend': 'rule_base'}, context)
    with pytest.raises(ConfigurationError, match="'backend' is missing"):
        create_flow_generator({}, context)


def test_the_tables_name_a_module_and_a_class_each():
    for path in (*VIDEO_GENERATORS.paths.values(), *FLOW_GENERATORS.paths.values()):
        assert re.fullmatch(r'[a-z_]+(\.[a-z_]+)+:[A-Z][A-Za-z]+', path)
