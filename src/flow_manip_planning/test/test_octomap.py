# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_planning.octomap import binary_octree


def test_one_voxel_is_sixteen_nodes_of_two_bytes():
    # From the middle of the tree: the far corner's child first, then the near corner's, down to
    # an occupied leaf.
    expected = b'\x00\xc0' + 14 * b'\x03\x00' + b'\x02\x00'
    assert binary_octree(np.array([[0, 0, 0]])) == expected


def test_the_bit_of_a_child_tells_its_side():
    for child, cell in ((1, [1, 0, 0]), (2, [0, 1, 0]), (4, [0, 0, 1]), (7, [1, 1, 1])):
        data = binary_octree(np.array([cell]))
        assert int.from_bytes(data[-2:], 'little') == 2 << (2 * child)


def test_cells_below_the_middle_come_first():
    data = binary_octree(np.array([[0, 0, 0], [-1, -1, -1]]))
    assert data[:2] == b'\x03\xc0'
    assert len(data) == 2 * (1 + 2 * 15)


def test_eight_cells_of_a_node_share_it():
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3)
    data = binary_octree(corners)
    assert data[-2:] == b'\xaa\xaa'
    assert len(data) == 32
    assert binary_octree(np.concatenate([corners, corners[::-1]])) == data


def test_nothing_is_no_bytes_and_too_far_is_refused():
    assert binary_octree(np.empty((0, 3), dtype=np.int64)) == b''
    with pytest.raises(ValueError, match='beyond'):
        binary_octree(np.array([[1 << 15, 0, 0]]))
    assert binary_octree(np.array([[(1 << 15) - 1, 0, -(1 << 15)]]))
