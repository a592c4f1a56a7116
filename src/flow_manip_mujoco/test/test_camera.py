# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from flow_manip_core.camera import project_from
from flow_manip_core.errors import BackendError
from flow_manip_core.robot import PoseConfig
from flow_manip_core.transforms import transform_distance, transform_points
from flow_manip_mujoco.camera import add_depth_noise, DepthNoiseConfig
from flow_manip_mujoco.camera.noise import depth_edges
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.cell_config import CellConfig, RandomisationConfig
from flow_manip_mujoco.layout import Scene
from flow_manip_mujoco.objects import CATALOGUE


def test_balls_appear_where_the_camera_model_projects_them(cell):
    places = {
        'orange_ball': (0.40, -0.25, 0.0),
        'purple_ball': (0.55, 0.2, 0.0),
        'yellow_ball': (0.65, 0.0, 0.0),
    }
    cell.reset(0, Scene(tuple(places), 0, places))
    seen = cell.observe()
    for name in places:
        centre = transform_points(cell.object_pose(name), [0.0, 0.0, 0.028])
        rows, columns = np.nonzero(cell.object_mask(name).pixels)
        pixel = project_from(seen.camera, seen.T_world_camera, centre)
        # A sphere's outline is centred a little off its centre's image: half a pixel here.
        np.testing.assert_allclose([columns.mean(), rows.mean()], pixel, atol=0.6)


def test_depth_lifts_every_pixel_of_an_object_onto_its_surface(cell):
    cell.reset(2, 'red_cube,orange_ball')
    seen = cell.observe()
    ball = cell.object_mask('orange_ball').points(seen)
    centre = transform_points(cell.object_pose('orange_ball'), [0.0, 0.0, 0.028])
    assert np.abs(np.linalg.norm(ball - centre, axis=1) - 0.028).max() < 5e-4
    cube = np.linalg.inv(cell.object_pose('red_cube'))
    local = transform_points(cube, cell.object_mask('red_cube').points(seen))
    local[:, 2] -= 0.0225
    assert np.abs(np.abs(local).max(axis=1) - 0.0225).max() < 5e-4


def test_the_table_top_lies_at_zero(cell):
    points = cell.observe().points_world()
    patch = points[300:420, 200:440].reshape(-1, 3)
    assert np.abs(patch[:, 2]).max() < 1e-3


def test_a_camera_that_is_moved_by_the_seed_says_where_it_is():
    moved = RandomisationConfig(camera_position=0.02, camera_rotation=0.02)
    cell = SimulatedCell(config=CellConfig(randomisation=moved))
    poses = []
    for seed in (1, 2):
        cell.reset(seed, Scene(('purple_ball',), 0, {'purple_ball': (0.5, 0.1, 0.0)}))
        seen = cell.observe()
        ball = cell.object_mask('purple_ball').points(seen) - [0.5, 0.1, 0.028]
        assert np.abs(np.linalg.norm(ball, axis=1) - 0.028).max() < 1e-3
        poses.append(seen.T_world_camera)
    in_rig = cell.context.rig.camera.pose.matrix
    cell.close()
    for a, b in ((poses[0], poses[1]), (poses[0], in_rig)):
        metres, radians = transform_distance(a, b)
        assert 0.005 < metres < 0.15
        assert 0.003 < radians < 0.15


