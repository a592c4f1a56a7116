# SPDX-License-Identifier: Apache-2.0
"""The transforms of a bag's /tf and /tf_static."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_cameras.recording.messages import seconds
from flow_manip_core.errors import InvalidInputError, TransformMissingError
from flow_manip_core.transforms import (
    interpolate_transforms,
    invert_transform,
    transform_from_quaternion,
)

MAX_TRANSFORMS = 1_000_000
MAX_DEPTH = 100  # of the tree; a longer way up is a loop


class TransformTree:
    """Poses of frames in their parents over time."""

    def __init__(self) -> None:
        """Begin without frames."""
        self._parents: dict[str, str] = {}
        self._static: dict[str, NDArray[np.float64]] = {}
        self._moving: dict[str, tuple[list[float], list[NDArray[np.float64]]]] = {}
        self._count = 0

    @property
    def frames(self) -> list[str]:
        """All frames that have a pose or are somebody's parent."""
        return sorted(set(self._parents) | set(self._parents.values()))

    def add(self, message: Any, *, static: bool) -> None:
        """Take in a TFMessage.

        Raises:
            InvalidInputError: a transform that is not one, or too many.
        """
        for stamped in message.transforms:
            self._count += 1
            if self._count > MAX_TRANSFORMS:
                raise InvalidInputError(f'the bag has more than {MAX_TRANSFORMS} transforms')
            child, parent = stamped.child_frame_id, stamped.header.frame_id
            transform = _transform(stamped.transform, parent, child)
            self._parents[child] = parent
            if static:
                self._static[child] = transform
            else:
                stamps, transforms = self._moving.setdefault(child, ([], []))
                stamp = seconds(stamped.header.stamp)
                if not stamps or stamp > stamps[-1]:
                    stamps.append(stamp)
                    transforms.append(transform)

    def lookup(self, target: str, source: str, stamp: float) -> NDArray[np.float64]:
        """Return T_target_source (4, 4) at a time, interpolated, held at the recording's ends.

        Raises:
            TransformMissingError: the frames are not connected; says which frames there are.
        """
        up, down = self._chain(source), self._chain(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise TransformMissingError(
                f"no transform from '{source}' to '{target}'; frames: {self.frames[:20]}"
            )
        T_common_source = self._climb(source, common, stamp)
        return invert_transform(self._climb(target, common, stamp)) @ T_common_source

    def is_fixed(self, target: str, source: str) -> bool:
        """Say whether no moving frame lies between the two."""
        up, down = self._chain(source), self._chain(target)
        return not (set(up) ^ set(down)) & set(self._moving)

    def _chain(self, frame: str) -> list[str]:
        chain = [frame]
        while frame in self._parents:
            frame = self._parents[frame]
            chain.append(frame)
            if len(chain) > MAX_DEPTH:
                raise InvalidInputError(f"the transforms above '{chain[0]}' form a loop")
        return chain

    def _climb(self, frame: str, ancestor: str, stamp: float) -> NDArray[np.float64]:
        pose = np.eye(4)
        while frame != ancestor:
            pose = self._pose(frame, stamp) @ pose
            frame = self._parents[frame]
        return pose

    def _pose(self, frame: str, stamp: float) -> NDArray[np.float64]:
        if frame in self._static:
            return self._static[frame]
        stamps, transforms = self._moving[frame]
        if len(stamps) == 1:
            return transforms[0]
        # Two neighbours are enough; the whole list would be converted at every call.
        after = min(max(int(np.searchsorted(stamps, stamp)), 1), len(stamps) - 1)
        pair = slice(after - 1, after + 1)
        return interpolate_transforms(stamps[pair], np.array(transforms[pair]), stamp)[0]


def _transform(transform: Any, parent: str, child: str) -> NDArray[np.float64]:
    t, q = transform.translation, transform.rotation
    values = np.array([t.x, t.y, t.z, q.x, q.y, q.z, q.w])
    if not np.isfinite(values).all() or abs(np.linalg.norm(values[3:]) - 1.0) > 0.01:
        raise InvalidInputError(
            f"transform from '{child}' to '{parent}' is not rigid: {values.tolist()}"
        )
    return transform_from_quaternion(values[:3], values[3:])
