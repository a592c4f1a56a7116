# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import sys

import pytest

from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_ros.testing import ros

__all__ = ['context', 'ros']

# The helpers beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))
