# SPDX-License-Identifier: Apache-2.0
"""Questions about objects and classes."""

import inspect
from typing import Any


def isclassinstance(obj: object) -> bool:
    """Tells whether ``obj`` is an instance of a class rather than a class or a built-in."""
    return not inspect.isclass(obj) and type(obj).__module__ != 'builtins'


def is_a(obj: object, entity_type: type[Any]) -> bool:
    """Tells whether ``obj`` is an instance of ``entity_type``."""
    return isclassinstance(obj) and isinstance(obj, entity_type)


def is_a_subclass(obj: object, entity_type: type[Any]) -> bool:
    """Tells whether ``obj``, an instance or a class, is of ``entity_type``."""
    if inspect.isclass(obj):
        return issubclass(obj, entity_type)
    return is_a(obj, entity_type)
