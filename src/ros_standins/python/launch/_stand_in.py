# SPDX-License-Identifier: Apache-2.0
"""How this stand-in refuses, by name, what only the real package offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class NotInStandInError(NotImplementedError):
    """A feature of the real ROS 2 package was asked for that this stand-in does not have."""


class NotInStandInImportError(ImportError):
    """A name of the real ROS 2 package was imported that this stand-in does not have."""


def sentence(package: str, feature: str) -> str:
    """Returns the refusal for ``feature`` of the real ``package``."""
    return (
        f"{feature} is not part of this stand-in for ROS 2's '{package}'; it needs the real "
        f"'{package}' package (apt: ros-jazzy-{package.replace('_', '-')})"
    )


def refuse(package: str, feature: str) -> NotInStandInError:
    """Builds the error that refuses ``feature`` of the real ``package``.

    Args:
        package: Name of the real ROS 2 package.
        feature: What was asked for.

    Returns:
        The error, to be raised by the caller.
    """
    return NotInStandInError(sentence(package, feature))


def refusing_getattr(package: str, module: str, known: Iterable[str]) -> Callable[[str], Any]:
    """Builds a module ``__getattr__`` that names the real package.

    Args:
        package: Name of the real ROS 2 package.
        module: Full name of the module that the function serves.
        known: Names that the real module has and this one does not.

    Returns:
        A function that raises :class:`NotInStandInImportError` for a known name, so that
        ``from module import name`` says why, and ``AttributeError`` for any other.
    """
    refused = frozenset(known)

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name in refused:
            raise NotInStandInImportError(sentence(package, f'{module}.{name}'), name=module)
        raise AttributeError(
            f"module '{module}' of the stand-in for ROS 2's '{package}' has no name '{name}'"
        )

    return __getattr__
