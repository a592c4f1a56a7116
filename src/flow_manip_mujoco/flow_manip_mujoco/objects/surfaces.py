# SPDX-License-Identifier: Apache-2.0
"""Closed triangle surfaces for what primitives cannot draw: turned shapes and bent tubes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]


def turn_profile(profile: ArrayLike, segments: int = 48) -> Mesh:
    """Revolve a profile about z, as on a lathe.

    Args:
        profile: (P, 2) pairs (radius, height) from the axis at the bottom, along the outside, to
            the axis on top or, for a hollow shape, to the axis at the inner bottom. Both ends lie
            on the axis.
        segments: around the axis.

    Returns:
        Vertices (V, 3) and outward counter-clockwise faces (F, 3) of a closed surface.
    """
    profile = _crisp(np.asarray(profile, dtype=np.float64))
    angles = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings = [
        np.column_stack([radius * ring, np.full(segments, height)])
        for radius, height in profile[1:-1]
    ]
    vertices = np.vstack([[0.0, 0.0, profile[0, 1]], *rings, [0.0, 0.0, profile[-1, 1]]])
    here = np.arange(segments)
    beside = (here + 1) % segments
    first, last = 0, len(vertices) - 1
    faces = [np.column_stack([np.full(segments, first), 1 + beside, 1 + here])]
    for index in range(len(rings) - 1):
        low, high = 1 + index * segments, 1 + (index + 1) * segments
        faces.append(np.column_stack([low + here, low + beside, high + beside]))
        faces.append(np.column_stack([low + here, high + beside, high + here]))
    top = 1 + (len(rings) - 1) * segments
    faces.append(np.column_stack([top + here, top + beside, np.full(segments, last)]))
    return vertices, np.vstack(faces)


def tube_along(path: ArrayLike, radius: float, segments: int = 12) -> Mesh:
    """Sweep a circle along a planar path, ends closed.

    Args:
        path: (P, 3) points in one plane that contains z.
        radius: of the tube [m].
        segments: around the tube.
    """
    path = np.asarray(path, dtype=np.float64)
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    plane_normal = np.cross(path[1] - path[0], path[-1] - path[0])
    plane_normal /= np.linalg.norm(plane_normal)
    sides = np.cross(tangents, plane_normal)
    angles = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    rings = (
        path[:, None]
        + radius * np.cos(angles)[None, :, None] * sides[:, None]
        + radius * np.sin(angles)[None, :, None] * plane_normal
    )
    vertices = np.vstack([rings.reshape(-1, 3), path[:1], path[-1:]])
    here = np.arange(segments)
    beside = (here + 1) % segments
    faces = []
    for index in range(len(path) - 1):
        low, high = index * segments, (index + 1) * segments
        faces.append(np.column_stack([low + here, high + beside, low + beside]))
        faces.append(np.column_stack([low + here, high + here, high + beside]))
    start, end = len(vertices) - 2, len(vertices) - 1
    last_ring = (len(path) - 1) * segments
    faces.append(np.column_stack([np.full(segments, start), here, beside]))
    faces.append(np.column_stack([np.full(segments, end), last_ring + beside, last_ring + here]))
    return _outward(vertices, np.vstack(faces))


def signed_volume(vertices: NDArray, faces: NDArray) -> float:
    """Return the enclosed volume [m^3]; negative if the faces look inwards."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return float(np.einsum('ij,ij->i', a, np.cross(b, c)).sum() / 6.0)


def _outward(vertices: NDArray, faces: NDArray) -> Mesh:
    """Flip all faces if they look inwards."""
    return (vertices, faces) if signed_volume(vertices, faces) > 0 else (vertices, faces[:, ::-1])


def _crisp(profile: NDArray[np.float64], bevel: float = 0.0006) -> NDArray[np.float64]:
    """Split every corner into two close points, so that smooth shading does not round it off."""
    points = [profile[0]]
    for before, corner, after in zip(profile[:-2], profile[1:-1], profile[2:]):
        for neighbour in (before, after):
            length = np.linalg.norm(neighbour - corner)
            points.append(corner + (neighbour - corner) * min(bevel / max(length, 1e-9), 0.3))
    return np.vstack([*points, profile[-1]])
