# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the Python side of the ROS 2 package ``cv_bridge`` (Jazzy)."""

from . import _encodings
from .core import CvBridge, CvBridgeError

__all__ = ['CvBridge', 'CvBridgeError', 'getCvType']


# The name under which the real package has it.
getCvType = _encodings.cv_type_of  # noqa: N816


def __getattr__(name: str) -> object:
    """Name the real package for what is not here."""
    raise AttributeError(
        f'cv_bridge.{name}: this is a stand-in; if the ROS 2 package cv_bridge has it, '
        'install that one'
    )
