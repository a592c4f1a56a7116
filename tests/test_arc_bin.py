# SPDX-License-Identifier: Apache-2.0
"""A dry run on a real recording: from words to a plan for a bin that a depth camera saw.

The recording is no part of the project: it lies in ``../shared/data/arc_bin`` beside the checkout,
or in ``$FLOW_MANIP_DATA/arc_bin``.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from flow_manip_cameras.recording import RecordingCamera
from flow_manip_core.backends import create_backend, pipeline_parameters
from flow_manip_core.camera import project_from
from flow_manip_core.instruction import parse_instruction
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import invert_transform, transform_points
from flow_manip_perception.segmentation import SEGMENTERS
from flow_manip_planning.flow_planner import create_flow_planner
from flow_manip_planning.grasp import GRASP_PROPOSERS
from flow_manip_task.drawing import draw_flow, draw_flow_3d, draw_masks, draw_plan
from flow_manip_world_model.flow import FLOW_GENERATORS
from flow_manip_world_model.selection import SELECTORS

DEFAULT = Path(__file__).parents[2] / 'shared' / 'data'
DATA = Path(os.environ.get('FLOW_MANIP_DATA', DEFAULT)) / 'arc_bin'
INSTRUCTION = 'pick up the blue flashlight and put it next to the whisk'

# Where a person sees them in the image: left, top, right, bottom [px].
FLASHLIGHT = (272, 297, 352, 332)
WHISK = (300, 92, 425, 297)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f'no recording at {DATA}')


@pytest.fixture(scope='module')
def context():
    return Context(load_robot('franka'), load_rig('arc_bin'))


@pytest.fixture(scope='module')
def parameters():
    return pipeline_parameters('default', 'franka')


@pytest.fixture(scope='module')
def observation(context):
    camera = RecordingCamera(RecordingCamera.Config(path=str(DATA)), context)
    return next(camera.frames())


@pytest.fixture(scope='module')
def masks(context, parameters, observation):
    segmenter = create_backend(SEGMENTERS, parameters['segmentation_node'], context)
    words = parse_instruction(INSTRUCTION)
    return [segmenter.segment(observation, p) for p in (words.object, *words.references)]


@pytest.fixture(scope='module')
def flow(context, parameters, observation, masks):
    world_model = dict(parameters['world_model_node'])
    selector = create_backend(SELECTORS, world_model.pop('selection'), context)
    generator = create_backend(FLOW_GENERATORS, world_model, context)
    candidates = generator.generate(observation, INSTRUCTION, masks, seed=0)
    return candidates[selector.rank(observation, INSTRUCTION, masks[0], candidates).best]


@pytest.fixture(scope='module')
def grasp_proposer(context, parameters):
    return create_backend(GRASP_PROPOSERS, parameters['planning_node']['grasp'], context)


@pytest.fixture(scope='module')
def plan(context, parameters, observation, masks, flow, grasp_proposer):
    values = {k: v for k, v in parameters['planning_node'].items() if k != 'grasp'}
    planner = create_flow_planner(values, context, grasp_proposer)
    return planner.plan(observation, masks[0], flow, seed=0)


def box_mask(box, shape):
    mask = np.zeros(shape, dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_depth_counts_are_tenths_of_a_millimetre(observation):
    floor = observation.points_world()[150:280, 200:300]
    # The bin stands at z = -0.22 m of the recorder's robot, give or take its floor.
    assert -0.30 < np.nanmedian(floor[..., 2]) < -0.22
    assert 0.6 < np.nanmedian(observation.depth) < 1.0


def test_the_mask_lies_on_the_flashlight(masks):
    pixels = masks[0].pixels
    inside = box_mask(FLASHLIGHT, pixels.shape)
    assert (pixels & inside).sum() > 0.95 * pixels.sum()
    x, y, width, height = masks[0].box
    box = box_mask((x, y, x + width, y + height), pixels.shape)
    assert overlap(box, inside) > 0.85
    # It fills its tilted shape: neither a speck nor the box.
    assert 0.5 < pixels.sum() / inside.sum() < 0.9


def test_the_whisk_is_told_from_the_other_red_things(masks):
    pixels = masks[1].pixels
    assert (pixels & box_mask(WHISK, pixels.shape)).sum() > 0.95 * pixels.sum()
    # Handle and wires are one thing.
    assert pixels[220:290].sum() > 500
    assert pixels[130:210].sum() > 300


def test_the_flow_begins_on_the_flashlight(observation, masks, flow, context):
    assert flow.frame_id == context.rig.frame_id
    start = project_from(observation.camera, observation.T_world_camera, flow.points[0])
    columns, rows = np.rint(start[flow.visible[0]]).astype(int).T
    near = cv2.dilate(masks[0].pixels.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert near[rows, columns].mean() > 0.95


def test_the_flow_is_rigid_and_ends_next_to_the_whisk(observation, masks, flow):
    transforms, residuals = fit_flow_transforms(flow)
    assert residuals.max() < 0.002
    moved = transform_points(transforms[-1], masks[0].points(observation))
    whisk = masks[1].points(observation)
    gaps = np.linalg.norm(moved[:, None, :2] - whisk[None, :, :2], axis=-1)
    # Beside it: not on it, and no farther than a hand's width.
    assert 0.005 < gaps.min() < 0.10
    assert np.linalg.norm(transforms[-1][:3, 3]) > 0.03


def test_the_flow_ends_on_the_floor_within_the_walls(observation, masks, flow, context):
    transforms, _ = fit_flow_transforms(flow)
    before = masks[0].points(observation)
    after = transform_points(transforms[-1], before)
    assert context.rig.workspace.contains(after).all()
    points = observation.points_world()
    distance = np.linalg.norm(points[..., :2] - np.median(after[:, :2], axis=0), axis=-1)
    floor = np.nanmedian(points[distance < 0.03][:, 2])
    # As high above the floor there as the flashlight was where it lay; the floor is not level.
    assert -0.005 < np.percentile(after[:, 2], 5) - floor < 0.025


def test_the_flow_lifts_the_flashlight_off_the_floor(flow):
    height = np.median(flow.points[..., 2], axis=1)
    assert height.max() > max(height[0], height[-1]) + 0.02


def test_grasps_close_around_the_flashlight(observation, masks, grasp_proposer, context):
    grasps = grasp_proposer.propose(observation, masks[0], seed=0)
    assert grasps
    points = masks[0].points(observation)
    for grasp in grasps:
        assert 0.01 < grasp.width < context.robot.gripper.max_width
        x, y, z = transform_points(invert_transform(grasp.T_world_tcp), points).T
        between = (np.abs(x) < 0.011) & (np.abs(y) < grasp.width / 2 + 0.01) & (np.abs(z) < 0.03)
        assert between.sum() > 20


def test_the_plan_carries_the_flashlight_along_the_flow(plan, flow, context):
    names = [segment.name for segment in plan.segments]
    assert names.index('grasp') < names.index('follow') < names.index('release')
    transforms, _ = fit_flow_transforms(flow)
    np.testing.assert_allclose(plan.object_poses[-1], transforms[-1], atol=0.005)
    home = np.array(context.robot.home)
    first = next(s.trajectory for s in plan.segments if s.trajectory is not None)
    # Nobody saw a robot in the recording: the plan starts at home.
    np.testing.assert_allclose(first.positions[0], home, atol=1e-3)
    for segment in plan.segments:
        if segment.trajectory is not None:
            limit = np.array(context.robot.max_velocity)
            assert (np.abs(segment.trajectory.velocities) <= limit * 1.001).all()


def test_every_stage_can_be_looked_at(tmp_path, observation, masks, flow, plan):
    pictures = {
        'mask': draw_masks(observation, masks, INSTRUCTION),
        'flow': draw_flow(observation, flow, masks[0], INSTRUCTION),
        'flow_3d': draw_flow_3d(observation, flow, INSTRUCTION),
        'plan': draw_plan(observation, plan, masks[0], INSTRUCTION),
    }
    for name, picture in pictures.items():
        path = tmp_path / f'{name}.png'
        assert cv2.imwrite(str(path), picture[..., ::-1])
        again = cv2.imread(str(path))
        assert again.shape == picture.shape
        assert again.std() > 10
