# SPDX-License-Identifier: Apache-2.0
"""A cell that runs by itself: physics paced to the wall clock in one thread, pictures in another.

When the machine cannot keep up, simulated time runs slower; no physics step and no picture is left
out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import logging
import queue
import threading
import time

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import ConfigurationError
from flow_manip_mujoco.camera import add_depth_noise, DepthNoiseConfig, Renderer
from flow_manip_mujoco.cell import SimulatedCell

_logger = logging.getLogger(__name__)
_MAX_LAG = 0.25  # [s] lag that is caught up with; more is forgotten, the clock was slow then


@dataclass(frozen=True)
class Picture:
    """What the camera saw at one moment.

    Attributes:
        color: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 [m], NaN where unknown.
        time: of the runner's clock [s].
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.float32]
    time: float


class CellRunner:
    """Steps a cell in real time.

    Everything that touches the cell from outside does so within ``with runner.lock``.

    Attributes:
        cell: the cell.
        lock: held while the cell is stepped.
    """

    def __init__(
        self,
        cell: SimulatedCell,
        on_tick: Callable[[float], None],
        *,
        period: float = 0.01,
        real_time_factor: float = 1.0,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            cell: to step.
            on_tick: called with the time [s] after every `period`, with the lock held.
            period: simulated seconds between ticks, a multiple of the time step.
            real_time_factor: simulated over wall time; 0 is as fast as possible.
        """
        steps = round(period / cell.timestep)
        if steps < 1 or abs(steps * cell.timestep - period) > 1e-9:
            raise ConfigurationError(
                f'tick of {period} s is not a multiple of the time step {cell.timestep} s'
            )
        self.cell, self.lock = cell, threading.RLock()
        self._on_tick, self._period, self._steps = on_tick, period, steps
        self._factor = real_time_factor
        self._offset = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def time(self) -> float:
        """Seconds of a clock that never goes back, not even at a reset."""
        return self._offset + self.cell.time

    def reset(self, seed: int, scene: str) -> None:
        """Reset the cell; the clock goes on."""
        with self.lock:
            now = self.time
            try:
                self.cell.reset(seed, scene)
            finally:
                self._offset = now - self.cell.time

    def start(self) -> None:
        """Begin to step."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name='physics', daemon=True)
        self._thread.start()

    def halt(self) -> None:
        """Step no more; does not wait, so the thread itself may call it."""
        self._stopping.set()

    def stop(self) -> None:
        """Stop stepping and wait for the thread."""
        self.halt()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                with self.lock:
                    self.cell.step(self._steps)
                    self._on_tick(self.time)
            except Exception:  # a thread that dies without a word looks like a slow one
                _logger.exception('the simulation stopped at %.3f s', self.time)
                return
            due += self._period / self._factor if self._factor > 0 else 0.0
            wait = due - time.monotonic()
            # Even when late: others who want the lock must get a chance.
            self._stopping.wait(max(wait, 1e-4))
            if wait < -_MAX_LAG:
                due = time.monotonic()


class CameraWorker:
    """Draws pictures of moments that it is handed, in a thread of its own, one at a time."""

    def __init__(
        self,
        cell: SimulatedCell,
        on_picture: Callable[[Picture], None],
        *,
        noise: DepthNoiseConfig | None = None,
        seed: int = 0,
    ) -> None:
        """Start the thread.

        Args:
            cell: whose camera is drawn.
            on_picture: called in the worker's thread.
            noise: of the depth; None draws the truth.
            seed: of the noise.

        Raises:
            BackendError: no off-screen rendering on this machine.
        """
        self._camera = cell.context.rig.camera
        self._shadows = cell.config.shadows
        self._on_picture, self._noise = on_picture, noise
        self._rng = np.random.default_rng(seed)
        self._jobs: queue.Queue[tuple[mujoco.MjModel, NDArray, float] | None] = queue.Queue(1)
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(
            target=self._run, args=(cell.model,), name='camera', daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def take(self, cell: SimulatedCell, now: float) -> None:
        """Hand over the present moment; waits while the one before last is still being drawn."""
        self._put((cell.model, cell.data.qpos.copy(), now))

    def close(self) -> None:
        """Finish what was handed over, then stop."""
        self._put(None)
        self._thread.join()

    def _put(self, job: tuple[mujoco.MjModel, NDArray, float] | None) -> None:
        """Wait for a place in the queue, but not for a thread that has ended."""
        while self._thread.is_alive():
            try:
                self._jobs.put(job, timeout=0.1)
                return
            except queue.Full:
                continue

    def _run(self, model: mujoco.MjModel) -> None:
        try:
            renderer = Renderer(
                model, self._camera.width, self._camera.height, shadows=self._shadows
            )
        except Exception as error:  # handed to whoever waits in the constructor
            self._failure = error
            return
        finally:
            self._ready.set()
        data = mujoco.MjData(model)
        while (job := self._jobs.get()) is not None:
            try:
                if job[0] is not model:
                    model, data = job[0], mujoco.MjData(job[0])
                    renderer.set_model(model)
                self._on_picture(self._draw(renderer, model, data, job[1], job[2]))
            except Exception:  # one lost picture must not end the camera
                _logger.exception('picture at %.3f s was not taken', job[2])
        renderer.close()

    def _draw(
        self,
        renderer: Renderer,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        qpos: NDArray[np.float64],
        now: float,
    ) -> Picture:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        color, depth = renderer.render(data, self._camera.name)
        if self._noise is not None:
            depth = add_depth_noise(depth, self._noise, self._rng)
        return Picture(color, depth, now)
