# SPDX-License-Identifier: Apache-2.0
"""Helpers of the tests: inverse kinematics and smooth joint motion."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.plan import Trajectory
from flow_manip_core.transforms import make_transform
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.panda import ARM_JOINTS, TCP_SITE


def downward_pose(position: Sequence[float], yaw: float = 0.0) -> NDArray[np.float64]:
    """Return a tool pose that looks straight down, fingers closing along y turned by yaw."""
    turn = Rotation.from_euler('z', yaw).as_matrix()
    return make_transform(position, turn @ np.diag([1.0, -1.0, -1.0]))


def solve_ik(
    cell: SimulatedCell, target: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (7,) joints that bring the tool centre point to `target` within 0.1 mm."""
    model, data = cell.model, mujoco.MjData(cell.model)
    joints = [model.joint(name) for name in ARM_JOINTS]
    dofs = [j.dofadr[0] for j in joints]
    lower, upper = np.array([j.range for j in joints]).T
    site = model.site(TCP_SITE).id
    q = np.array(start, dtype=float)
    jacobian = np.zeros((6, model.nv))
    for _ in range(300):
        data.qpos[[j.qposadr[0] for j in joints]] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        rotation = data.site_xmat[site].reshape(3, 3)
        turn = Rotation.from_matrix(target[:3, :3] @ rotation.T).as_rotvec()
        error = np.concatenate([target[:3, 3] - data.site_xpos[site], turn])
        if np.abs(error).max() < 1e-4:
            return q
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        j = jacobian[:, dofs]
        q = np.clip(q + j.T @ np.linalg.solve(j @ j.T + 1e-4 * np.eye(6), error), lower, upper)
    raise AssertionError(f'no joints reach {target[:3, 3]}, still {error} off')


def smooth_motion(
    start: NDArray[np.float64], end: NDArray[np.float64], duration: float, steps: int = 41
) -> Trajectory:
    """Return a quintic from rest to rest."""
    times = np.linspace(0.0, duration, steps)
    s = times / duration
    shape = 10 * s**3 - 15 * s**4 + 6 * s**5
    rate = (30 * s**2 - 60 * s**3 + 30 * s**4) / duration
    bend = (60 * s - 180 * s**2 + 120 * s**3) / duration**2
    way = np.asarray(end) - start
    return Trajectory(
        ARM_JOINTS,
        times,
        start + shape[:, None] * way,
        rate[:, None] * way,
        bend[:, None] * way,
    )


def joints_of(cell: SimulatedCell) -> NDArray[np.float64]:
    """Return the measured (7,) arm joints."""
    return np.array([cell.joint_positions()[name] for name in ARM_JOINTS])
