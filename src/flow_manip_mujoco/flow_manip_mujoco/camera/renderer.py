# SPDX-License-Identifier: Apache-2.0
"""Colour, depth and segmentation of a MuJoCo state, off screen.

`mujoco.Renderer` draws the scene once per kind of image; here one drawing gives colour and depth,
which software rendering needs to keep up with a camera's rate.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
import threading
import weakref

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import BackendError
from flow_manip_mujoco.camera.contexts import create_context
from flow_manip_mujoco.scene import OBJECT_GROUP, ROBOT_GROUP, SCENERY_GROUP

MAX_DEPTH = 10.0
"""Farther is unknown [m]. The sky is a box that is drawn at more than half of the far plane."""

Adjust = Callable[[mujoco.MjvScene], None]

_MAX_GEOMS = 4000
_open_renderers: weakref.WeakSet[Renderer] = weakref.WeakSet()


def _close_renderers() -> None:
    """Free this thread's contexts while OpenGL still runs; other threads free their own."""
    for renderer in list(_open_renderers):
        if renderer.thread == threading.get_ident():
            renderer.close()


class Renderer:
    """Draws one model from its cameras; belongs to the thread that created it, as OpenGL does.

    Attributes:
        thread: identifier of that thread.
    """

    def __init__(
        self, model: mujoco.MjModel, width: int, height: int, *, shadows: bool = False
    ) -> None:
        """Start an off-screen context.

        Args:
            model: its off-screen buffer is at least as large as the images.
            width: of the images [px].
            height: of the images [px].
            shadows: draw them; costs about as much as the rest.

        Raises:
            BackendError: neither EGL nor OSMesa works.
        """
        self.thread = threading.get_ident()
        self._size = (width, height)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._gl = create_context(width, height)
        self._context: mujoco.MjrContext | None = None
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[[SCENERY_GROUP, ROBOT_GROUP, OBJECT_GROUP]] = 1
        self._option.sitegroup[:] = 0
        self._shadows = shadows
        self.set_model(model)
        # Exit functions run in reverse: registered after the context exists, this one runs before
        # OpenGL is shut down.
        if not _open_renderers:
            atexit.unregister(_close_renderers)
            atexit.register(_close_renderers)
        _open_renderers.add(self)

    def set_model(self, model: mujoco.MjModel) -> None:
        """Draw another model from now on; its meshes and textures are uploaded once."""
        self._check_thread()
        # Another renderer's context may be current.
        self._gl.make_current()
        if self._context is not None:
            self._context.free()
        self._model = model
        self._scene = mujoco.MjvScene(model, maxgeom=_MAX_GEOMS)
        for flag in (mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_HAZE):
            self._scene.flags[flag] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._shadows
        # No text is drawn: the smallest font starts three times as fast.
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        if self._context.currentBuffer != mujoco.mjtFramebuffer.mjFB_OFFSCREEN:
            raise BackendError('this OpenGL has no off-screen framebuffer')

    def upload_texture(self, texture: int) -> None:
        """Draw with the model's present pixels of a texture, by its number, from now on."""
        self._check_thread()
        self._gl.make_current()
        mujoco.mjr_uploadTexture(self._model, self._context, texture)

    def render(
        self, data: mujoco.MjData, camera: str, adjust: Adjust | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw colour and depth in one pass.

        Args:
            data: whose geoms, lights and cameras stand where they are drawn.
            camera: name.
            adjust: called with the scene before it is drawn, to add what the model has not.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) float32 metres along the optical axis, NaN where nothing
            was hit.
        """
        self._draw(data, camera, adjust)
        width, height = self._size
        color = np.empty((height, width, 3), np.uint8)
        depth = np.empty((height, width), np.float32)
        mujoco.mjr_readPixels(color, depth, self._rect, self._context)
        # OpenGL's first row is the lowest.
        return np.ascontiguousarray(color[::-1]), self._metric_depth(depth[::-1])

    def segment(
        self, data: mujoco.MjData, camera: str, adjust: Adjust | None = None
    ) -> NDArray[np.int32]:
        """Return (H, W) geom ids, -1 where nothing was hit; arguments as in `render`."""
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        try:
            self._draw(data, camera, adjust)
            width, height = self._size
            color = np.empty((height, width, 3), np.uint8)
            mujoco.mjr_readPixels(color, None, self._rect, self._context)
        finally:
            flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        index = color[::-1].astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], dtype=np.int32)
        geoms = np.full(self._scene.ngeom + 1, -1, np.int32)
        for i in range(self._scene.ngeom):
            geom = self._scene.geoms[i]
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geoms[geom.segid + 1] = geom.objid
        return geoms[index]

    def close(self) -> None:
        """Free the context; the renderer cannot be used afterwards."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._context = None
            self._gl.free()
            _open_renderers.discard(self)

    def _draw(self, data: mujoco.MjData, camera: str, adjust: Adjust | None) -> None:
        """Draw into the off-screen buffer."""
        self._check_thread()
        if self._context is None:
            raise BackendError('the renderer is closed')
        self._camera.fixedcamid = self._model.camera(camera).id
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        if adjust is not None:
            adjust(self._scene)
        self._gl.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._context)

    def _metric_depth(self, buffer: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn the reversed depth buffer (1 near, 0 far) into metres: the projection's inverse."""
        near = np.float32(self._model.vis.map.znear * self._model.stat.extent)
        far = np.float32(self._model.vis.map.zfar * self._model.stat.extent)
        depth = near * far / (near + buffer * (far - near))
        return np.where(depth < MAX_DEPTH, depth, np.float32(np.nan)).astype(np.float32)

    def _check_thread(self) -> None:
        if threading.get_ident() != self.thread:
            raise BackendError(
                'a renderer was used outside the thread that created it; give each thread its own'
            )
