# SPDX-License-Identifier: Apache-2.0
"""The values between stages as msgpack maps (`flow_manip_core.wire`), and back.

What comes back is checked as if a stranger had sent it: types, shapes and sizes first, then by the
value's own constructor. Everything raises `InvalidInputError` with the name of what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

import numpy as np

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.video import MAX_FRAMES, MAX_SIDE, Video
from flow_manip_core.wire import array_of, finite_array_of

MAX_TEXT = 4096
MAX_POINTS = 65536


def map_of(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a map out of a decoded map."""
    found = values.get(name)
    if not isinstance(found, dict):
        raise InvalidInputError(f"'{name}' is {type(found).__name__}, expected a map")
    return found


def text_of(values: Mapping[str, Any], name: str) -> str:
    """Return a text of at most `MAX_TEXT` characters out of a decoded map."""
    found = values.get(name)
    if not isinstance(found, str) or len(found) > MAX_TEXT:
        raise InvalidInputError(f"'{name}' is no text of at most {MAX_TEXT} characters")
    return found


def number_of(values: Mapping[str, Any], name: str) -> float:
    """Return a finite number out of a decoded map."""
    found = values.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise InvalidInputError(f"'{name}' is {str(found)[:20]!r}, expected a finite number")
    return float(found)


def count_of(values: Mapping[str, Any], name: str, most: int) -> int:
    """Return a whole number in 0..`most` out of a decoded map."""
    found = values.get(name)
    if type(found) is not int or not 0 <= found <= most:
        raise InvalidInputError(f"'{name}' is {str(found)[:20]!r}, expected 0..{most}")
    return found


def list_of(values: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    """Return a list of at most `most` maps out of a decoded map."""
    found = values.get(name)
    if not isinstance(found, list) or len(found) > most:
        raise InvalidInputError(f"'{name}' is no list of at most {most}")
    if not all(isinstance(item, dict) for item in found):
        raise InvalidInputError(f"'{name}' holds something other than maps")
    return found


def observation_to_wire(observation: Observation) -> dict[str, Any]:
    """Return an observation as a map."""
    camera = observation.camera
    return {
        'color': observation.color,
        'depth': observation.depth,
        'camera': np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        'T_world_camera': observation.T_world_camera,
        'frame_id': observation.frame_id,
        'stamp': observation.stamp,
        'joint_names': list(observation.joint_positions),
        'joint_positions': np.array(list(observation.joint_positions.values()), dtype=np.float64),
    }


def observation_from_wire(values: Mapping[str, Any]) -> Observation:
    """Return the observation of a map."""
    depth = array_of(values, 'depth', '<f4', (None, None))
    height, width = _size(depth.shape)
    fx, fy, cx, cy = finite_array_of(values, 'camera', '<f8', (4,))
    names = values.get('joint_names')
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInputError("'joint_names' is no list of texts")
    positions = finite_array_of(values, 'joint_positions', '<f8', (len(names),))
    return Observation(
        color=array_of(values, 'color', '|u1', (height, width, 3)),
        depth=depth,
        camera=CameraModel(width, height, fx, fy, cx, cy),
        T_world_camera=finite_array_of(values, 'T_world_camera', '<f8', (4, 4)),
        frame_id=text_of(values, 'frame_id'),
        stamp=number_of(values, 'stamp'),
        joint_positions=dict(zip(names, positions.tolist())),
    )


def mask_to_wire(mask: Mask) -> dict[str, Any]:
    """Return a mask as a map."""
    return {'pixels': mask.pixels.astype(np.uint8), 'label': mask.label, 'score': mask.score}


def mask_from_wire(values: Mapping[str, Any]) -> Mask:
    """Return the mask of a map."""
    pixels = array_of(values, 'pixels', '|u1', (None, None))
    _size(pixels.shape)
    return Mask(pixels > 0, text_of(values, 'label'), number_of(values, 'score'))


def video_to_wire(video: Video) -> dict[str, Any]:
    """Return a video as a map; frames go as they are, without loss."""
    values: dict[str, Any] = {
        'frames': video.frames,
        'times': video.times,
        'source': video.source,
        'prompt': video.prompt,
        'seed': int(video.seed),
    }
    if video.depth is not None:
        values['depth'] = video.depth
    if video.camera_poses is not None:
        values['camera_poses'] = video.camera_poses
    return values


def video_from_wire(values: Mapping[str, Any]) -> Video:
    """Return the video of a map."""
    frames = array_of(values, 'frames', '|u1', (None, None, None, 3))
    count = len(frames)
    if count > MAX_FRAMES:
        raise InvalidInputError(f'{count} frames, at most {MAX_FRAMES} are taken')
    _size(frames.shape[1:3])
    depth = poses = None
    if 'depth' in values:
        depth = array_of(values, 'depth', '<f4', frames.shape[:3])
    if 'camera_poses' in values:
        poses = finite_array_of(values, 'camera_poses', '<f8', (count, 4, 4))
    return Video(
        frames=frames,
        times=finite_array_of(values, 'times', '<f8', (count,)),
        source=text_of(values, 'source'),
        depth=depth,
        camera_poses=poses,
        prompt=text_of(values, 'prompt'),
        seed=count_of(values, 'seed', 2**63),
    )


def tracks_to_wire(tracks: PointTracks) -> dict[str, Any]:
    """Return 2D tracks as a map."""
    return {
        'points': tracks.points,
        'confidence': tracks.confidence,
        'times': tracks.times,
        'point_ids': tracks.point_ids,
    }


def tracks_from_wire(values: Mapping[str, Any]) -> PointTracks:
    """Return the 2D tracks of a map."""
    points = array_of(values, 'points', '<f4', (None, None, 2))
    return PointTracks(points=points, **_along(values, points.shape))


def flow_to_wire(flow: ObjectFlow) -> dict[str, Any]:
    """Return an object flow as a map."""
    values: dict[str, Any] = {
        'points': flow.points,
        'confidence': flow.confidence,
        'times': flow.times,
        'point_ids': flow.point_ids,
        'frame_id': flow.frame_id,
        'object': flow.object,
        'source': flow.source,
        'stamp': flow.stamp,
    }
    if flow.contact is not None:
        values['contact'] = flow.contact
    return values


def flow_from_wire(values: Mapping[str, Any]) -> ObjectFlow:
    """Return the object flow of a map."""
    points = array_of(values, 'points', '<f4', (None, None, 3))
    return ObjectFlow(
        points=points,
        **_along(values, points.shape),
        frame_id=text_of(values, 'frame_id'),
        object=text_of(values, 'object'),
        source=text_of(values, 'source'),
        stamp=number_of(values, 'stamp'),
        contact=finite_array_of(values, 'contact', '<f8', (3,)) if 'contact' in values else None,
    )


def _along(values: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what tracks and flows have beside their points."""
    steps, count = shape[:2]
    if steps > MAX_FRAMES or count > MAX_POINTS:
        raise InvalidInputError(
            f'{count} points over {steps} steps; at most {MAX_POINTS} over {MAX_FRAMES} are taken'
        )
    return {
        'confidence': finite_array_of(values, 'confidence', '<f4', (steps, count)),
        'times': finite_array_of(values, 'times', '<f8', (steps,)),
        'point_ids': array_of(values, 'point_ids', '<u4', (count,)),
    }


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (height, width) of an image."""
    height, width = shape
    if not 0 < min(height, width) <= max(height, width) <= MAX_SIDE:
        raise InvalidInputError(f'an image of {width} x {height} px, at most {MAX_SIDE} a side')
    return height, width
