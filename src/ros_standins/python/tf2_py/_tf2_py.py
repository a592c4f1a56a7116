# SPDX-License-Identifier: Apache-2.0
"""`BufferCore`: transforms of a tree of frames over time, without ROS around it."""

from __future__ import annotations

import math
from threading import RLock
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.logging import get_logger
from rclpy.time import Time

from ._caches import seconds_text
from ._exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)
from ._maths import canonical, compose, IDENTITY, Rigid
from ._tree import Cache, FrameTree
from ._velocity import Vector, velocity

__all__ = [
    'BufferCore',
    'ConnectivityException',
    'ExtrapolationException',
    'InvalidArgumentException',
    'LookupException',
    'TimeoutException',
    'TransformException',
]

DEFAULT_CACHE_NANOSECONDS = 10_000_000_000
# How far the squared length of a quaternion may be from 1.
QUATERNION_TOLERANCE = 10e-3


class BufferCore:
    """Stores transforms and answers lookups; never waits.

    Frame names have no leading slash. Times are `rclpy.time.Time` or `builtin_interfaces` times;
    zero means the latest time that all edges between the two frames share. Every method may be
    called from any thread.
    """

    def __init__(self, cache_time: Any = None) -> None:
        """Create an empty buffer.

        Args:
            cache_time: How far back from the newest transform of a frame to keep, a duration
                (10 s by default).
        """
        self._span = (
            DEFAULT_CACHE_NANOSECONDS
            if cache_time is None
            else nanoseconds_of(cache_time, 'duration')
        )
        self._tree = FrameTree()
        self._authorities: dict[str, str] = {}
        self._core_lock = RLock()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store ``T_parent_child`` at its stamp; invalid ones are logged and ignored."""
        self._insert(transform, authority, is_static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store ``T_parent_child`` for all times; invalid ones are logged and ignored."""
        self._insert(transform, authority, is_static=True)

    def _insert(self, transform: TransformStamped, authority: str, is_static: bool) -> None:
        parent = transform.header.frame_id.removeprefix('/')
        child = transform.child_frame_id.removeprefix('/')
        stamp = nanoseconds_of(transform.header.stamp, 'time')
        rigid = _from_message(transform)
        problem = _problem(parent, child, rigid, authority)
        if problem:
            get_logger('tf2').error(problem)
            return
        with self._core_lock:
            kept = self._tree.insert(child, parent, stamp, canonical(rigid), self._span, is_static)
            if kept:
                self._authorities[child] = authority
                return
        get_logger('tf2').warning(
            f'TF_OLD_DATA ignoring data from the past for frame {child} at time '
            f'{seconds_text(stamp)} according to authority {authority}\n'
            'Possible reasons are listed at http://wiki.ros.org/tf/Errors%20explained'
        )

    def clear(self) -> None:
        """Forget all moving transforms; static ones and the names stay."""
        with self._core_lock:
            for cache in self._tree.caches.values():
                cache.clear()

    def can_transform_core(
        self, target_frame: str, source_frame: str, time: Any
    ) -> tuple[bool, str]:
        """Tell whether a lookup would succeed now, and why not (empty where it would)."""
        if target_frame == source_frame:
            return True, ''
        return self._can(
            [('target_frame', target_frame), ('source_frame', source_frame)],
            [(target_frame, source_frame, nanoseconds_of(time, 'time'))],
        )

    def can_transform_full_core(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any,
        fixed_frame: str,
    ) -> tuple[bool, str]:  # fmt: skip
        """As `can_transform_core`, between two times."""
        return self._can(
            [
                ('target_frame', target_frame),
                ('source_frame', source_frame),
                ('fixed_frame', fixed_frame),
            ],
            [
                (target_frame, fixed_frame, nanoseconds_of(target_time, 'time')),
                (fixed_frame, source_frame, nanoseconds_of(source_time, 'time')),
            ],
        )

    def _can(
        self, names: list[tuple[str, str]], walks: list[tuple[str, str, int]]
    ) -> tuple[bool, str]:
        with self._core_lock:
            for argument, name in names:
                reason = self._name_problem(name)
                if reason:
                    where = f'canTransform argument {argument}'
                    return False, f'Invalid frame ID "{name}" passed to {where} - {reason}'
            try:
                for target, source, stamp in walks:
                    if target != source:
                        self._tree.check(target, source, stamp)
            except TransformException as error:
                return False, str(error)
        return True, ''

    def lookup_transform_core(
        self, target_frame: str, source_frame: str, time: Any
    ) -> TransformStamped:
        """Return ``T_target_source``.

        Raises:
            LookupException: A frame is unknown.
            ConnectivityException: The frames belong to different trees.
            ExtrapolationException: There is no data at this time.
            InvalidArgumentException: A name is empty or starts with a slash.
        """
        stamp = nanoseconds_of(time, 'time')
        with self._core_lock:
            rigid, stamp = self._lookup(target_frame, source_frame, stamp)
        return _to_message(target_frame, source_frame, rigid, stamp)

    def lookup_transform_full_core(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any,
        fixed_frame: str,
    ) -> TransformStamped:  # fmt: skip
        """Return the source frame at its time, seen from the target frame at its time.

        ``fixed_frame`` is the frame that stood still in between. Errors as in
        `lookup_transform_core`.
        """
        first = nanoseconds_of(source_time, 'time')
        last = nanoseconds_of(target_time, 'time')
        with self._core_lock:
            self._validate('target_frame', target_frame)
            self._validate('source_frame', source_frame)
            self._validate('fixed_frame', fixed_frame)
            source, _ = self._lookup(fixed_frame, source_frame, first)
            target, stamp = self._lookup(target_frame, fixed_frame, last)
        return _to_message(target_frame, source_frame, compose(target, source), stamp)

    def _lookup(self, target: str, source: str, stamp: int) -> tuple[Rigid, int]:
        if target == source:
            cache = self._tree.caches.get(target)
            return IDENTITY, stamp or (cache.newest if cache else 0)
        self._validate('target_frame', target)
        self._validate('source_frame', source)
        return self._tree.lookup(target, source, stamp)

    def _validate(self, argument: str, name: str) -> None:
        if name in self._tree.names:
            return
        where = f'lookupTransform argument {argument}'
        reason = self._name_problem(name)
        if reason != _UNKNOWN:
            raise InvalidArgumentException(
                f'Invalid argument "{name}" passed to {where} - {reason}'
            )
        raise LookupException(f'"{name}" passed to {where} does not exist. ')

    def _name_problem(self, name: str) -> str:
        if name in self._tree.names:
            return ''
        if not name:
            return 'in tf2 frame_ids cannot be empty'
        if name.startswith('/'):
            return "in tf2 frame_ids cannot start with a '/'"
        return _UNKNOWN

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """Return the latest time for which a lookup between the two frames has all its data.

        Raises:
            LookupException: A frame is unknown.
            TransformException: The frames belong to different trees.
        """
        with self._core_lock:
            for name in (target_frame, source_frame):
                reason = self._name_problem(name)
                if reason == _UNKNOWN:
                    raise LookupException(
                        f'"{name}" passed to get_latest_common_time does not exist. '
                    )
                if reason:
                    raise InvalidArgumentException(
                        f'Invalid argument "{name}" passed to get_latest_common_time - {reason}'
                    )
            try:
                stamp = self._tree.common_time(target_frame, source_frame)
            except ConnectivityException as error:
                raise TransformException(str(error)) from None
        return Time(nanoseconds=stamp)

    def lookupVelocityCore(
        self, tracking_frame: str, observation_frame: str, time: Any, averaging_interval: Any
    ) -> tuple[Vector, Vector]:
        """Return linear (m/s) and angular (rad/s) velocity of a frame's origin, in another."""
        return self.lookupVelocityFullCore(
            tracking_frame, observation_frame, observation_frame, (0.0, 0.0, 0.0), tracking_frame,
            time, averaging_interval,
        )  # fmt: skip

    def lookupVelocityFullCore(
        self, tracking_frame: str, observation_frame: str, reference_frame: str,
        reference_point: Vector, reference_point_frame: str, time: Any, averaging_interval: Any,
    ) -> tuple[Vector, Vector]:  # fmt: skip
        """As `lookupVelocityCore`, at a point and in axes of the caller's choice."""
        now = nanoseconds_of(time, 'time')
        with self._core_lock:
            return velocity(
                self._lookup, self._tree.common_time(observation_frame, tracking_frame),
                tracking_frame, observation_frame, reference_frame, reference_point,
                reference_point_frame, now, nanoseconds_of(averaging_interval, 'duration'),
            )  # fmt: skip

    def all_frames_as_string(self) -> str:
        """Return one sentence per frame with its parent."""
        with self._core_lock:
            return self._tree.describe()

    def all_frames_as_yaml(self) -> str:
        """Return a YAML mapping of frames to parent, broadcaster, rate and times."""
        with self._core_lock:
            if not self._tree.names:
                return '[]'
            return ''.join(
                self._frame_yaml(name, cache)
                for name in self._tree.names
                if (cache := self._tree.caches.get(name)) and cache.latest_parent()
            )

    def _frame_yaml(self, name: str, cache: Cache) -> str:
        span = cache.newest - cache.oldest
        rate = len(cache) * 1e9 / max(span, 100_000)
        return (
            f'{name}: \n'
            f"  parent: '{cache.latest_parent()}'\n"
            f"  broadcaster: '{self._authorities.get(name, 'no recorded authority')}'\n"
            f'  rate: {rate:.3f}\n'
            f'  most_recent_transform: {seconds_text(cache.newest)}\n'
            f'  oldest_transform: {seconds_text(cache.oldest)}\n'
            f'  buffer_length: {span / 1e9:.3f}\n'
        )

    def _frameExists(self, frame_id: str) -> bool:
        """Tell whether a name was ever seen as child or parent."""
        with self._core_lock:
            return frame_id in self._tree.names

    def _getFrameStrings(self) -> list[str]:
        """Return all names, in order of appearance."""
        with self._core_lock:
            return list(self._tree.names)

    def __getattr__(self, name: str) -> Any:
        """Refuse what only the real package has."""
        if name in ('_chain', '_allFramesAsDot'):
            raise NotImplementedError(
                f'BufferCore.{name}: this is a stand-in; the ROS 2 package tf2_py has it'
            )
        raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')


