# SPDX-License-Identifier: Apache-2.0
"""A browser view of a scene: cloud, masks, flow, grasps, plan and robot. Needs viser, not ROS."""

from __future__ import annotations

from collections.abc import Mapping
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Plan
from flow_manip_core.robot import RigConfig, RobotConfig
from flow_manip_core.transforms import quaternion_from_transform, transform_points
from flow_manip_task.drawing.canvas import ACCENT, GOOD, time_colors
from flow_manip_task.drawing.flow import spread_points
from flow_manip_task.drawing.plan import gripper_lines

LOOPBACK = '127.0.0.1'
POINT_SIZE = 0.0025  # [m]
LINES = 64  # points of the flow that are drawn as lines
CONSIDERED = 20
FRAME_RATE = 30.0  # [Hz] of the animated plan
PAUSE = 1.0  # [s] at the end of the plan before it begins again


class SceneView:
    """Shows the latest of everything at http://127.0.0.1:<port>; other machines do not see it."""

    def __init__(
        self,
        port: int = 8080,
        *,
        robot: RobotConfig | None = None,
        rig: RigConfig | None = None,
        host: str = LOOPBACK,
    ) -> None:
        """Start serving.

        Args:
            port: of the page; the next free one if it is taken, `url` says which.
            robot: drawn from its URDF; None draws none.
            rig: where the robot stands.
            host: address to serve on.

        Raises:
            BackendError: viser is not installed, or nothing can be served here.
        """
        try:
            import viser
        except ImportError as error:
            raise BackendError(f'{error}; install it with: pip install viser') from error
        try:
            self.server = viser.ViserServer(host=host, port=port, verbose=False)
        except OSError as error:
            raise BackendError(f'port {port} of {host}: {error}') from error
        self.url = f'http://{host}:{self.server.get_port()}'
        self._scene = self.server.scene
        self._scene.set_up_direction('+z')
        self._scene.add_grid('/grid', width=2.0, height=2.0, cell_size=0.1, section_size=0.5)
        camera = self.server.initial_camera
        camera.position, camera.look_at = (1.25, -0.75, 0.8), (0.45, 0.0, 0.1)
        self._lock = threading.RLock()
        self._cloud: tuple[NDArray, NDArray] | None = None
        self._observation: Observation | None = None
        self._object: NDArray | None = None
        self._plan: Plan | None = None
        self._closing = threading.Event()
        self._robot = _load_robot(self.server, robot, rig) if robot else None
        self._text = self.server.gui.add_markdown('**flow_manip**')
        self._animate = self.server.gui.add_checkbox('play the plan', True)
        self._thread = threading.Thread(target=self._play, name='viewer', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        self.server.stop()

    def show_text(self, text: str) -> None:
        """Show a line of words beside the scene."""
        self._text.content = text

    def show_observation(self, observation: Observation) -> None:
        """Show the coloured cloud and the camera; what belonged to the last one goes."""
        points = observation.points_world()
        known = np.isfinite(points).all(axis=-1)
        with self._lock:
            self._observation, self._plan, self._object = observation, None, None
            for name in ('/flow', '/grasps', '/plan', '/mask'):
                # An empty frame in its place takes everything below away.
                self._scene.add_frame(name, show_axes=False)
                self._scene.remove_by_name(name)
            self._scene.add_point_cloud(
                '/cloud',
                points[known].astype(np.float32),
                observation.color[known],
                point_size=POINT_SIZE,
            )
            self._show_camera(observation)
            self.show_joints(observation.joint_positions)

    def show_joints(self, positions: Mapping[str, float]) -> None:
        """Move the drawn robot to joint positions by name [rad, m]; others stay as they are."""
        if self._robot is not None and positions:
            with self._lock:
                self._robot.move(positions)

    def show_masks(self, masks: list[Mask]) -> None:
        """Colour the object that moves (orange) and those it is moved relative to (green)."""
        with self._lock:
            if self._observation is None:
                return
            for index, mask in enumerate(masks):
                points = mask.points(self._observation).astype(np.float32)
                if index == 0:
                    self._object = points
                name, color = f'/mask/{index}', ACCENT if index == 0 else GOOD
                self._scene.add_point_cloud(name, points, color, point_size=POINT_SIZE * 1.6)
                if len(points):
                    top = points.mean(axis=0) + np.array([0, 0, 0.06])
                    self._scene.add_label(f'{name}/label', mask.label, position=tuple(top))

    def show_flow(self, flow: ObjectFlow) -> None:
        """Show the flow as lines from violet (start) to yellow (end)."""
        colors = np.array(time_colors(flow.num_steps), dtype=np.uint8)
        segments, shades = [], []
        for index in spread_points(flow.points[0], LINES):
            seen = flow.visible[:-1, index] & flow.visible[1:, index]
            for step in np.flatnonzero(seen):
                segments.append(flow.points[step : step + 2, index])
                shades.append(colors[step : step + 2])
        with self._lock:
            self._lines('/flow/lines', segments, shades, 2.0)

    def show_plan(self, plan: Plan) -> None:
        """Show grasps, the object's planned way, and play the robot's motion."""
        with self._lock:
            self._plan = plan
            for index, grasp in enumerate(plan.considered[:CONSIDERED]):
                self._gripper(f'/grasps/considered/{index}', gripper_lines(grasp), (160,) * 3, 1.0)
            self._gripper('/grasps/chosen', gripper_lines(plan.grasp), GOOD, 4.0)
            start = plan.grasp.T_world_tcp[:3, 3]
            way = np.array([transform_points(pose, start) for pose in plan.object_poses])
            if len(way) > 1:
                segments = np.stack([way[:-1], way[1:]], axis=1)
                colors = np.array(time_colors(len(way)), dtype=np.uint8)
                shades = np.stack([colors[:-1], colors[1:]], axis=1)
                self._lines('/plan/way', segments, shades, 5.0)

    def _show_camera(self, observation: Observation) -> None:
        camera, pose = observation.camera, observation.T_world_camera
        x, y, z, w = quaternion_from_transform(pose)
        self._scene.add_camera_frustum(
            '/camera',
            fov=float(2 * np.arctan2(camera.height / 2, camera.fy)),
            aspect=camera.width / camera.height,
            scale=0.06,
            image=observation.color[::4, ::4],
            wxyz=(w, x, y, z),
            position=tuple(pose[:3, 3]),
        )

    def _gripper(self, name: str, lines: NDArray, color: tuple[int, ...], width: float) -> None:
        shades = np.broadcast_to(np.array(color, dtype=np.uint8), lines.shape)
        self._lines(name, lines, shades, width)

    def _lines(self, name: str, segments: Any, shades: Any, width: float) -> None:
        """Draw (N, 2, 3) segments with (N, 2, 3) colours, `width` screen pixels."""
        if len(segments):
            self._scene.add_line_segments(
                name,
                np.asarray(segments, dtype=np.float32),
                np.asarray(shades),
                thickness=width,
                thickness_units='screen',
            )

    def _play(self) -> None:
        """Move robot and object through the plan, again and again."""
        begun = time.monotonic()
        last: Plan | None = None
        while not self._closing.wait(1.0 / FRAME_RATE):
            with self._lock:
                plan, points = self._plan, self._object
                if plan is not last:
                    last, begun = plan, time.monotonic()
                if plan is None or not self._animate.value:
                    continue
                now = (time.monotonic() - begun) % (plan.duration + PAUSE)
                self._draw_moment(plan, points, now)

    def _draw_moment(self, plan: Plan, points: NDArray | None, now: float) -> None:
        """Draw the plan `now` seconds after its begin."""
        for segment in plan.segments:
            move = segment.trajectory
            if move is None:
                continue
            if now <= move.duration or segment is plan.segments[-1]:
                at = move.sample(move.times[0] + now)
                if self._robot is not None:
                    self._robot.move(dict(zip(move.joint_names, at)))
                break
            now -= move.duration
        if points is not None:
            share = self._share_followed(plan, segment, now)
            pose = plan.object_poses[round(share * (len(plan.object_poses) - 1))]
            moved = transform_points(pose, points[::4]).astype(np.float32)
            color, size = (250, 220, 60), POINT_SIZE * 1.4
            self._scene.add_point_cloud('/plan/object', moved, color, point_size=size)

    @staticmethod
    def _share_followed(plan: Plan, running: Any, now: float) -> float:
        """Return 0..1 of the object's way at `now` seconds of the running segment."""
        holding = [s for s in plan.segments if s.holding and s.trajectory is not None]
        total = sum(s.trajectory.duration for s in holding)
        if not holding or total <= 0:
            return 0.0
        order = [id(segment) for segment in plan.segments]
        before = [s for s in holding if order.index(id(s)) < order.index(id(running))]
        done = sum(s.trajectory.duration for s in before)
        done += min(now, running.trajectory.duration) if running.holding else 0.0
        return min(done / total, 1.0)


class _Robot:
    """The robot's URDF in the scene."""

    def __init__(self, urdf: Any, names: tuple[str, ...]) -> None:
        self._urdf, self._values = urdf, dict.fromkeys(names, 0.0)

    def move(self, positions: Mapping[str, float]) -> None:
        for name, value in positions.items():
            if name in self._values:
                self._values[name] = float(value)
        self._urdf.update_cfg(np.array(list(self._values.values())))


def _load_robot(server: Any, robot: RobotConfig, rig: RigConfig | None) -> _Robot:
    """Add the robot to the scene, at home.

    Raises:
        BackendError: its URDF cannot be read.
    """
    try:
        from viser.extras import ViserUrdf
        import yourdfpy

        model = yourdfpy.URDF.load(
            str(robot.folder / robot.urdf),
            load_meshes=True,
        )
        if rig is not None:
            x, y, z, w = quaternion_from_transform(rig.base.matrix)
            server.scene.add_frame(
                '/robot', wxyz=(w, x, y, z), position=rig.base.translation, show_axes=False
            )
        urdf = ViserUrdf(server, model, root_node_name='/robot')
    except (ImportError, OSError, ValueError) as error:
        raise BackendError(f"robot '{robot.name}' cannot be drawn: {error}") from error
    drawn = _Robot(urdf, tuple(urdf.get_actuated_joint_names()))
    drawn.move(dict(zip(robot.joint_names, robot.home)))
    return drawn
