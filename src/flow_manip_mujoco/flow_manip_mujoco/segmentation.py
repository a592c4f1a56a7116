# SPDX-License-Identifier: Apache-2.0
"""Segmentation by the truth: for taking the segmenter out of what is measured."""

from __future__ import annotations

from dataclasses import dataclass
import threading

import numpy as np

from flow_manip_core.errors import BackendError, ObjectAbsentError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.tasks.meaning import trial_steps
from flow_manip_mujoco.tasks.words import find_body, TABLE
from flow_manip_mujoco.video.stage import Stage


class GroundTruthSegmenter:
    """Gives the true visible pixels of what words name; exists in simulation only.

    What the step of a task calls its object goes first, then what everything on the table is
    called. Where things are comes from `Context.simulation` when it is asked; the camera is that
    of the observation. May be used by several threads.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters.

        Attributes:
            min_pixels: what shows less is not in view.
        """

        min_pixels: int = 1

    def __init__(self, config: Config, context: Context) -> None:
        """Get ready; the first question builds the copy of the cell.

        Raises:
            BackendError: the context has no simulation.
        """
        if context.simulation is None:
            raise BackendError('the true masks need a simulated cell (Context.simulation)')
        self.config, self._context = config, context
        self._lock = threading.Lock()
        self._cell: SimulatedCell | None = None

    def segment(self, observation: Observation, phrase: str) -> Mask:
        """Return the true pixels of the one thing that `phrase` names.

        Raises:
            ObjectAbsentError: nothing is called that, or it is out of sight.
            ObjectAmbiguousError: several things are.
            PhraseNotUnderstoodError: the words do not name an object.
            InvalidInputError: the state is none of this robot and rig.
        """
        with self._lock:
            cell = self._restored()
            body = find_body(cell, phrase, trial_steps(cell))
            model = cell.model
            geoms = self._geoms(cell, observation)
        if body == TABLE:
            pixels = geoms == model.geom(TABLE).id
        else:
            pixels = np.append(model.geom_bodyid, -1)[geoms] == model.body(body).id
        if int(pixels.sum()) < max(1, self.config.min_pixels):
            raise ObjectAbsentError(
                f"'{phrase}' is '{body}', of which {int(pixels.sum())} pixels are in view"
            )
        return Mask(pixels, phrase)

    def describe(self, observation: Observation) -> list[str]:
        """Return what is in view, in words, one entry per object or part of a fixture."""
        with self._lock:
            cell = self._restored()
            bodies = np.append(cell.model.geom_bodyid, -1)[self._geoms(cell, observation)]
            names, seen = cell.body_names, set(np.unique(bodies).tolist())
            return [n.replace('_', ' ') for n in names if cell.model.body(n).id in seen]

    def _restored(self) -> SimulatedCell:
        """Return the copy of the cell in the present state. Under the lock."""
        if self._cell is None:
            self._cell = SimulatedCell(self._context)
        self._cell.restore(self._context.simulation())
        return self._cell

    def _geoms(self, cell: SimulatedCell, observation: Observation) -> np.ndarray:
        """Return the (H, W) numbers of the geoms that the observation's camera sees."""
        # A renderer belongs to its thread, and nobody knows which thread asks next.
        stage = Stage(cell, observation.camera, observation.T_world_camera)
        try:
            return stage.geoms()
        finally:
            stage.close()
