# SPDX-License-Identifier: Apache-2.0
"""One cell for all tests: building it takes most of a second, resetting it a tenth.

The helpers beside the tests are importable.
"""

from pathlib import Path
import sys

import pytest

from flow_manip_mujoco.cell import SimulatedCell

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope='session')
def shared_cell():
    cell = SimulatedCell()
    yield cell
    cell.close()


@pytest.fixture
def cell(shared_cell):
    shared_cell.record_frames(None)
    shared_cell.reset()
    return shared_cell
