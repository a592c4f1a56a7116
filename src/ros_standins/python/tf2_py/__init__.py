# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the ROS 2 package ``tf2_py``: the buffer of transforms and its errors."""

from ._tf2_py import (
    BufferCore,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)

__all__ = [
    'BufferCore',
    'ConnectivityException',
    'ExtrapolationException',
    'InvalidArgumentException',
    'LookupException',
    'TimeoutException',
    'TransformException',
]


def __getattr__(name: str) -> object:
    """Name the real package for what is not here."""
    raise AttributeError(
        f'tf2_py.{name}: this is a stand-in; if the ROS 2 package tf2_py has it, install that one'
    )
