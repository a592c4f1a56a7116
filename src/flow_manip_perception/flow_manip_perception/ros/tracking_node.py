# SPDX-License-Identifier: Apache-2.0
"""Follows an object through a camera's live images: its points, and how it has moved."""

from __future__ import annotations

from dataclasses import dataclass, field
import threading
import time
import traceback
from typing import Any

from flow_manip_msgs.msg import PointTracks as PointTracksMsg
from flow_manip_msgs.srv import StartTracking
from geometry_msgs.msg import PoseStamped
import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Empty

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    FlowManipError,
    InvalidInputError,
    TooFewPointsError,
    TransformMissingError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.point_tracks import PointTracks
from flow_manip_core.transforms import transform_points
from flow_manip_perception.tracking import FREE, PointStream, PointTracker, TRACKERS
from flow_manip_perception.tracking.object_pose import (
    find_object_motion,
    lift_pixels,
    ObjectMotion,
    ObjectPoseConfig,
)
from flow_manip_perception.tracking.queries import farthest_queries
from flow_manip_perception.tracking.spatial import SpatialTracks
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    camera_from_info,
    color_from_image,
    depth_from_image,
    make_header,
    mask_from_msg,
    observation_from_msg,
    pose_from_transform,
    seconds_from_stamp,
    transform_from_msg,
)
from flow_manip_ros.goals import run_service
from flow_manip_ros.nodes import ManagedNode, run_node
from message_filters import ApproximateTimeSynchronizer, Subscriber
import tf2_ros

POLL = 0.01  # [s]
Images = tuple[Image, Image, CameraInfo]


@dataclass(frozen=True)
class FollowingConfig:
    """How an object is followed.

    Attributes:
        num_points: on it, where a request does not say.
        window: images that tracks are published of.
        max_rate: images per second that are looked at; more often is left out [Hz].
        slop: between colour, depth and camera info of one image [s].
        tf_timeout: for the camera's pose at the time of an image [s].
        pose: when points say how the object moved.
    """

    num_points: int = field(default=200, metadata={'doc': 'Points on the object'})
    window: int = field(default=8, metadata={'doc': 'Images that tracks are published of'})
    max_rate: float = field(default=10.0, metadata={'doc': 'Images looked at [Hz]'})
    slop: float = field(default=0.03, metadata={'doc': 'Between colour and depth [s]'})
    tf_timeout: float = field(default=1.0, metadata={'doc': "For the camera's pose [s]"})
    pose: ObjectPoseConfig = field(default_factory=ObjectPoseConfig)


@dataclass(frozen=True)
class Target:
    """What is followed.

    Attributes:
        stream: of its points.
        camera: that its images come from.
        start: (N, 3) world points at the start, NaN without depth [m].
    """

    stream: PointStream
    camera: CameraModel
    start: NDArray[np.float64]


