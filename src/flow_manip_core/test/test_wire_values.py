# SPDX-License-Identifier: Apache-2.0
from dataclasses import fields, replace

import numpy as np
import pytest

from flow_manip_core import wire_values
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.video import Video
from flow_manip_core.wire import pack, unpack

RNG = np.random.default_rng(5)
TIMES = np.arange(3) / 16.0


def observation():
    depth = RNG.random((6, 8)).astype(np.float32)
    depth[0, 0] = np.nan
    return Observation(
        color=RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8),
        depth=depth,
        camera=CameraModel(8, 6, 7.0, 7.5, 3.5, 2.5),
        T_world_camera=np.eye(4),
        stamp=3.25,
        joint_positions={'joint1': 0.5, 'joint2': -1.0},
    )


def video():
    return Video(
        frames=RNG.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8),
        times=TIMES,
        source='simulated',
        depth=RNG.random((3, 6, 8)).astype(np.float32),
        camera_poses=np.tile(np.eye(4), (3, 1, 1)),
        prompt='the cup moves',
        seed=7,
    )


def flow():
    moves = np.tile(np.eye(4), (3, 1, 1))
    moves[:, 0, 3] = [0.0, 0.1, 0.2]
    return flow_from_transforms(
        RNG.random((5, 3)), moves, TIMES, object='cup', source='wan', contact=np.array([1, 2, 3.0])
    )


VALUES = {
    'observation': observation(),
    'mask': Mask(RNG.random((6, 8)) > 0.5, 'red cup', 0.75),
    'video': video(),
    'tracks': PointTracks(RNG.random((3, 5, 2)), np.ones((3, 5)), TIMES),
    'flow': flow(),
}


def over_the_wire(kind, value):
    coded = getattr(wire_values, f'{kind}_to_wire')(value)
    return getattr(wire_values, f'{kind}_from_wire')(unpack(pack(coded)))


def assert_same(a, b):
    for field in fields(a):
        np.testing.assert_equal(getattr(b, field.name), getattr(a, field.name), field.name)


@pytest.mark.parametrize('kind', VALUES)
def test_a_value_comes_back_as_it_was_sent(kind):
    assert_same(VALUES[kind], over_the_wire(kind, VALUES[kind]))


def test_what_a_video_lacks_stays_missing():
    bare = over_the_wire('video', replace(video(), depth=None, camera_poses=None))
    assert bare.depth is None
    assert bare.camera_poses is None
    assert over_the_wire('flow', replace(flow(), contact=None)).contact is None


@pytest.mark.parametrize(
    ('kind', 'change', 'why'),
    [
        ('observation', {'depth': np.zeros((3, 3))}, "'depth' is '<f8'"),
        ('observation', {'color': np.zeros((6, 9, 3), np.uint8)}, "'color' has shape"),
        ('observation', {'camera': np.full(4, np.nan)}, "'camera' has 4 values not finite"),
        ('observation', {'joint_names': ['a']}, "'joint_positions' has shape"),
        ('observation', {'joint_names': 'a'}, 'no list of texts'),
        ('observation', {'stamp': float('inf')}, 'finite number'),
        ('observation', {'frame_id': 'x' * 5000}, 'no text of at most'),
        ('mask', {'pixels': np.zeros((6, 8), np.uint8)}, 'empty'),
        ('mask', {'score': True}, 'finite number'),
        ('video', {'times': np.zeros(3)}, 'must start at 0 and increase'),
        ('video', {'depth': np.zeros((2, 6, 8), np.float32)}, "'depth' has shape"),
        ('video', {'seed': -1}, "'seed' is '-1'"),
        ('video', {'frames': np.zeros((3, 5000, 1, 3), np.uint8)}, 'at most 4096'),
        ('video', {'frames': np.zeros((2049, 1, 1, 3), np.uint8)}, 'at most 2048'),
        ('tracks', {'confidence': np.ones((3, 4), np.float32)}, "'confidence' has shape"),
        ('tracks', {'points': np.ones((3, 70000, 2), np.float32)}, 'at most 65536'),
        ('flow', {'contact': np.zeros(2)}, "'contact' has shape"),
        ('flow', {'times': 3}, "'times' is no array"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(kind, change, why):
    coded = getattr(wire_values, f'{kind}_to_wire')(VALUES[kind]) | change
    with pytest.raises(InvalidInputError, match=why):
        getattr(wire_values, f'{kind}_from_wire')(unpack(pack(coded)))


def test_lists_maps_and_counts_are_bounded():
    with pytest.raises(InvalidInputError, match="'a' is int, expected a map"):
        wire_values.map_of({'a': 1}, 'a')
    with pytest.raises(InvalidInputError, match='no list of at most 2'):
        wire_values.list_of({'a': [{}, {}, {}]}, 'a', 2)
    with pytest.raises(InvalidInputError, match='other than maps'):
        wire_values.list_of({'a': [1]}, 'a', 2)
    with pytest.raises(InvalidInputError, match='expected 0'):
        wire_values.count_of({'a': 4}, 'a', 3)
