# SPDX-License-Identifier: Apache-2.0
"""The module by which the real package's own filters import `SimpleFilter`."""

from ._filters import SimpleFilter

__all__ = ['SimpleFilter']
