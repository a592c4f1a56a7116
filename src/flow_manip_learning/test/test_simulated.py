# SPDX-License-Identifier: Apache-2.0
"""Simulated samples: what is drawn, said and carried along belongs together."""

from dataclasses import replace

import numpy as np
import pytest

from flow_manip_core.camera import project_from
from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.rigid import fit_rigid_transform
from flow_manip_learning.dataset import encode_sample
from flow_manip_learning.simulated import SimulatedConfig, SimulatedSource
from flow_manip_learning.simulated.canvas import Canvas
from flow_manip_learning.simulated.config import FIRST_TRAIN_SEED
from flow_manip_learning.simulated.exact_flow import choose_pixels, visible
from flow_manip_learning.simulated.looks import Surface, View
from flow_manip_mujoco.cell import SimulatedCell

SMALL = SimulatedConfig(
    width=160, height=120, views=6, min_pixels=20, points=96, tasks=0.5, other_deeds=0.5
)


@pytest.fixture(scope='module')
def source():
    source = SimulatedSource(SMALL, seed=11)
    yield source
    source.close()


@pytest.fixture(scope='module')
def samples(source):
    return [sample for number in range(4) for sample in source.scene_samples(number)]


def test_most_views_become_samples_of_the_asked_sizes(samples):
    assert len(samples) >= 16
    for sample in samples:
        assert sample.color.shape == (120, 160, 3)
        assert sample.flow.num_steps == 16
        assert 4 <= sample.flow.num_points <= 96
        assert sample.mask.sum() >= 20
        assert int(sample.tags['seed']) >= FIRST_TRAIN_SEED
    assert len({sample.key for sample in samples}) == len(samples)


def test_points_start_on_the_surface_that_the_picture_shows(samples):
    for sample in samples:
        if sample.tags['depth'] == 'noisy':
            continue
        uv = project_from(sample.camera, sample.T_world_camera, sample.flow.points[0])
        u, v = np.rint(uv).astype(int).T
        assert sample.mask[v, u].all()
        assert np.abs(uv - np.rint(uv)).max() < 1e-2
        there = sample.observation.points_world()[v, u]
        assert np.abs(there - sample.flow.points[0]).max() < 1e-4


def test_every_flow_is_one_rigid_motion_that_begins_where_it_is(samples):
    for sample in samples:
        points = sample.flow.points.astype(np.float64)
        for step in (5, 15):
            T = fit_rigid_transform(points[0], points[step])
            moved = points[0] @ T[:3, :3].T + T[:3, 3]
            assert np.abs(moved - points[step]).max() < 1e-4
        assert np.linalg.norm(points - points[0], axis=-1).max() > 0.02
        assert sample.flow.confidence[0].all()


def test_a_scene_is_decided_by_its_number_alone(source, samples):
    """Whatever was drawn before: files are compared byte for byte."""
    again = source.scene_samples(1)
    before = [s for s in samples if s.key.split('-')[2] == '0000001']
    assert len(again) == len(before) > 0
    for a, b in zip(again, before):
        assert encode_sample(a).files == encode_sample(b).files


def test_words_name_the_colour_that_the_picture_shows(samples):
    """The mean hue of the mask is near that of the word, for the strongest colours."""
    import cv2

    hues = {'red': 0, 'green': 62, 'blue': 112, 'yellow': 25, 'purple': 140}
    checked = 0
    for sample in samples:
        word = sample.flow.object.split()[0]
        if word not in hues:
            continue
        hsv = cv2.cvtColor(sample.color, cv2.COLOR_RGB2HSV)[sample.mask]
        angle = 2 * np.pi * hsv[:, 0] / 180.0
        mean = np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) * 180.0 / (2 * np.pi)
        off = abs((mean - hues[word] + 90) % 180 - 90)
        assert off < 16, f'{sample.instruction}: hue {mean:.0f}'
        checked += 1
    assert checked >= 3


def test_left_and_right_are_meant_as_the_picture_shows_them(source, samples):
    """Pushes in the scenes of the fixture, from many cameras."""
    signs = {'left': (0, -1), 'right': (0, 1), 'away': (1, -1), 'towards': (1, 1)}
    checked = 0
    for sample in samples:
        if sample.tags['relation'] not in signs or sample.tags['action'] != 'push':
            continue
        axis, sign = signs[sample.tags['relation']]
        ends = sample.flow.points[[0, -1]].mean(axis=1)
        uv = project_from(sample.camera, sample.T_world_camera, ends)
        assert sign * (uv[1] - uv[0])[axis] > 0, sample.instruction
        checked += 1
    assert checked >= 2


