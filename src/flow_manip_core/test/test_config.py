# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass, field

import pytest

from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.config import from_mapping, load_yaml
from flow_manip_core.errors import (
    BackendError,
    ConfigurationError,
    error_classes,
    error_from_code,
    UnknownPipelineError,
)
from flow_manip_core.registry import Registry
from flow_manip_core.robot import Context, load_rig, load_robot


@dataclass(frozen=True)
class Inner:
    size: tuple[float, float] = (1.0, 2.0)


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 3
    ratio: float = 0.5
    inner: Inner = field(default_factory=Inner)


class Backend:
    Config = Inner

    def __init__(self, config, context):
        self.config = config


BACKENDS = Registry('toy', {'sensor': 'fractions:Fraction', 'gone': 'no_such_module_here:X'})


def test_nested_values_are_converted():
    config = from_mapping(Outer, {'name': 'a', 'ratio': 1, 'inner': {'size': [3, 4]}})
    assert config == Outer('a', 3, 1.0, Inner((3.0, 4.0)))
    assert isinstance(config.ratio, float)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'name': 'a', 'ration': 1.0}, "unknown key 'ration'; did you mean 'ratio'"),
        ({}, "'name' is required"),
        ({'name': 3}, 'expected str'),
        ({'name': 'a', 'count': 1.5}, 'expected int'),
        ({'name': 'a', 'count': True}, 'expected int'),
        ({'name': 'a', 'inner': {'size': [1]}}, 'expected 2 values'),
        ({'name': 'a', 'inner': 3}, 'expected a mapping'),
    ],
)
def test_wrong_configuration_is_refused_by_name(values, message):
    with pytest.raises(ConfigurationError, match=message):
        from_mapping(Outer, values)


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_text('- 1\n')
    with pytest.raises(ConfigurationError, match='expected a mapping'):
        load_yaml(path)


def test_yaml_cannot_build_objects(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_text('a: !!python/object/apply:os.getcwd []\n')
    with pytest.raises(ConfigurationError):
        load_yaml(path)


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(BackendError, match="did you mean 'sensor'"):
        BACKENDS.load('sensro')


def test_a_missing_package_is_a_backend_error():
    with pytest.raises(BackendError, match='no_such_module_here'):
        BACKENDS.load('gone')


def test_a_missing_known_package_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'viser', None)
    with pytest.raises(BackendError, match='pip install viser'):
        Registry('view', {'v': 'viser:ViserServer'}).load('v')


def test_a_package_that_is_missing_when_a_backend_is_built_is_answered_the_same(monkeypatch):
    class Heavy:
        Config = Backend.Config

        def __init__(self, config, context):
            import viser  # noqa: F401

    monkeypatch.setitem(__import__('sys').modules, 'viser', None)
    registry = Registry('toy', {})
    monkeypatch.setattr(registry, 'load', {'heavy': Heavy}.get)
    context = Context(load_robot('franka'), load_rig('tabletop'))
    with pytest.raises(BackendError, match=r"toy backend 'heavy'.*pip install viser"):
        create_backend(registry, {'backend': 'heavy'}, context)


def test_a_path_needs_no_registration():
    assert BACKENDS.load('fractions:Fraction').__name__ == 'Fraction'


def test_a_backend_gets_the_parameters_under_its_name(monkeypatch):
    context = Context(load_robot('franka'), load_rig('tabletop'))
    registry = Registry('toy', {})
    monkeypatch.setattr(registry, 'load', {'plain': Backend}.get)
    backend = create_backend(registry, {'backend': 'plain', 'plain': {'size': [1, 1]}}, context)
    assert backend.config.size == (1.0, 1.0)
    with pytest.raises(ConfigurationError, match='unknown key'):
        create_backend(registry, {'backend': 'plain', 'plain': {'sice': [1, 1]}}, context)


def test_the_shipped_pipeline_names_every_stage():
    parameters = pipeline_parameters('default', 'franka')
    assert parameters['segmentation_node']['backend'] == 'tabletop'
    assert parameters['world_model_node']['selection']['backend'] == 'geometric'


def test_an_unknown_pipeline_is_answered_with_the_known_ones():
    with pytest.raises(UnknownPipelineError, match='default'):
        pipeline_parameters('defualt', 'franka')


def test_every_code_has_one_class_and_a_name():
    classes = error_classes()
    names = [cls.name for cls in classes.values()]
    assert len(names) == len(set(names)) == len(classes)
    for code, cls in classes.items():
        assert type(error_from_code(code, 'why')) is cls


def test_a_code_that_nobody_knows_is_kept():
    error = error_from_code(777, 'why')
    assert (error.code, str(error)) == (777, 'why')
