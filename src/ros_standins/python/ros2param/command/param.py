# SPDX-License-Identifier: Apache-2.0
"""`ros2 param`."""

from typing import ClassVar

from ros2cli.command import VerbCommand


class ParamCommand(VerbCommand):
    """Various param related sub-commands."""

    VERBS: ClassVar = {
        'delete': ('ros2param.verb.delete:DeleteVerb', 'Delete parameter'),
        'describe': (
            'ros2param.verb.describe:DescribeVerb',
            'Show descriptive information about declared parameters',
        ),
        'dump': (
            'ros2param.verb.dump:DumpVerb',
            'Show all of the parameters of a node in a YAML file format',
        ),
        'get': ('ros2param.verb.get:GetVerb', 'Get parameter'),
        'list': ('ros2param.verb.list:ListVerb', 'Output a list of available parameters'),
        'load': ('ros2param.verb.load:LoadVerb', 'Load parameter file for a node'),
        'set': ('ros2param.verb.set:SetVerb', 'Set parameter'),
    }
