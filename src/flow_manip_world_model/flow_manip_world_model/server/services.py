# SPDX-License-Identifier: Apache-2.0
"""What can be served: per kind, the table of backends, and a request's way through one.

Requests and answers are maps of `flow_manip_core.wire_values`:

=========== =============================================== ====================================
kind        request                                         answer
=========== =============================================== ====================================
video       observation, instruction, goal_image?,          videos: list of video
            num_videos, seed
depth       video                                           kind: text, depth (T, H, W) '<f4'
segment     observation, phrase                             mask
propagate   video, mask                                     masks (T, H, W) '|u1'
track       video, queries (N, 2) '<f4', depth?, camera?,   tracks
            regions? (H, W) '<i8'
flow        observation, instruction, masks, goal_image?,   flows: list of flow
            num_candidates, seed
=========== =============================================== ====================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.backends import create_backend
from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import CancelledError
from flow_manip_core.robot import Context
from flow_manip_core.video import Video
from flow_manip_core.wire import array_of, finite_array_of
from flow_manip_core.wire_values import (
    count_of,
    flow_to_wire,
    list_of,
    map_of,
    mask_from_wire,
    mask_to_wire,
    observation_from_wire,
    text_of,
    tracks_to_wire,
    video_from_wire,
    video_to_wire,
)

MAX_VIDEOS = 32
MAX_MASKS = 16
MAX_SEED = 2**63

Cancelled = Callable[[], bool]
Request = Mapping[str, Any]


@dataclass(frozen=True)
class Service:
    """How one kind is served.

    Attributes:
        build: makes the backend out of its parameters; loads its weights.
        answer: turns a request into an answer with that backend.
    """

    build: Callable[[Mapping[str, Any], Context], Any]
    answer: Callable[[Any, Request, Cancelled], dict[str, Any]]


def _from_table(path: str) -> Callable[[Mapping[str, Any], Context], Any]:
    """Build from a table that is imported only then: no package imports its neighbour."""
    module, _, name = path.partition(':')

    def build(parameters: Mapping[str, Any], context: Context) -> Any:
        return create_backend(getattr(import_module(module), name), parameters, context)

    return build


def _flow_generator(parameters: Mapping[str, Any], context: Context) -> Any:
    from flow_manip_world_model.flow import create_flow_generator

    return create_flow_generator(parameters, context)


def _video(backend: Any, request: Request, cancelled: Cancelled) -> dict[str, Any]:
    videos = backend.generate(
        observation_from_wire(map_of(request, 'observation')),
        text_of(request, 'instruction'),
        goal_image=_goal_image(request),
        num_videos=count_of(request, 'num_videos', MAX_VIDEOS),
        seed=count_of(request, 'seed', MAX_SEED),
        cancelled=cancelled,
    )
    return {'videos': [video_to_wire(video) for video in videos]}


def _depth(backend: Any, request: Request, cancelled: Cancelled) -> dict[str, Any]:
    depth = backend.estimate(video_from_wire(map_of(request, 'video')), cancelled=cancelled)
    return {'kind': backend.kind, 'depth': depth.astype('<f4', copy=False)}


def _segment(backend: Any, request: Request, cancelled: Cancelled) -> dict[str, Any]:
    observation = observation_from_wire(map_of(request, 'observation'))
    if cancelled():
        raise CancelledError('cancelled before segmenting')
    return {'mask': mask_to_wire(backend.segment(observation, text_of(request, 'phrase')))}


def _propagate(backend: Any, request: Request, cancelled: Cancelled) -> dict[str, Any]:
    video = video_from_wire(map_of(request, 'video'))
    mask = mask_from_wire(map_of(request, 'mask'))
    masks = backend.propagate(video, mask, cancelled=cancelled)
    return {'masks': masks.astype(np.uint8)}


def _track(backend: Any, request: Request, cancelled: Cancelled) -> dict[str, Any]:
    video = video_from_wire(map_of(request, 'video'))
    queries = finite_array_of(request, 'queries', '<f4', (None, 2))
    depth = regions = None
    if 'depth' in request:
        depth = array_of(request, 'depth', '<f4', video.frames.shape[:3])
    if 'regions' in request:
        regions = array_of(request, 'regions', '<i8', video.frames.shape[1:3])
    tracks = backend.track(
        video,
        queries,
        depth=depth,
        camera=_camera(request, video),
        regions=regions,
        cancelled=cancelled,
    )
    return {'tracks': tracks_to_wire(tracks)}


def _flow(backend: Any, request: Request, cancelled: Cancelled) -> dict[str, Any]:
    flows = backend.generate(
        observation_from_wire(map_of(request, 'observation')),
        text_of(request, 'instruction'),
        [mask_from_wire(mask) for mask in list_of(request, 'masks', MAX_MASKS)],
        goal_image=_goal_image(request),
        num_candidates=count_of(request, 'num_candidates', MAX_VIDEOS),
        seed=count_of(request, 'seed', MAX_SEED),
        cancelled=cancelled,
    )
    return {'flows': [flow_to_wire(flow) for flow in flows]}


def _goal_image(request: Request) -> NDArray[np.uint8] | None:
    if 'goal_image' not in request:
        return None
    return array_of(request, 'goal_image', '|u1', (None, None, 3))


def _camera(request: Request, video: Video) -> CameraModel | None:
    if 'camera' not in request:
        return None
    return CameraModel(*video.size, *finite_array_of(request, 'camera', '<f8', (4,)).tolist())


_PERCEPTION = 'flow_manip_perception'
SERVICES: dict[str, Service] = {
    'video': Service(_from_table('flow_manip_world_model.video:VIDEO_GENERATORS'), _video),
    'depth': Service(_from_table(f'{_PERCEPTION}.depth:DEPTH_ESTIMATORS'), _depth),
    'segment': Service(_from_table(f'{_PERCEPTION}.segmentation:SEGMENTERS'), _segment),
    'propagate': Service(_from_table(f'{_PERCEPTION}.segmentation:VIDEO_SEGMENTERS'), _propagate),
    'track': Service(_from_table(f'{_PERCEPTION}.tracking:TRACKERS'), _track),
    'flow': Service(_flow_generator, _flow),
}
