# SPDX-License-Identifier: Apache-2.0
"""Draws a cell's scene in many looks, without stepping it; one renderer for all scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.camera import CameraModel
from flow_manip_learning.simulated.looks import Light, Surface, View
from flow_manip_mujoco.camera import Renderer
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.scene import HIDDEN_GROUP, ROBOT_GROUP, SCENERY_GROUP

Array = NDArray[np.float64]

_PIXEL = 1e-5  # [m] of an imagined sensor
_CHANGED = (
    *('geom_rgba', 'geom_group', 'mat_rgba', 'tex_data', 'light_dir', 'light_diffuse'),
    *('cam_intrinsic', 'cam_resolution', 'cam_sensorsize', 'cam_pos', 'cam_quat'),
)


class Canvas:
    """Draws the scene of a cell; belongs to the thread that made it.

    The cell's model is changed while it is on the canvas and put back by `release`, so that the
    cell may keep it for later scenes.
    """

    def __init__(self, width: int, height: int) -> None:
        """Get ready for pictures of `width` x `height` pixels."""
        self._size = width, height
        self._renderer: Renderer | None = None
        self._kept: dict[str, NDArray] = {}

    def take(self, cell: SimulatedCell) -> None:
        """Put a cell's scene on the canvas, everything where it is now.

        Raises:
            BackendError: no off-screen rendering on this machine.
        """
        self.release()
        self._model, self._camera = cell.model, cell.context.rig.camera.name
        self._kept = {name: getattr(cell.model, name).copy() for name in _CHANGED}
        self._head = (
            cell.model.vis.headlight.ambient.copy(),
            (cell.model.vis.headlight.diffuse.copy()),
        )
        self.data = mujoco.MjData(cell.model)
        self.update(cell)
        if self._renderer is None:
            self._renderer = Renderer(cell.model, *self._size)
        else:
            self._renderer.set_model(cell.model)

    def update(self, cell: SimulatedCell) -> None:
        """Take over where everything is now."""
        data = self.data
        data.qpos[:] = cell.data.qpos
        mujoco.mj_kinematics(cell.model, data)
        mujoco.mj_comPos(cell.model, data)
        mujoco.mj_camlight(cell.model, data)
        self._start = data.geom_xpos.copy(), data.geom_xmat.reshape(-1, 3, 3).copy()
        self._poses = data.xpos.copy(), data.xmat.reshape(-1, 3, 3).copy()

    def release(self) -> None:
        """Give the cell its model back as it was."""
        for name, values in self._kept.items():
            getattr(self._model, name)[:] = values
        if self._kept:
            self._model.vis.headlight.ambient[:], self._model.vis.headlight.diffuse[:] = self._head
        self._kept = {}

    def close(self) -> None:
        """Release the cell and free the renderer."""
        self.release()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    # ---------------------------------------------------------------- looks

    def look_from(self, view: View) -> None:
        """Put the camera somewhere."""
        model, data, camera = self._model, self.data, view.camera
        number = model.camera(self._camera).id
        turn = view.T_world_camera[:3, :3] @ np.diag([1.0, -1.0, -1.0])
        data.cam_xpos[number] = view.T_world_camera[:3, 3]
        data.cam_xmat[number] = turn.ravel()
        model.cam_resolution[number] = camera.width, camera.height
        model.cam_sensorsize[number] = np.array([camera.width, camera.height]) * _PIXEL
        model.cam_intrinsic[number] = _intrinsic(camera)

    def paint(self, shades: Mapping[str, tuple[float, float, float]], cell: SimulatedCell) -> None:
        """Give objects other colours; parts that have a colour of their own keep it.

        Args:
            shades: 0..1, by name.
            cell: whose objects they are.
        """
        model = self._model
        model.geom_rgba[:] = self._kept['geom_rgba']
        for spec in cell.objects:
            if spec.name not in shades:
                continue
            geoms = np.flatnonzero(model.geom_bodyid == model.body(spec.name).id)
            # In the order that the scene was built in: parts, then meshes.
            for geom, piece in zip(geoms, (*spec.parts, *spec.meshes), strict=True):
                if piece.rgb is None:
                    shade = getattr(piece, 'shade', 1.0)
                    colour = np.array(shades[spec.name]) * shade
                    model.geom_rgba[geom, :3] = np.clip(colour, 0.0, 1.0)

    def light(self, light: Light | None) -> None:
        """Set the lights; None: the cell's own."""
        model, data = self._model, self.data
        model.light_dir[:], model.light_diffuse[:] = (
            self._kept['light_dir'],
            self._kept['light_diffuse'],
        )
        head = model.vis.headlight
        head.ambient[:], head.diffuse[:] = self._head
        if light is not None:
            for name, direction in light.directions.items():
                model.light(name).dir[:] = direction
                model.light(name).diffuse[:] = light.diffuse[name]
            head.ambient[:], head.diffuse[:] = light.ambient, light.head
        mujoco.mj_camlight(model, data)

    def cover(self, surfaces: Mapping[str, Surface]) -> None:
        """Cover table and floor, by the names of their materials."""
        model = self._model
        for name, surface in surfaces.items():
            texture = model.texture(name).id
            start = int(model.tex_adr[texture])
            shape = (
                int(model.tex_height[texture]),
                int(model.tex_width[texture]),
                int(model.tex_nchannel[texture]),
            )
            end = start + int(np.prod(shape))
            own = self._kept['tex_data'][start:end]
            fresh = own
            if surface.pattern is not None:
                size = (shape[1], shape[0])
                fresh = cv2.resize(surface.pattern, size, interpolation=cv2.INTER_LINEAR)
                fresh = fresh[..., : shape[2]].ravel()
            model.mat_rgba[model.material(name).id, :3] = surface.tint
            if not np.array_equal(model.tex_data[start:end], fresh):
                model.tex_data[start:end] = fresh
                self._renderer.upload_texture(texture)

    def show(self, *, robot: bool = True, scenery: bool = True) -> None:
        """Choose what is drawn beside the objects."""
        groups = self._model.geom_group
        groups[:] = self._kept['geom_group']
        for group, shown in ((ROBOT_GROUP, robot), (SCENERY_GROUP, scenery)):
            if not shown:
                groups[self._kept['geom_group'] == group] = HIDDEN_GROUP

    # ---------------------------------------------------------------- pictures

    def move(self, bodies: Sequence[str], change: Array | None = None) -> None:
        """Move bodies by one (4, 4) transform of the world from where they started.

        Everything else is put back where it started; without a transform all of it is.
        """
        data, model = self.data, self._model
        positions, turns = self._start
        data.geom_xpos[:], data.geom_xmat[:] = positions, turns.reshape(-1, 9)
        if change is None:
            return
        numbers = [model.body(name).id for name in bodies]
        geoms = np.flatnonzero(np.isin(model.geom_bodyid, numbers))
        data.geom_xpos[geoms] = positions[geoms] @ change[:3, :3].T + change[:3, 3]
        data.geom_xmat[geoms] = (change[:3, :3] @ turns[geoms]).reshape(-1, 9)

    def picture(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw (H, W, 3) uint8 RGB and (H, W) float32 depth [m], NaN where nothing is."""
        return self._renderer.render(self.data, self._camera)

    def bodies(self) -> NDArray[np.int64]:
        """Draw the (H, W) numbers of the bodies in view, -1 for none."""
        geoms = self._renderer.segment(self.data, self._camera)
        return np.append(self._model.geom_bodyid, -1)[geoms]

    def number_of(self, body: str) -> int:
        """Return the number that `bodies` has for a body."""
        return int(self._model.body(body).id)


def _intrinsic(camera: CameraModel) -> Array:
    """Return MuJoCo's focal lengths and principal point, that from the middle, left and up [m]."""
    aside = [(camera.width - 1) / 2 - camera.cx, (camera.height - 1) / 2 - camera.cy]
    return np.array([camera.fx, camera.fy, *aside]) * _PIXEL