def test_test_scenes_hold_out_what_their_tag_says():
    source = SimulatedSource(replace(SMALL, views=2), seed=1, split='test')
    try:
        for number, axis in ((1, 'phrasing'), (3, 'objects'), (4, 'camera')):
            found = source.scene_samples(number)
            for sample in found:
                tags = sample.tags
                assert tags['axis'] == axis
                held = [n for n in ('phrasing', 'objects', 'camera') if tags[n] == 'held_out']
                assert held == [axis]
                assert int(tags['seed']) < FIRST_TRAIN_SEED
    finally:
        source.close()


def test_there_are_two_splits():
    with pytest.raises(ConfigurationError, match='validation'):
        SimulatedSource(split='validation')


@pytest.mark.parametrize('changes', [{'width': 0}, {'steps': 1}, {'tasks': 1.5}, {'points': 2}])
def test_a_configuration_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ConfigurationError):
        SimulatedConfig(**changes)


# ------------------------------------------------------------------ the parts


def test_a_canvas_gives_the_cell_back_as_it_was():
    cell = SimulatedCell()
    cell.reset(3, 'red_cube,white_plate')
    names = ('geom_rgba', 'geom_group', 'mat_rgba', 'tex_data', 'light_dir', 'cam_intrinsic')
    before = {name: getattr(cell.model, name).copy() for name in names}
    picture = cell.picture()
    canvas = Canvas(640, 480)
    try:
        canvas.take(cell)
        canvas.look_from(View(cell.camera_model, cell.T_world_camera, 'rig'))
        canvas.show(robot=False)
        canvas.paint({'red_cube': (0.0, 1.0, 0.0)}, cell)
        pattern = np.full((256, 256, 3), [0, 0, 200], np.uint8)
        canvas.cover({'table': Surface(pattern, np.ones(3), 'flat')})
        drawn = canvas.picture()[0]
        mask = canvas.bodies() == canvas.number_of('red_cube')
        assert drawn[mask][:, 1].mean() > 2 * drawn[mask][:, 0].mean()
        table = canvas.bodies() == cell.model.body('room').id
        assert drawn[table][:, 2].mean() > 2 * drawn[table][:, 0].mean()
        canvas.release()
        for name, values in before.items():
            assert np.array_equal(getattr(cell.model, name), values), name
        assert np.array_equal(cell.picture(), picture)
    finally:
        canvas.close()
        cell.close()


def test_what_is_behind_something_is_not_visible():
    camera = View(camera=_square_camera(), T_world_camera=np.eye(4), kind='rig')
    depth = np.full((64, 64), 1.0, np.float32)
    depth[:, :20] = 0.5  # something nearer covers the left
    points = np.array(
        [
            [0.1, 0.0, 1.0],  # on the wall
            [0.1, 0.0, 1.02],  # in the wall
            [0.1, 0.0, 0.9],  # before it, not drawn there
            [-0.25, 0.0, 1.0],  # covered
            [5.0, 0.0, 1.0],  # outside the picture
            [0.0, 0.0, -1.0],  # behind the camera
        ],
        np.float32,
    )
    assert visible(camera, depth, points).tolist() == [True, False, False, False, False, False]
    nothing = np.full((64, 64), np.nan, np.float32)
    assert not visible(camera, nothing, points).any()


def test_points_are_spread_over_the_whole_mask():
    mask = np.zeros((60, 80), bool)
    mask[10:50, 20:70] = True
    depth = np.ones((60, 80), np.float32)
    depth[10:20] = np.nan
    pixels = choose_pixels(mask, depth, 50, np.random.default_rng(0))
    assert pixels.shape == (50, 2)
    assert len(np.unique(pixels, axis=0)) == 50
    assert (pixels[:, 1] >= 20).all()  # where depth is known
    # Every quarter of the region has its share.
    left, top = pixels[:, 0] < 45, pixels[:, 1] < 35
    counts = [int((a & b).sum()) for a in (left, ~left) for b in (top, ~top)]
    assert min(counts) >= 8
    assert len(choose_pixels(mask, depth, 5000, np.random.default_rng(0))) == 30 * 50


def _square_camera():
    from flow_manip_core.camera import CameraModel

    return CameraModel(64, 64, 64.0, 64.0, 31.5, 31.5)


def test_a_recipe_needs_samples():
    from flow_manip_learning.simulated import SimulatedRecipe

    with pytest.raises(InvalidInputError):
        SimulatedRecipe(0)
