# SPDX-License-Identifier: Apache-2.0
"""`ros2 daemon`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class DaemonCommand(VerbCommand):
    """Various daemon related sub-commands."""

    VERBS: ClassVar = {
        'start': ('ros2cli.verb.daemon.start:StartVerb', 'Start the daemon if it is not running'),
        'status': ('ros2cli.verb.daemon.status:StatusVerb', 'Output the status of the daemon'),
        'stop': ('ros2cli.verb.daemon.stop:StopVerb', 'Stop the daemon if it is running'),
    }
