# SPDX-License-Identifier: Apache-2.0
"""Every shipped configuration file is understood down to its last key."""

from pathlib import Path

import pytest

from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.config import from_mapping, load_yaml
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_perception.depth import DEPTH_ESTIMATORS
from flow_manip_perception.segmentation import SEGMENTERS
from flow_manip_perception.tracking import TRACKERS
from flow_manip_planning.flow_planner import FLOW_PLANNERS
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_world_model.flow import create_flow_generator, FLOW_GENERATORS
from flow_manip_world_model.selection import SELECTORS
from flow_manip_world_model.video import VIDEO_GENERATORS

CONFIG = Path(__file__).parents[1] / 'config'
ROBOTS = sorted(p.parent.name for p in CONFIG.glob('robots/*/robot.yaml'))
RIGS = sorted(p.stem for p in CONFIG.glob('rigs/*.yaml'))
PIPELINES = sorted(p.stem for p in CONFIG.glob('pipelines/*.yaml'))
NODES = {
    'simulation_node',
    'recording_node',
    'realsense_node',
    'segmentation_node',
    'world_model_node',
    'planning_node',
    'control_node',
    'task_node',
    'viewer_node',
}
# Where a node's backends stand among its parameters.
BACKENDS = [
    ('segmentation_node', (), SEGMENTERS),
    ('world_model_node', ('selection',), SELECTORS),
    ('planning_node', ('grasp',), GRASP_PROPOSERS),
]
# Tables whose backends' blocks may wait in a file while another backend is chosen.
WAITING = [
    *BACKENDS,
    ('world_model_node', (), FLOW_GENERATORS),
    ('world_model_node', ('video',), VIDEO_GENERATORS),
    ('world_model_node', ('depth',), DEPTH_ESTIMATORS),
    ('world_model_node', ('tracking',), TRACKERS),
]


@pytest.fixture(autouse=True)
def use_this_checkout(monkeypatch):
    monkeypatch.setenv('FLOW_MANIP_CONFIG', str(CONFIG))


@pytest.mark.parametrize('name', ROBOTS)
def test_a_robots_files_are_there(name):
    robot = load_robot(name)
    assert (robot.folder / robot.urdf).is_file()
    assert (robot.folder / robot.srdf).is_file()


@pytest.mark.parametrize('name', RIGS)
def test_a_rig_is_complete(name):
    rig = load_rig(name)
    assert all(low < high for low, high in zip(rig.workspace.lower, rig.workspace.upper))


@pytest.mark.parametrize('pipeline', PIPELINES)
def test_parameter_files_address_nodes_that_exist(pipeline):
    assert set(pipeline_parameters(pipeline, 'franka')) <= NODES
    for key in load_yaml(CONFIG / 'pipelines' / f'{pipeline}.yaml'):
        assert key.startswith('/**/'), f'{key} stops applying under a namespace'


@pytest.mark.parametrize('pipeline', PIPELINES)
@pytest.mark.parametrize(
    ('node', 'path', 'registry'), BACKENDS, ids=lambda v: getattr(v, 'kind', None)
)
def test_a_pipelines_backends_take_their_parameters(pipeline, node, path, registry):
    parameters = pipeline_parameters(pipeline, 'franka')[node]
    for key in path:
        parameters = parameters[key]
    context = Context(load_robot('franka'), load_rig('tabletop'))
    assert create_backend(registry, parameters, context) is not None


@pytest.mark.parametrize('pipeline', PIPELINES)
def test_a_pipelines_flow_generator_and_its_parts_take_their_parameters(pipeline):
    parameters = pipeline_parameters(pipeline, 'franka')['world_model_node']
    context = Context(load_robot('franka'), load_rig('tabletop'), simulation=lambda: '{}')
    assert create_flow_generator(parameters, context) is not None


@pytest.mark.parametrize('pipeline', PIPELINES)
@pytest.mark.parametrize(
    ('node', 'path', 'registry'), WAITING, ids=lambda v: getattr(v, 'kind', None)
)
def test_blocks_of_backends_that_wait_are_understood_too(pipeline, node, path, registry):
    parameters = pipeline_parameters(pipeline, 'franka')[node]
    for key in path:
        parameters = parameters.get(key, {})
    known = {'robot', 'rig', 'backend', 'selection', 'video', 'depth', 'tracking', 'lifting'}
    known |= {'grasp', 'motion_planner', 'recovery'}
    for name, values in parameters.items():
        if name in registry.paths:
            from_mapping(registry.load(name).Config, values, where=name)
        else:
            assert name in known, f'{name} is no {registry.kind} backend'


@pytest.mark.parametrize('pipeline', PIPELINES)
def test_a_pipelines_planner_exists(pipeline):
    assert FLOW_PLANNERS.load(pipeline_parameters(pipeline, 'franka')['planning_node']['backend'])
