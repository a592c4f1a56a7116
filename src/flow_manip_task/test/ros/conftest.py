# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import sys

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from flow_manip_ros.testing import ros  # noqa: E402, F401
