# SPDX-License-Identifier: Apache-2.0
"""What every transform buffer offers, and the registries by which types become transformable."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header

__all__ = [
    'BufferInterface',
    'ConvertRegistration',
    'NotImplementedException',
    'Stamped',
    'TransformRegistration',
    'TypeException',
    'convert',
]

# The default of every time-out; durations cannot be changed, so that sharing one is safe.
NO_WAIT = Duration()

DoTransform = Callable[[Any, TransformStamped], Any]


class TypeException(Exception):
    """No function is registered for a type."""

    def __init__(self, errstr: str) -> None:
        """Keep the message, also as ``errstr``."""
        super().__init__(errstr)
        self.errstr = errstr


class NotImplementedException(Exception):
    """A subclass of `BufferInterface` lacks one of its lookups."""

    def __init__(self) -> None:
        """Set the message, also as ``errstr``."""
        self.errstr = 'CanTransform or LookupTransform not implemented'
        super().__init__(self.errstr)


class TransformRegistration:
    """How to apply a transform to a type; one table for the whole process."""

    _functions: ClassVar[dict[type, DoTransform]] = {}

    def print_me(self) -> None:
        """Print the table."""
        print(self._functions)

    def add(self, key: type, callback: DoTransform) -> None:
        """Register ``callback(object, transform)`` for a type."""
        self._functions[key] = callback

    def get(self, key: type) -> DoTransform:
        """Return a type's function.

        Raises:
            TypeException: None is registered; for the types of geometry_msgs, import
                tf2_geometry_msgs first.
        """
        return _registered(self._functions, key)


class ConvertRegistration:
    """How to convert types to and from messages, or directly; one table for the process."""

    _to_msg: ClassVar[dict[Any, Callable[[Any], Any]]] = {}
    _from_msg: ClassVar[dict[Any, Callable[[Any], Any]]] = {}
    _convert: ClassVar[dict[Any, Callable[[Any], Any]]] = {}

    def add_from_msg(self, key: type, callback: Callable[[Any], Any]) -> None:
        """Register the way from a message to ``key``."""
        self._from_msg[key] = callback

    def add_to_msg(self, key: type, callback: Callable[[Any], Any]) -> None:
        """Register the way from ``key`` to a message."""
        self._to_msg[key] = callback

    def add_convert(self, key: tuple[type, type], callback: Callable[[Any], Any]) -> None:
        """Register a direct way from ``key[0]`` to ``key[1]``."""
        self._convert[key] = callback

    def get_from_msg(self, key: type) -> Callable[[Any], Any]:
        """Return the way from a message to ``key``, or raise `TypeException`."""
        return _registered(self._from_msg, key)

    def get_to_msg(self, key: type) -> Callable[[Any], Any]:
        """Return the way from ``key`` to a message, or raise `TypeException`."""
        return _registered(self._to_msg, key)

    def get_convert(self, key: tuple[type, type]) -> Callable[[Any], Any]:
        """Return the direct way, or raise `TypeException`."""
        return _registered(self._convert, key)


def _registered(table: dict[Any, Callable[..., Any]], key: Any) -> Callable[..., Any]:
    if key not in table:
        raise TypeException(f'Type {key} is not loaded or supported')
    return table[key]


def convert(a: Any, b_type: type) -> Any:
    """Convert an object to a type: directly, as a copy, or by way of a message."""
    registration = ConvertRegistration()
    try:
        direct = registration.get_convert((type(a), b_type))
    except TypeException:
        if type(a) is b_type:
            return deepcopy(a)
        to_message = registration.get_to_msg(type(a))
        return registration.get_from_msg(b_type)(to_message(a))
    return direct(a)


def Stamped(obj: Any, stamp: Any, frame_id: str) -> Any:
    """Give an object a header and return it."""
    obj.header = Header(frame_id=frame_id, stamp=stamp)
    return obj


class BufferInterface:
    """Transforms objects by lookups that subclasses provide."""

    def __init__(self) -> None:
        """Create the access to the registered types."""
        self.registration = TransformRegistration()

    def transform(
        self,
        object_stamped: Any,
        target_frame: str,
        timeout: Duration = NO_WAIT,
        new_type: type | None = None,
    ) -> Any:
        """Return a stamped object in another frame, at its own time.

        Args:
            object_stamped: An object of a registered type, with a header.
            target_frame: Where to express it.
            timeout: How long to wait for the transform.
            new_type: Type to convert the result to.

        Raises:
            TypeException: The type is not registered.
            TransformException: As from `lookup_transform`.
        """
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform(target_frame, header.frame_id, header.stamp, timeout)
        return _as_type(do_transform(object_stamped, transform), new_type)

    def transform_full(
        self,
        object_stamped: Any,
        target_frame: str,
        target_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        new_type: type | None = None,
    ) -> Any:
        """As `transform`, to the target frame at another time, by a frame that stood still."""
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform_full(
            target_frame, target_time, header.frame_id, header.stamp, fixed_frame, timeout
        )
        return _as_type(do_transform(object_stamped, transform), new_type)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """Return ``T_target_source``; for subclasses."""
        raise NotImplementedException()

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """Return the transform between two times; for subclasses."""
        raise NotImplementedException()

    def can_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> bool:
        """Tell whether `lookup_transform` would succeed; for subclasses."""
        raise NotImplementedException()

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> bool:
        """Tell whether `lookup_transform_full` would succeed; for subclasses."""
        raise NotImplementedException()


def _as_type(value: Any, new_type: type | None) -> Any:
    return value if new_type is None else convert(value, new_type)
