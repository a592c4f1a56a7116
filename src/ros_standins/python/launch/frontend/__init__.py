# SPDX-License-Identifier: Apache-2.0
"""What the XML and YAML frontends share, as far as Python launch files use it."""

from .entity import Entity
from .expose import expose_action, expose_substitution
from .parse_substitution import parse_if_substitutions, parse_substitution
from .parser import InvalidFrontendLaunchFileError, Parser

__all__ = [
    'Entity',
    'expose_action',
    'expose_substitution',
    'InvalidFrontendLaunchFileError',
    'parse_if_substitutions',
    'parse_substitution',
    'Parser',
]
