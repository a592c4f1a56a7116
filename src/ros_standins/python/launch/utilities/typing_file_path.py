# SPDX-License-Identifier: Apache-2.0
"""The type of paths."""

import os
from typing import Union

FilePath = Union[str, 'os.PathLike[str]']