_UNKNOWN = 'frame does not exist'


def nanoseconds_of(value: Any, kind: str) -> int:
    """Read a time or duration, as a message or as rclpy's class."""
    try:
        return value.sec * 1_000_000_000 + value.nanosec
    except AttributeError:
        pass
    try:
        return value.nanoseconds
    except AttributeError:
        raise TypeError(f'{kind} must have sec and nanosec, or nanoseconds.') from None


def _from_message(transform: TransformStamped) -> Rigid:
    t, q = transform.transform.translation, transform.transform.rotation
    values = (t.x, t.y, t.z, q.x, q.y, q.z, q.w)
    return tuple(map(float, values))  # type: ignore[return-value]


def _to_message(target: str, source: str, rigid: Rigid, stamp: int) -> TransformStamped:
    message = TransformStamped()
    header, body = message.header, message.transform
    header.frame_id = target
    header.stamp.sec, header.stamp.nanosec = divmod(stamp, 1_000_000_000)
    message.child_frame_id = source
    translation, rotation = body.translation, body.rotation
    (
        translation.x, translation.y, translation.z,
        rotation.x, rotation.y, rotation.z, rotation.w,
    ) = canonical(rigid)  # fmt: skip
    return message


def _problem(parent: str, child: str, rigid: Rigid, authority: str) -> str:
    """Say why a transform cannot be stored, empty where it can."""
    if child == parent:
        return (
            f'TF_SELF_TRANSFORM: Ignoring transform from authority "{authority}" with frame_id '
            f'and  child_frame_id "{child}" because they are the same'
        )
    if not child:
        return (
            f'TF_NO_CHILD_FRAME_ID: Ignoring transform from authority "{authority}" because '
            'child_frame_id not set '
        )
    if not parent:
        return (
            f'TF_NO_FRAME_ID: Ignoring transform with child_frame_id "{child}"  from authority '
            f'"{authority}" because frame_id not set'
        )
    return _number_problem(child, rigid, authority)


def _number_problem(child: str, rigid: Rigid, authority: str) -> str:
    _, _, _, x, y, z, w = rigid
    is_unit = abs(x * x + y * y + z * z + w * w - 1.0) < QUATERNION_TOLERANCE
    # A sum is nan where one of its terms is.
    if is_unit and not math.isnan(sum(rigid)):
        return ''
    source = f'transform for child_frame_id "{child}" from authority "{authority}"'
    position, rotation = (' '.join(f'{x:f}' for x in part) for part in (rigid[:3], rigid[3:]))
    if any(map(math.isnan, rigid)):
        return (
            f'TF_NAN_INPUT: Ignoring {source} because of a nan value in the transform '
            f'({position}) ({rotation})'
        )
    if not is_unit:
        return (
            f'TF_DENORMALIZED_QUATERNION: Ignoring {source} because of an invalid quaternion in '
            f'the transform ({rotation})'
        )
    return ''
