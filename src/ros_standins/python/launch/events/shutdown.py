# SPDX-License-Identifier: Apache-2.0
"""The beginning of the end of a launch."""

from ..event import Event


class Shutdown(Event):
    """The launch is to shut down."""

    name = 'launch.events.Shutdown'

    def __init__(self, *, reason: str = 'reason not given', due_to_sigint: bool = False) -> None:
        """Stores why.

        Args:
            reason: Why, in words.
            due_to_sigint: True if ctrl-c was pressed, which the children get as well.
        """
        self.__reason = reason
        self.__due_to_sigint = due_to_sigint

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self.__reason

    @property
    def due_to_sigint(self) -> bool:
        """True if ctrl-c was pressed."""
        return self.__due_to_sigint
