# SPDX-License-Identifier: Apache-2.0
import pytest

from flow_manip_core.config import load_config
from flow_manip_core.robot import RigConfig
from flow_manip_ros.testing import ros

__all__ = ['ros']


@pytest.fixture
def scene(shapes):
    """Return observation, masks and instruction of a cube, a plate and a bowl, in the real rig."""
    assert load_config('rigs/tabletop.yaml', RigConfig).frame_id == 'world'
    things = {
        'cube': shapes['box'](0.45, -0.15, (0.04, 0.04, 0.04)),
        'plate': shapes['bowl'](0.5, 0.12, 0.09, 0.015),
    }
    observation, masks = shapes['table'](things, width=320, noise=0.001).observe()
    return observation, [masks['cube'], masks['plate']], 'put the cube on the plate'
