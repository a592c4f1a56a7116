# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))  # helpers beside the tests
