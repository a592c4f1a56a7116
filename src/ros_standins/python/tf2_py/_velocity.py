# SPDX-License-Identifier: Apache-2.0
"""Velocity of a frame from two of its poses."""

from __future__ import annotations

from collections.abc import Callable
import math

from ._maths import compose, invert, Rigid, rotate

Vector = tuple[float, float, float]
Lookup = Callable[[str, str, int], tuple[Rigid, int]]


def velocity(
    lookup: Lookup, latest: int, tracking: str, observation: str, reference: str, point: Vector,
    point_frame: str, time: int, interval: int,
) -> tuple[Vector, Vector]:  # fmt: skip
    """Difference of two poses over an interval around a time.

    Args:
        lookup: ``(target, source, nanoseconds)`` to ``(T_target_source, nanoseconds)``.
        latest: Newest time with data for the moving frame, nanoseconds.
        tracking: The moving frame.
        observation: The frame in which it is watched.
        reference: The frame in whose axes the result is given.
        point: The point whose velocity is asked, metres.
        point_frame: The frame of that point.
        time: Middle of the interval, nanoseconds.
        interval: Its length, nanoseconds; shifted back where it would pass ``latest``.

    Returns:
        Linear velocity of the point (m/s) and angular velocity (rad/s).
    """
    end = min(time + interval // 2, latest)
    # Never time zero, which would mean "the latest".
    start = max(interval + 10_000, end) - interval
    seconds = (end - start) / 1e9
    first, _ = lookup(observation, tracking, start)
    last, _ = lookup(observation, tracking, end)
    linear = tuple((b - a) / seconds for a, b in zip(first[:3], last[:3]))
    angular = rotate(first, *_rotation_vector(compose(invert(first), last), seconds))
    to_reference, _ = lookup(reference, observation, time)
    spin = rotate(to_reference, *angular)
    push = rotate(to_reference, *linear)
    origin, _ = lookup(reference, tracking, time)
    place, _ = lookup(reference, point_frame, time)
    moved = rotate(place, *map(float, point))
    arm = tuple(place[i] + moved[i] - origin[i] for i in range(3))
    across = _cross(spin, arm)
    return tuple(push[i] + across[i] for i in range(3)), spin  # type: ignore[return-value]


def _rotation_vector(rigid: Rigid, seconds: float) -> Vector:
    """Axis times angle per second."""
    x, y, z, w = rigid[3:]
    sine = math.sqrt(x * x + y * y + z * z)
    if sine < 1e-15:
        return (0.0, 0.0, 0.0)
    angle = 2.0 * math.atan2(sine, w)
    if angle > math.pi:
        angle -= 2.0 * math.pi
    rate = angle / (sine * seconds)
    return (x * rate, y * rate, z * rate)


def _cross(a: Vector, b: tuple[float, ...]) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
