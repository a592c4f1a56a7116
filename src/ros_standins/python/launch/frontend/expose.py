# SPDX-License-Identifier: Apache-2.0
"""Names of actions and substitutions in XML and YAML."""

from __future__ import annotations

from collections.abc import Callable
import inspect
from typing import Any, TypeVar

_Exposed = TypeVar('_Exposed')

action_parse_methods: dict[str, Callable[..., Any]] = {}
substitution_parse_methods: dict[str, Callable[..., Any]] = {}


def _expose(
    name: str, methods: dict[str, Callable[..., Any]], kind: str
) -> Callable[[_Exposed], _Exposed]:
    def decorate(exposed: _Exposed) -> _Exposed:
        if inspect.isclass(exposed):
            parse = getattr(exposed, 'parse', None)
            if parse is None or not callable(parse):
                raise RuntimeError(
                    f"Did not find a method called 'parse' in the class '{exposed.__name__}'"
                )
        elif callable(exposed):
            parse = exposed
        else:
            raise RuntimeError('Exposed object should be a class or a callable')
        if name in methods and methods[name] != parse:
            raise RuntimeError(f'Two {kind} parsing methods exposed with the same name [{name}]')
        methods[name] = parse
        return exposed

    return decorate


def expose_action(name: str) -> Callable[[_Exposed], _Exposed]:
    """Returns a decorator that exposes an action, or a function that parses one."""
    return _expose(name, action_parse_methods, 'action')


def expose_substitution(name: str) -> Callable[[_Exposed], _Exposed]:
    """Returns a decorator that exposes a substitution, or a function that parses one."""
    return _expose(name, substitution_parse_methods, 'substitution')
