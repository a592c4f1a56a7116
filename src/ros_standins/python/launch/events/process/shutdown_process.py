# SPDX-License-Identifier: Apache-2.0
"""The wish that a process ends."""

from .process_targeted_event import ProcessTargetedEvent


class ShutdownProcess(ProcessTargetedEvent):
    """A process is to shut down."""

    name = 'launch.events.process.ShutdownProcess'
