# SPDX-License-Identifier: Apache-2.0
"""Parameter files that live as long as the launch."""

from __future__ import annotations

import atexit
import pathlib
import tempfile


def write_temporary(text: str) -> pathlib.Path:
    """Writes a text to a new file that goes when this process does, and returns its path."""
    with tempfile.NamedTemporaryFile(mode='w', prefix='launch_params_', delete=False) as file:
        file.write(text)
    path = pathlib.Path(file.name)
    atexit.register(path.unlink, missing_ok=True)
    return path
