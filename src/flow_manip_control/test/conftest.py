# SPDX-License-Identifier: Apache-2.0
import pytest

from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_ros.testing import ros

__all__ = ['context', 'ros']


@pytest.fixture
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))
