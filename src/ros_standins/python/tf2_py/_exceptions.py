# SPDX-License-Identifier: Apache-2.0
"""The errors of tf2, with the real names and inheritance."""


class TransformException(Exception):
    """Base of every error that a lookup can raise."""


class ConnectivityException(TransformException):
    """The two frames exist but belong to different trees."""


class LookupException(TransformException):
    """A frame does not exist, or the tree has a loop."""


class ExtrapolationException(TransformException):
    """The asked time lies outside what is stored for an edge of the path."""


class InvalidArgumentException(TransformException):
    """A frame name is empty or starts with a slash."""


class TimeoutException(TransformException):
    """A transform server did not answer in time."""
