# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class PkgCommand(VerbCommand):
    """Various package related sub-commands."""

    VERBS: ClassVar = {
        'executables': (
            'ros2pkg.verb.executables:ExecutablesVerb',
            'Output a list of package specific executables',
        ),
        'list': ('ros2pkg.verb.list:ListVerb', 'Output a list of available packages'),
        'prefix': ('ros2pkg.verb.prefix:PrefixVerb', 'Output the prefix path of a package'),
        'xml': (
            'ros2pkg.verb.xml:XmlVerb',
            'Output the XML of the package manifest or a specific tag',
        ),
    }
    FOREIGN_VERBS: ClassVar = {'create': 'ros2pkg'}
