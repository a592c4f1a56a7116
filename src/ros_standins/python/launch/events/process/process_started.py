# SPDX-License-Identifier: Apache-2.0
"""The start of a process."""

from .running_process_event import RunningProcessEvent


class ProcessStarted(RunningProcessEvent):
    """A process started."""

    name = 'launch.events.process.ProcessStarted'
