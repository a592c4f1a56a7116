# SPDX-License-Identifier: Apache-2.0
"""Recordings of real cameras, where they lie beside the checkout."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from flow_manip_cameras.recording import open_recording
from flow_manip_core.camera import project_from

DATA = Path(os.environ.get('FLOW_MANIP_DATA', Path(__file__).parents[4] / 'shared' / 'data'))


def folder(name):
    if not (DATA / name).is_dir():
        pytest.skip(f'no recording at {DATA / name}')
    return DATA / name


def test_a_static_room_stays_where_it_is_while_the_camera_moves():
    recording = open_recording(folder('handheld_rgbd'))
    frames = list(recording.frames())
    assert len(frames) == 30
    assert not recording.fixed_pose
    first, later = frames[0], frames[8]
    points = first.points_world()[::4, ::4].reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    pixels = project_from(later.camera, later.T_world_camera, points)
    columns, rows = np.rint(pixels).astype(int).T
    inside = (columns >= 0) & (columns < 640) & (rows >= 0) & (rows < 480)
    depth = (points - later.T_world_camera[:3, 3]) @ later.T_world_camera[:3, 2]
    error = later.depth[rows[inside], columns[inside]] - depth[inside]
    # Unit, intrinsics and poses belong together: most points are found again within 3 cm.
    assert inside.mean() > 0.7
    assert np.nanmedian(np.abs(error)) < 0.03
    # The camera did move: without its pose the same comparison fails.
    unmoved = (points - first.T_world_camera[:3, 3]) @ first.T_world_camera[:3, 2]
    wrong = later.depth[rows[inside], columns[inside]] - unmoved[inside]
    assert np.nanmedian(np.abs(wrong)) > 2 * np.nanmedian(np.abs(error))


def test_a_folder_without_known_names_is_read_with_a_description(tmp_path):
    shelf = folder('arc_shelf')
    values = {
        'folder': str(shelf),
        'color': 'test-image.color.png',
        'depth': 'test-image.depth.png',
        'depth_unit': 0.0001,
        'intrinsics': 'test-camera-intrinsics.txt',
        'pose': {'translation': [0.0, 0.0, 1.0], 'rotation': [1.0, 0.0, 0.0, 0.0]},
    }
    (tmp_path / 'shelf.yaml').write_text(yaml.safe_dump(values))
    (observation,) = open_recording(tmp_path / 'shelf.yaml').frames()
    assert observation.color.shape == (480, 640, 3)
    assert 0.5 < np.nanmedian(observation.depth) < 0.8