def test_light_changes_with_the_seed_and_nothing_of_it_stays(cell):
    places = Scene(('red_cube',), 0, {'red_cube': (0.5, 0.0, 0.0)})
    pictures = []
    for seed in (1, 2, 1):
        cell.reset(seed, places)
        pictures.append(cell.picture().astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() > 3
    assert np.array_equal(pictures[0], pictures[2])


def test_depth_is_unknown_in_the_sky_and_known_everywhere_else(cell):
    depth = cell.observe().depth
    assert depth.dtype == np.float32
    assert np.isfinite(depth).all()  # looking down, the floor is everywhere
    rig = cell.context.rig
    level = PoseConfig(rig.camera.pose.translation, (0.5, 0.5, -0.5, -0.5))
    rig = replace(rig, camera=replace(rig.camera, pose=level))
    other = SimulatedCell(replace(cell.context, rig=rig))
    depth = other.observe().depth
    other.close()
    assert np.isnan(depth[:200, :200]).all()
    assert np.isfinite(depth[-50:]).all()


def test_hollow_things_are_drawn_as_deep_as_they_are(cell):
    cell.reset(0, Scene(('pink_bowl',), 0, {'pink_bowl': (0.5, 0.0, 0.0)}))
    seen = cell.observe()
    local = cell.object_mask('pink_bowl').points(seen) - cell.object_pose('pink_bowl')[:3, 3]
    inside = local[np.hypot(local[:, 0], local[:, 1]) < 0.03]
    assert len(inside) > 50
    assert np.abs(inside[:, 2] - CATALOGUE['pink_bowl'].floor).max() < 1e-3
    assert local[:, 2].max() == pytest.approx(0.05, abs=1e-3)


def test_a_mask_covers_the_colour_of_its_object_only(cell):
    cell.reset(4, 'red_cube,blue_cube')
    color = cell.picture().astype(int)
    red, blue = cell.object_mask('red_cube').pixels, cell.object_mask('blue_cube').pixels
    assert not (red & blue).any()
    assert (color[red][:, 0] > 2 * color[red][:, 2]).all()
    assert (color[blue][:, 2] > 2 * color[blue][:, 0]).all()


def test_axial_noise_grows_with_the_square_of_depth():
    config = DepthNoiseConfig(lateral=0, quantisation=0, dropout=0, edge_loss=0)
    rng = np.random.default_rng(0)
    for z in (0.5, 1.0, 2.0):
        noisy = add_depth_noise(np.full((200, 200), z, np.float32), config, rng)
        expected = config.axial_base + config.axial_growth * z**2
        assert noisy.std() == pytest.approx(expected, rel=0.03)
        assert noisy.mean() == pytest.approx(z, abs=expected / 50)


def test_depth_comes_in_steps_of_disparity():
    config = DepthNoiseConfig(axial_base=0, axial_growth=0, lateral=0, dropout=0, edge_loss=0)
    ramp = np.tile(np.linspace(0.9, 1.1, 400, dtype=np.float32), (3, 1))
    noisy = add_depth_noise(ramp, config, np.random.default_rng(0)).astype(np.float64)
    steps = 1.0 / noisy / config.quantisation
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert np.abs(noisy - ramp).max() < 0.6 * config.quantisation * 1.1**2


def test_pixels_are_lost_at_edges_and_at_random_as_often_as_configured():
    config = DepthNoiseConfig(dropout=0.01, edge_loss=0.5, lateral=0)
    depth = np.full((300, 300), 1.0, np.float32)
    depth[:, 150:] = 0.8
    lost = np.isnan(add_depth_noise(depth, config, np.random.default_rng(1)))
    edges = depth_edges(depth, config)
    assert edges.sum() == 2 * 300
    assert lost[edges].mean() == pytest.approx(0.5, abs=0.07)
    assert lost[~edges].mean() == pytest.approx(0.01, abs=0.003)


def test_a_plane_seen_at_a_grazing_angle_has_no_edges():
    rows = np.arange(200)[:, None] + np.zeros((1, 50))
    depth = (1.0 / (0.3 + 0.01 * rows)).astype(np.float32)  # 3.3 m to 0.4 m, 100 mm between rows
    assert not depth_edges(depth, DepthNoiseConfig()).any()


def test_lateral_jitter_blurs_an_edge_by_its_width():
    config = DepthNoiseConfig(
        axial_base=0, axial_growth=0, quantisation=0, dropout=0, edge_loss=0, lateral=0.5
    )
    depth = np.full((400, 60), 1.0, np.float32)
    depth[:, 30:] = 0.8
    noisy = add_depth_noise(depth, config, np.random.default_rng(2))
    # A column beside the edge takes its neighbour's depth when the shift rounds to a pixel.
    assert (noisy[:, 29] < 0.9).mean() == pytest.approx(0.159, abs=0.05)
    assert (noisy[:, 20] == 1.0).all()


def test_what_is_too_near_too_far_or_unknown_stays_unknown():
    depth = np.array([[0.1, 1.0, 7.0, np.nan]], np.float32)
    config = DepthNoiseConfig(lateral=0, dropout=0, edge_loss=0)
    noisy = add_depth_noise(depth, config, np.random.default_rng(0))
    assert np.isnan(noisy).tolist() == [[True, False, True, True]]


def test_a_renderer_is_refused_in_another_thread(cell):
    cell.observe()
    caught = []

    def look():
        try:
            cell.observe()
        except BackendError as error:
            caught.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert 'give each thread its own' in caught[0]


def look_in_another_process(tmp_path, prelude='', **variables):
    """Take a picture in a fresh interpreter; return the class of its context and the log."""
    code = (
        'import logging, sys\n'
        'logging.basicConfig()\n'
        f'{prelude}\n'
        'from flow_manip_core.errors import BackendError\n'
        'from flow_manip_mujoco.cell import SimulatedCell\n'
        'cell = SimulatedCell()\n'
        'try:\n'
        '    assert cell.picture().std() > 10\n'
        '    print(type(cell._renderer._gl).__module__)\n'
        'except BackendError as error:\n'
        '    print(error)\n'
    )
    environment = {
        k: v for k, v in os.environ.items() if k not in ('MUJOCO_GL', 'PYOPENGL_PLATFORM')
    }
    environment['PYTHONPATH'] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=environment | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout, done.stderr


def test_where_egl_has_no_driver_osmesa_steps_in_or_the_packages_are_named(tmp_path):
    said, log = look_in_another_process(tmp_path, __EGL_VENDOR_LIBRARY_FILENAMES='/none')
    assert 'with egl: ' in log
    assert 'mujoco.osmesa' in said or 'libosmesa6' in said, said + log


def test_where_no_rendering_works_the_packages_that_help_are_named(tmp_path):
    prelude = "sys.modules['mujoco.egl'] = sys.modules['mujoco.osmesa'] = None"
    said, log = look_in_another_process(tmp_path, prelude)
    for word in ('egl:', 'osmesa:', 'libegl1', 'libgl1-mesa-dri', 'libopengl0', 'libosmesa6'):
        assert word in said, said + log
