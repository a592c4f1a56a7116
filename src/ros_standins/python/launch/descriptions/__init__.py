# SPDX-License-Identifier: Apache-2.0
"""Descriptions of what actions run."""

from .executable import Executable

__all__ = ['Executable']