class TrackingNode(ManagedNode):
    """Serves `~/start` and `~/reset`; publishes `perception/<camera>/tracks`, `.../tracked_pose`.

    It listens to the camera only while it follows something: images wake whoever subscribes.
    Only the newest image waits while one is worked on; the others are counted and left out.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters and build the backend; `kwargs` go to the node."""
        super().__init__('tracking_node', **kwargs)
        context = self.parameters.context()
        self._rig = context.rig
        self._tracker: PointTracker = self.parameters.backend(TRACKERS, 'lucas_kanade', context)
        self._config = self.parameters.dataclass(FollowingConfig, 'following.')
        self.parameters.check()
        self._news = threading.Condition()
        self._waiting: Images | None = None
        self._running = False
        self._skipped = 0
        self._work = threading.Lock()
        self._target: Target | None = None
        self._stream: tuple[PointStream, CameraModel] | None = None
        self._next_id = self._first_id = 0
        self._worker: threading.Thread | None = None
        self._inputs: list[Subscriber] = []
        self._services: list[Any] = []
        self._images = MutuallyExclusiveCallbackGroup()
        self._buffer: tf2_ros.Buffer | None = None

    def set_up(self) -> None:
        """Create the publishers."""
        topic = f'perception/{self._rig.camera.name}'
        self._tracks = self.create_publisher(PointTracksMsg, f'{topic}/tracks', qos.SENSOR)
        self._pose = self.create_publisher(PoseStamped, f'{topic}/tracked_pose', qos.SENSOR)

    def start(self) -> None:
        """Serve."""
        services = MutuallyExclusiveCallbackGroup()
        self._services = [
            self.create_service(StartTracking, '~/start', self._start, callback_group=services),
            self.create_service(Empty, '~/reset', self._reset, callback_group=services),
        ]
        self._running = True
        self._worker = threading.Thread(target=self._follow_images, name='tracking', daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """Stop serving and following."""
        with self._news:
            self._running, self._waiting = False, None
            self._news.notify_all()
        if self._worker is not None:
            self._worker.join(timeout=5.0)
            self._worker = None
        for service in self._services:
            self.destroy_service(service)
        self._services = []
        self._forget()

    def tear_down(self) -> None:
        """Give publishers and the listener back."""
        self.stop()
        for name in ('_tracks', '_pose'):
            if hasattr(self, name):
                self.destroy_publisher(getattr(self, name))
                delattr(self, name)

    def destroy_node(self) -> None:
        """Stop the worker, then the node."""
        self.stop()
        super().destroy_node()

    # ------------------------------------------------------------- services

    def _start(
        self, request: StartTracking.Request, response: StartTracking.Response
    ) -> StartTracking.Response:
        def work() -> None:
            with self._work:
                self._forget()
                observation = observation_from_msg(request.observation)
                mask = mask_from_msg(request.mask)
                response.point_ids = self._begin(observation, mask, request.num_points).tolist()

        return run_service(response, work, self.get_logger())

    def _begin(self, observation: Observation, mask: Mask, num_points: int) -> NDArray[np.uint32]:
        """Follow the masked object from the observation on; return the points' ids."""
        depth, camera = observation.depth, observation.camera
        if mask.pixels.shape != depth.shape:
            raise InvalidInputError(f'mask is {mask.pixels.shape}, the image {depth.shape}')
        usable, least = mask.pixels & np.isfinite(depth), self._config.pose.min_points
        if usable.sum() < least:
            raise TooFewPointsError(
                f'{int(usable.sum())} pixels of the object have depth, {least} are needed'
            )
        queries = farthest_queries(usable, num_points or self._config.num_points, 1.0)
        if self._stream is None or self._stream[1] != camera:
            self._first_id = self._next_id
            stream = self._tracker.stream(window=self._config.window, camera=camera)
            self._stream = (stream, camera)
        stream = self._stream[0]
        ids = stream.reset(queries, regions=np.where(mask.pixels, 0, FREE))
        stream.push(observation.color, observation.stamp, depth)
        points = lift_pixels(queries, depth, camera, self._config.pose.edge)
        self._target = Target(stream, camera, transform_points(observation.T_world_camera, points))
        self._listen()
        ids = (ids + self._first_id).astype(np.uint32)
        self._next_id = int(ids[-1]) + 1
        self.get_logger().info(f"following {len(ids)} points of '{mask.label}'")
        return ids

    def _reset(self, _: Empty.Request, response: Empty.Response) -> Empty.Response:
        with self._work:
            self._forget()
        return response

    def _forget(self) -> None:
        """Follow nothing and listen to nothing."""
        self._target = None
        for subscriber in self._inputs:
            self.destroy_subscription(subscriber.sub)
        self._inputs = []

    def _listen(self) -> None:
        """Take images, and where the camera stands."""
        if self._buffer is None:
            self._buffer = tf2_ros.Buffer(node=self)
            self._listener = tf2_ros.TransformListener(self._buffer, self)
        camera = f'cameras/{self._rig.camera.name}'
        self._inputs = [
            Subscriber(
                self, kind, f'{camera}/{name}', qos_profile=qos.SENSOR, callback_group=self._images
            )
            for kind, name in (
                (Image, 'color/image_raw'),
                (Image, 'depth/image_rect'),
                (CameraInfo, 'color/camera_info'),
            )
        ]
        synchronizer = ApproximateTimeSynchronizer(self._inputs, 5, self._config.slop)
        synchronizer.registerCallback(self._on_images)

    # --------------------------------------------------------------- images

    def _on_images(self, color: Image, depth: Image, info: CameraInfo) -> None:
        """Keep the newest; nothing is decoded here."""
        if self._target is None:
            return
        with self._news:
            self._skipped += self._waiting is not None
            self._waiting = (color, depth, info)
            self._news.notify_all()

    def _follow_images(self) -> None:
        """Work on one image after the other until the node stops."""
        newest = -np.inf
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting is not None or not self._running)
                if not self._running or self._waiting is None:
                    return
                images, self._waiting = self._waiting, None
            stamp = seconds_from_stamp(images[0].header.stamp)
            # Time that jumps back (a simulation that was reset) begins anew.
            if 0.0 <= stamp - newest < 0.9 / self._config.max_rate:
                continue
            newest = stamp
            try:
                self._follow(images, stamp)
            except FlowManipError as error:
                self._warn(f'an image was left out: {error.name} {error}')
            except Exception:  # the thread must outlive a bug, and say it
                self.get_logger().error(f'tracking failed on a bug\n{traceback.format_exc()}')

    def _follow(self, images: Images, stamp: float) -> None:
        """Follow into one image and publish."""
        color, depth = color_from_image(images[0]), depth_from_image(images[1])
        camera = camera_from_info(images[2])
        T_world_camera = self._camera_pose(images[0])
        with self._work:
            target = self._target
            if target is None:
                return
            if camera != target.camera:
                raise InvalidInputError(f'the image is of {camera}, tracking of {target.camera}')
            tracks = target.stream.push(color, stamp, depth)
            # Left out, or a backend that answers every few images only.
            if tracks.times[-1] != stamp:
                return
            now, sure = self._where(tracks, depth, camera)
            motion = find_object_motion(
                target.start, transform_points(T_world_camera, now), sure, self._config.pose
            )
            self._tracks.publish(self._message(tracks, images[0]))
        self._publish_pose(motion, tracks, stamp)

    def _where(
        self, tracks: PointTracks, depth: NDArray[np.float32], camera: CameraModel
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return (N, 3) points in the camera's frame, NaN unknown, and (N,) how sure they are."""
        pixels, sure = tracks.points[-1], tracks.confidence[-1]
        seen = lift_pixels(pixels, depth, camera, self._config.pose.edge)
        if not isinstance(tracks, SpatialTracks):
            return seen, sure
        own = camera.deproject(pixels, tracks.depth[-1])
        believed = tracks.support[-1] > 0.5
        return np.where(believed[:, None], own, seen), np.where(believed, tracks.support[-1], sure)

    def _publish_pose(
        self, motion: ObjectMotion | None, tracks: PointTracks, stamp: float
    ) -> None:
        if motion is None:
            self._warn(
                f'the object is lost: {int(tracks.visible[-1].sum())} of '
                f'{tracks.points.shape[1]} points in sight do not agree on a motion'
            )
            return
        header = make_header(self._rig.frame_id, stamp)
        self._pose.publish(PoseStamped(header=header, pose=pose_from_transform(motion.motion)))

    def _message(self, tracks: PointTracks, image: Image) -> PointTracksMsg:
        num_steps, num_points, _ = tracks.points.shape
        message = PointTracksMsg(header=image.header, num_steps=num_steps, num_points=num_points)
        message.points = tracks.points.ravel().tolist()
        message.confidence = tracks.confidence.ravel().tolist()
        message.times = (tracks.times - tracks.times[-1]).tolist()
        message.point_ids = (tracks.point_ids + self._first_id).tolist()
        return message

    def _camera_pose(self, image: Image) -> NDArray[np.float64]:
        """Return T_world_camera at the time of the image."""
        world, frame = self._rig.frame_id, image.header.frame_id
        deadline = time.monotonic() + self._config.tf_timeout
        while self._buffer is not None:
            try:
                found = self._buffer.lookup_transform(
                    world, frame, Time.from_msg(image.header.stamp)
                )
                return transform_from_msg(found.transform)
            except tf2_ros.TransformException as error:
                if time.monotonic() > deadline or not self._running:
                    raise TransformMissingError(
                        f"no transform '{frame}' to '{world}': {error}"
                    ) from error
            time.sleep(POLL)
        raise TransformMissingError(f"nobody listens for '{frame}' to '{world}'")

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=2.0)


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    run_node(TrackingNode, args)
