# SPDX-License-Identifier: Apache-2.0
"""Draws takes: a copy of the cell's model whose geoms are put where the frame wants them.

Nothing is simulated, and nothing of the live cell is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_mujoco.camera import Renderer
from flow_manip_mujoco.camera.renderer import Adjust
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.scene import HIDDEN_GROUP, ROBOT_GROUP
from flow_manip_mujoco.video.hand import add_hand, mark_as_unknown
from flow_manip_mujoco.video.take import Array, Take

_PIXEL = 1e-5  # [m] of an imagined sensor


class Stage:
    """One scene, ready to be drawn; belongs to the thread that made it."""

    def __init__(
        self,
        cell: SimulatedCell,
        camera: CameraModel,
        T_world_camera: Array,
        *,
        show_robot: bool = True,
        carried: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Copy a cell's model and state.

        Args:
            cell: in the state that videos begin with; not kept.
            camera: of the pictures.
            T_world_camera: (4, 4) where it stands at the start.
            show_robot: draw it, standing still.
            carried: bodies that move along with a body, by its name.

        Raises:
            BackendError: no off-screen rendering on this machine.
        """
        self._carried = dict(carried or {})
        self._name = cell.context.rig.camera.name
        self.model = copy(cell.model)
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:] = cell.data.qpos
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        if not show_robot:
            self.model.geom_group[self.model.geom_group == ROBOT_GROUP] = HIDDEN_GROUP
        self._camera = camera
        self._start = self.data.geom_xpos.copy(), self.data.geom_xmat.reshape(-1, 3, 3).copy()
        self._look = self.model.geom_rgba.copy(), self.model.geom_group.copy()
        self._set_sensor()
        self.look_from(T_world_camera)
        # The buffer must hold the picture.
        self.model.vis.global_.offwidth = camera.width
        self.model.vis.global_.offheight = camera.height
        self._renderer = Renderer(
            self.model, camera.width, camera.height, shadows=cell.config.shadows
        )

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()

    def look_from(self, T_world_camera: Array, zoom: float = 1.0) -> None:
        """Put the camera somewhere, its focal length multiplied by `zoom`."""
        number = self.model.camera(self._name).id
        turn = T_world_camera[:3, :3] @ np.diag([1.0, -1.0, -1.0])
        self.data.cam_xpos[number] = T_world_camera[:3, 3]
        self.data.cam_xmat[number] = turn.ravel()
        self.model.cam_intrinsic[number] = self._intrinsic * [zoom, zoom, 1.0, 1.0]

    def pose_of(self, body: str) -> Array:
        """Return the (4, 4) T_world_body at the start."""
        number = self.model.body(body).id
        pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[number].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[number]
        return pose

    def draw(
        self, take: Take, frame: int, hand: Array | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw (H, W, 3) uint8 RGB and (H, W) float32 depth [m] of a frame of a take.

        Args:
            take: what happens.
            frame: its number.
            hand: (4, 4) T_world_hand of a hand to draw; None for none.
        """
        self._pose(take, frame)
        return self._renderer.render(self.data, self._name, self._adjust(take, frame, hand))

    def mask(
        self, take: Take, frame: int, body: str, hand: Array | None = None
    ) -> NDArray[np.bool_]:
        """Draw the (H, W) true pixels of a body in a frame of a take."""
        self._pose(take, frame)
        geoms = self._renderer.segment(self.data, self._name, self._adjust(take, frame, hand))
        bodies = np.append(self.model.geom_bodyid, -1)[geoms]
        return np.asarray(bodies == self.model.body(body).id)

    def geoms(self) -> NDArray[np.int32]:
        """Draw the (H, W) numbers of the geoms in view as all stands at the start, -1 for none."""
        return self._renderer.segment(self.data, self._name)

    def visible_pixels(self) -> dict[str, int]:
        """Count the pixels of every body in view as it stands at the start."""
        bodies, counts = np.unique(
            np.append(self.model.geom_bodyid, 0)[self.geoms()], return_counts=True
        )
        return {self.model.body(int(b)).name: int(n) for b, n in zip(bodies, counts)}

    # ---------------------------------------------------------------- inside

    def _set_sensor(self) -> None:
        """Give the model's camera the intrinsics of the pictures."""
        camera, number = self._camera, self.model.camera(self._name).id
        # MuJoCo counts the principal point from the picture's middle, to the left and up.
        aside = [(camera.width - 1) / 2 - camera.cx, (camera.height - 1) / 2 - camera.cy]
        self.model.cam_resolution[number] = camera.width, camera.height
        self.model.cam_sensorsize[number] = np.array([camera.width, camera.height]) * _PIXEL
        self._intrinsic = np.array([camera.fx, camera.fy, *aside]) * _PIXEL

    def _pose(self, take: Take, frame: int) -> None:
        """Put everything where a frame wants it."""
        model, data = self.model, self.data
        self.look_from(take.camera[frame], float(take.zoom[frame]))
        positions, turns = self._start
        data.geom_xpos[:], data.geom_xmat[:] = positions, turns.reshape(-1, 9)
        model.geom_rgba[:], model.geom_group[:] = self._look
        body = model.body(take.moving).id
        now, start = take.poses[frame], self.pose_of(take.moving)
        for other in (body, *(model.body(n).id for n in self._carried.get(take.moving, ()))):
            geoms = np.flatnonzero(model.geom_bodyid == other)
            stretch = np.diag(take.stretch[frame] if other == body else np.ones(3))
            # From the world to the body at the start, stretched there, and out to where it is now.
            change = now[:3, :3] @ stretch @ start[:3, :3].T
            data.geom_xpos[geoms] = (positions[geoms] - start[:3, 3]) @ change.T + now[:3, 3]
            data.geom_xmat[geoms] = (change @ turns[geoms]).reshape(-1, 9)
        geoms = np.flatnonzero(model.geom_bodyid == body)
        share = take.tinted[frame]
        model.geom_rgba[geoms, :3] = (1 - share) * self._look[0][geoms, :3] + share * take.tint
        if not take.visible[frame]:
            model.geom_group[geoms] = HIDDEN_GROUP

    def _adjust(self, take: Take, frame: int, hand: Array | None) -> Adjust:
        """Return what adds to the scene that the model has not: a second object, a hand."""
        ghost = None if take.ghost is None else take.ghost[frame]
        if ghost is not None and not np.isfinite(ghost).all():
            ghost = None

        def adjust(scene: mujoco.MjvScene) -> None:
            if ghost is not None:
                self._add_ghost(scene, take.moving, take.poses[frame], ghost)
            if hand is not None:
                add_hand(scene, hand)

        return adjust

    def _add_ghost(self, scene: mujoco.MjvScene, body: str, original: Array, ghost: Array) -> None:
        """Add a copy of a body that is drawn at `original` (4, 4), at `ghost` (4, 4)."""
        number, count = self.model.body(body).id, scene.ngeom
        turn = ghost[:3, :3] @ original[:3, :3].T
        for index in range(count):
            geom = scene.geoms[index]
            if (
                geom.objtype != mujoco.mjtObj.mjOBJ_GEOM
                or self.model.geom_bodyid[geom.objid] != number
            ):
                continue
            place = turn @ (geom.pos - original[:3, 3]) + ghost[:3, 3]
            new = scene.geoms[scene.ngeom]
            mujoco.mjv_initGeom(
                new,
                geom.type,
                geom.size.astype(np.float64),
                place,
                (turn @ geom.mat).ravel(),
                geom.rgba,
            )
            for name in ('dataid', 'matid', 'specular', 'shininess', 'emission', 'reflectance'):
                setattr(new, name, getattr(geom, name))
            mark_as_unknown(scene)
