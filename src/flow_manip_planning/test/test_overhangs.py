# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_planning.overhangs import under_overhangs
from flow_manip_planning.surroundings import fill_columns, perceive

VOXEL = 0.008


def surface(x, y, z):
    """Return points 2 mm apart on a level rectangle at height z."""
    u, v = np.meshgrid(np.arange(*x, 0.002), np.arange(*y, 0.002))
    return np.stack([u.ravel(), v.ravel(), np.full(u.size, z)], axis=1)


def dropped(points, is_free):
    """Return filled voxels, which of them are dropped, and which are free."""
    centers = fill_columns(points, 0.0, VOXEL)
    free = is_free(centers)
    return centers, under_overhangs(centers, points, free, 0.0, VOXEL), free


def test_a_bar_that_is_seen_through_below_hangs_along_the_whole_of_it():
    # The camera sees below the outer half; a post hides what is below the inner one.
    bar = surface((0.0, 0.05), (0.0, 0.007), 0.18)
    centers, hanging, _ = dropped(bar, lambda c: (c[:, 0] > 0.03) & (c[:, 2] < 0.15))
    left = centers[~hanging & ~((centers[:, 0] > 0.03) & (centers[:, 2] < 0.15))]
    assert np.ptp(left[:, 0]) > 0.04
    assert left[:, 2].min() > 0.18 - 2.5 * VOXEL


def test_a_bar_of_which_nothing_is_seen_through_stands():
    bar = surface((0.0, 0.05), (0.0, 0.007), 0.18)
    _, hanging, _ = dropped(bar, lambda c: np.zeros(len(c), bool))
    assert not hanging.any()


def test_what_is_seen_below_an_overhang_stays():
    bar, block = surface((0.0, 0.05), (0.0, 0.007), 0.18), surface((0.0, 0.05), (0.0, 0.007), 0.06)
    points = np.concatenate([bar, block])
    centers, hanging, free = dropped(points, lambda c: (c[:, 2] > 0.08) & (c[:, 2] < 0.15))
    left = centers[~hanging & ~free]
    assert (np.abs(left[:, 2] - 0.06) < VOXEL).any()


def test_a_thick_thing_beside_an_overhang_stays_solid():
    block, bar = surface((0.0, 0.1), (0.0, 0.1), 0.1), surface((0.1, 0.16), (0.04, 0.047), 0.1)
    points = np.concatenate([block, bar])
    centers, hanging, _ = dropped(points, lambda c: (c[:, 0] > 0.115) & (c[:, 2] < 0.08))
    inside = (centers[:, 0] < 0.09) & (centers[:, 1] > 0.01) & (centers[:, 1] < 0.09)
    assert inside.any()
    assert not hanging[inside].any()


def test_nothing_gives_nothing():
    none = np.empty((0, 3))
    assert under_overhangs(none, none, np.zeros(0, bool), 0.0, VOXEL).shape == (0,)


@pytest.mark.parametrize('height', [0.1, 0.18])
def test_the_room_below_a_hook_is_free_though_its_riser_hides_it(
    tabletop, scenes, context, height
):
    # A hook that points away from the camera, aslant, on a riser that stands on a rail.
    hook = scenes.thing(0.55, 0.15, (0.1, 0.008, 0.008), z=height)
    riser = scenes.thing(0.6, 0.15, (0.008, 0.008, height - 0.06), z=0.06)
    rail = scenes.thing(0.6, 0.15, (0.012, 0.24, 0.012), z=0.05)
    cube = scenes.thing(0.4, -0.2, (0.05, 0.05, 0.05))
    observation, masks = tabletop.look(cube, hook, riser, rail)
    obstacles = perceive(observation, masks[0], context, None).obstacles
    near = (
        (np.abs(obstacles[:, 1] - 0.15) < 0.02)
        & (obstacles[:, 0] > 0.5)
        & (obstacles[:, 0] < 0.61)
    )
    assert near.any()
    below = obstacles[near & (obstacles[:, 0] < 0.58), 2]
    assert below.min() > height - 2 * VOXEL
