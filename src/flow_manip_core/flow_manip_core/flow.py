# SPDX-License-Identifier: Apache-2.0
"""The one flow type: where points on one object go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.transforms import transform_points

VISIBLE_ABOVE = 0.5
MAX_COORDINATE = 100.0  # [m]; farther than any robot reaches: a broken depth or pose


class FlowEncoding(IntEnum):
    """How a (T, N, 3) array of a flow is to be read; row 0 always holds the start positions."""

    ABSOLUTE = 0
    CUMULATIVE = 1
    INCREMENT = 2


def encode_points(points: ArrayLike, encoding: FlowEncoding) -> NDArray[np.float64]:
    """Turn (T, N, 3) absolute positions into `encoding`.

    CUMULATIVE holds displacements since step 0 (FloMo's text), INCREMENT those since the step
    before (LaMP, FloMo's
    figures). Both keep the start positions in row 0, so `decode_points` needs nothing else.
    """
    points = np.array(points, dtype=np.float64)
    if encoding == FlowEncoding.CUMULATIVE:
        points[1:] -= points[0]
    elif encoding == FlowEncoding.INCREMENT:
        points[1:] = np.diff(points, axis=0)
    return points


def decode_points(encoded: ArrayLike, encoding: FlowEncoding) -> NDArray[np.float64]:
    """Turn (T, N, 3) values in `encoding` back into positions; the inverse of `encode_points`."""
    points = np.array(encoded, dtype=np.float64)
    if encoding == FlowEncoding.CUMULATIVE:
        points[1:] += points[0]
    elif encoding == FlowEncoding.INCREMENT:
        points = np.cumsum(points, axis=0)
    return points


@dataclass(frozen=True)
class ObjectFlow:
    """Where points on one object are predicted to go.

    T steps, N points. Positions are absolute; other encodings exist only on the wire and in codecs
    (`encode_points`, `decode_points`).

    Attributes:
        points: (T, N, 3) float32 positions in `frame_id` [m].
        confidence: (T, N) float32 in [0, 1]; above 0.5 the point counts as visible.
        times: (T,) float64 seconds from the first step, strictly increasing.
        frame_id: tf frame of `points`.
        object: words for the object.
        source: backend that made it.
        point_ids: (N,) uint32, unique.
        score: of the selection; NaN while nobody has ranked it.
        stamp: seconds, of the observation it starts from.
        contact: (3,) where the object is touched at the start, in `frame_id` [m]: a hint for the
            grasp from whoever imagined the motion; None where nobody knows.
    """

    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    times: NDArray[np.float64]
    frame_id: str = 'world'
    object: str = ''
    source: str = ''
    point_ids: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, dtype=np.uint32))
    score: float = float('nan')
    stamp: float = 0.0
    contact: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check shapes, finiteness and order; fill `point_ids` where left out."""
        convert = object.__setattr__
        convert(self, 'points', np.ascontiguousarray(self.points, dtype=np.float32))
        convert(self, 'confidence', np.ascontiguousarray(self.confidence, dtype=np.float32))
        convert(self, 'times', np.ascontiguousarray(self.times, dtype=np.float64))
        if self.contact is not None:
            contact = np.array(self.contact, dtype=np.float64)
            if contact.shape != (3,) or not np.isfinite(contact).all():
                raise InvalidInputError(f'contact is {contact.tolist()}, expected (3,) finite')
            convert(self, 'contact', contact)
        if self.points.ndim != 3 or self.points.shape[2] != 3 or 0 in self.points.shape:
            raise InvalidInputError(
                f'flow points are {self.points.shape}, expected (T, N, 3) with T, N >= 1'
            )
        num_steps, num_points, _ = self.points.shape
        if self.confidence.shape != (num_steps, num_points):
            raise InvalidInputError(
                f'confidence is {self.confidence.shape}, expected {(num_steps, num_points)}'
            )
        if self.times.shape != (num_steps,):
            raise InvalidInputError(f'times is {self.times.shape}, expected {(num_steps,)}')
        if not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
            raise InvalidInputError('times are not strictly increasing')
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise InvalidInputError('confidence is not within 0..1')
        if len(self.point_ids) == 0:
            convert(self, 'point_ids', np.arange(num_points, dtype=np.uint32))
        else:
            convert(self, 'point_ids', np.ascontiguousarray(self.point_ids, dtype=np.uint32))
        if self.point_ids.shape != (num_points,) or len(np.unique(self.point_ids)) != num_points:
            raise InvalidInputError(f'point_ids are not {num_points} unique numbers')
        seen = self.points[self.visible]
        if not np.isfinite(seen).all():
            raise InvalidInputError(
                f'{int((~np.isfinite(seen)).any(axis=-1).sum())} visible flow points are not '
                'finite'
            )
        if seen.size and float(np.abs(seen).max()) > MAX_COORDINATE:
            raise InvalidInputError(
                f'a flow point is {float(np.abs(seen).max()):.3g} m from the origin, limit '
                f'{MAX_COORDINATE:g} m'
            )

    @property
    def num_steps(self) -> int:
        """T."""
        return self.points.shape[0]

    @property
    def num_points(self) -> int:
        """N."""
        return self.points.shape[1]

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(T, N) True where the point counts as visible."""
        return self.confidence > VISIBLE_ABOVE

    def always_visible(self) -> ObjectFlow:
        """Return the flow of only those points that are visible at every step (NovaFlow's rule).

        Raises:
            InvalidInputError: no point is.
        """
        keep = self.visible.all(axis=0)
        return replace(
            self,
            points=self.points[:, keep],
            confidence=self.confidence[:, keep],
            point_ids=self.point_ids[keep],
        )

    def in_frame(self, frame_id: str, T_new_old: ArrayLike) -> ObjectFlow:
        """Return the flow expressed in another frame, given the (4, 4) transform into it."""
        moved = transform_points(T_new_old, self.points).astype(np.float32)
        contact = None if self.contact is None else transform_points(T_new_old, self.contact)
        return replace(self, points=moved, frame_id=frame_id, contact=contact)

    def with_score(self, score: float) -> ObjectFlow:
        """Return the same flow with another score."""
        return replace(self, score=float(score))


def flow_from_transforms(
    points: ArrayLike, transforms: ArrayLike, times: ArrayLike, **fields: object
) -> ObjectFlow:
    """Move (N, 3) points by (T, 4, 4) transforms: the flow of a rigid object.

    Args:
        points: (N, 3) positions at the start [m].
        transforms: (T, 4, 4) T_world_start of the object, the first usually identity.
        times: (T,) seconds, strictly increasing.
        **fields: further fields of `ObjectFlow`.
    """
    points, transforms = (
        np.asarray(points, dtype=np.float64),
        np.asarray(transforms, dtype=np.float64),
    )
    moved = np.einsum('tij,nj->tni', transforms[:, :3, :3], points) + transforms[:, None, :3, 3]
    confidence = np.ones(moved.shape[:2], dtype=np.float32)
    return ObjectFlow(points=moved, confidence=confidence, times=np.asarray(times), **fields)  # type: ignore[arg-type]
