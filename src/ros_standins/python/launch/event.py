# SPDX-License-Identifier: Apache-2.0
"""The base of everything that may happen during a launch."""


class Event:
    """Something that happened; handlers are matched against it."""

    name = 'launch.Event'
