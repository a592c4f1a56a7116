# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class InterfaceCommand(VerbCommand):
    """Show information about ROS interfaces."""

    VERBS: ClassVar = {
        'list': ('ros2interface.verb.list:ListVerb', 'List all interface types available'),
        'package': (
            'ros2interface.verb.package:PackageVerb',
            'Output a list of available interface types within one package',
        ),
        'packages': (
            'ros2interface.verb.packages:PackagesVerb',
            'Output a list of packages that provide interfaces',
        ),
        'proto': ('ros2interface.verb.proto:ProtoVerb', 'Output an interface prototype'),
        'show': ('ros2interface.verb.show:ShowVerb', 'Output the interface definition'),
    }
