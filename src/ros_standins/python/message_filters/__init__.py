# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the Python side of the ROS 2 package ``message_filters`` (Jazzy)."""

from ._filters import Cache, Chain, SimpleFilter, Subscriber
from ._synchronizers import ApproximateTimeSynchronizer, TimeSynchronizer

__all__ = [
    'ApproximateTimeSynchronizer',
    'Cache',
    'Chain',
    'SimpleFilter',
    'Subscriber',
    'TimeSynchronizer',
]


def __getattr__(name: str) -> object:
    """Name the real package for what is not here."""
    raise AttributeError(
        f'message_filters.{name}: this is a stand-in; if the ROS 2 package message_filters has '
        'it, install that one'
    )
