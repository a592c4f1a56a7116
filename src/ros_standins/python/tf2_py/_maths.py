# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as plain tuples.

A transform is ``(x, y, z, qx, qy, qz, qw)``: metres and a unit quaternion. A lookup touches a
dozen of them, where scalar arithmetic on floats is several times quicker than numpy.
"""

from __future__ import annotations

import math

Rigid = tuple[float, float, float, float, float, float, float]
Point = tuple[float, float, float]

IDENTITY: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def rotate(rigid: Rigid, x: float, y: float, z: float) -> Point:
    """Rotate a vector by the transform's rotation."""
    _, _, _, qx, qy, qz, qw = rigid
    ux = 2.0 * (qy * z - qz * y)
    uy = 2.0 * (qz * x - qx * z)
    uz = 2.0 * (qx * y - qy * x)
    return (
        x + qw * ux + qy * uz - qz * uy,
        y + qw * uy + qz * ux - qx * uz,
        z + qw * uz + qx * uy - qy * ux,
    )


def compose(a: Rigid, b: Rigid) -> Rigid:
    """Apply ``b``, then ``a``: ``T_ac = T_ab T_bc``."""
    ax, ay, az, aqx, aqy, aqz, aqw = a
    bx, by, bz, bqx, bqy, bqz, bqw = b
    # The rotation formula's cross products, written out: a call would cost as much as they do.
    ux = 2.0 * (aqy * bz - aqz * by)
    uy = 2.0 * (aqz * bx - aqx * bz)
    uz = 2.0 * (aqx * by - aqy * bx)
    return (
        ax + bx + aqw * ux + aqy * uz - aqz * uy,
        ay + by + aqw * uy + aqz * ux - aqx * uz,
        az + bz + aqw * uz + aqx * uy - aqy * ux,
        aqw * bqx + aqx * bqw + aqy * bqz - aqz * bqy,
        aqw * bqy - aqx * bqz + aqy * bqw + aqz * bqx,
        aqw * bqz + aqx * bqy - aqy * bqx + aqz * bqw,
        aqw * bqw - aqx * bqx - aqy * bqy - aqz * bqz,
    )


def invert(a: Rigid) -> Rigid:
    """Return the inverse transform."""
    x, y, z, qx, qy, qz, qw = a
    back = (x, y, z, -qx, -qy, -qz, qw)
    rx, ry, rz = rotate(back, -x, -y, -z)
    return (rx, ry, rz, -qx, -qy, -qz, qw)


def canonical(a: Rigid) -> Rigid:
    """Return the transform with its quaternion at unit length and in tf2's choice of sign.

    tf2 keeps rotations as matrices, so the quaternion that comes out is the one read off a
    matrix: ``w > 0`` where the trace is positive, else the largest of x, y, z is positive.
    """
    x, y, z, qx, qy, qz, qw = a
    square = qx * qx + qy * qy + qz * qz + qw * qw
    if abs(square - 1.0) > 1e-15:
        scale = 1.0 / math.sqrt(square)
        qx, qy, qz, qw = qx * scale, qy * scale, qz * scale, qw * scale
    if qw * qw > 0.25:
        leading = qw
    else:
        leading = max((qx, qy, qz), key=abs)
    if leading < 0.0:
        qx, qy, qz, qw = -qx, -qy, -qz, -qw
    # Adding zero turns a negative zero into zero.
    return (x, y, z, qx + 0.0, qy + 0.0, qz + 0.0, qw + 0.0)


def slerp(a: Rigid, b: Rigid, ratio: float) -> Rigid:
    """Interpolate: translation along the line, rotation along the shorter great arc.

    Args:
        a: Transform at ratio 0.
        b: Transform at ratio 1.
        ratio: Between 0 and 1.

    Returns:
        The transform between the two (K. Shoemake, Animating rotation with quaternion curves,
        SIGGRAPH 1985).
    """
    _, _, _, ax, ay, az, aw = a
    _, _, _, bx, by, bz, bw = b
    cosine = ax * bx + ay * by + az * bz + aw * bw
    sign = 1.0
    if cosine < 0.0:
        cosine, sign = -cosine, -1.0
    rest = 1.0 - ratio
    # Below about 1e-6 rad arc and chord agree to double precision, and sin() is no divisor.
    if cosine < 1.0 - 1e-12:
        angle = math.acos(cosine)
        scale = 1.0 / math.sin(angle)
        wa, wb = math.sin(rest * angle) * scale, sign * math.sin(ratio * angle) * scale
    else:
        wa, wb = rest, sign * ratio
    qx, qy, qz, qw = wa * ax + wb * bx, wa * ay + wb * by, wa * az + wb * bz, wa * aw + wb * bw
    norm = 1.0 / math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
    return (
        rest * a[0] + ratio * b[0],
        rest * a[1] + ratio * b[1],
        rest * a[2] + ratio * b[2],
        qx * norm,
        qy * norm,
        qz * norm,
        qw * norm,
    )
