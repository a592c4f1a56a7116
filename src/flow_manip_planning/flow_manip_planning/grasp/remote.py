# SPDX-License-Identifier: Apache-2.0
"""Grasps from a model server: GraspGen, AnyGrasp, or anything that speaks their frames.

Request, a msgpack map as in `flow_manip_core.wire`: ``version`` 1, ``model``, ``points`` (N, 3)
'<f4' in the camera's optical frame [m], ``colors`` (N, 3) '|u1', ``mask`` (N,) '|u1' (1 on the
object), ``max_grasps``, ``seed``, ``max_width`` of our gripper [m].
Answer: ``version`` 1, ``poses`` (G, 4, 4) '<f4' in that frame, ``scores`` (G,) '<f4', ``widths``
(G,) '<f4' [m] and, for anygrasp, ``depths`` (G,) '<f4' [m]. graspgen has no widths: they may be
left out and are then measured on the cloud. An empty answer has G = 0.

Frames of the poses:

* ``graspgen``: z is the approach, x the closing direction, the origin is the gripper's base link,
  ``base_to_tcp`` behind the tool centre point (the gripper file's ``depth`` there).
* ``anygrasp`` (as graspnetAPI): x is the approach, y the closing direction, the origin is a point
  on the object; the finger tips are ``depth`` beyond it along x.

Ours: z is the approach, y the closing direction, the origin is the tool centre point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flow_manip_core.errors import (
    BackendError,
    ConfigurationError,
    InvalidInputError,
    NoGraspError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.plan import Grasp
from flow_manip_core.robot import Context, GripperConfig
from flow_manip_core.wire import finite_array_of, ModelServer, RemoteError
from flow_manip_planning.cancelling import Cancelled, never_cancelled
from flow_manip_planning.documented import documented as _doc
from flow_manip_planning.grasp.candidate import Candidate, hand_rotation
from flow_manip_planning.grasp.choice import by_contact, check_contact
from flow_manip_planning.grasp.completion import complete_object
from flow_manip_planning.grasp.regions import find_region, holds_region
from flow_manip_planning.kinematics import Array
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import perceive

VERSION = 1
MODELS = ('graspgen', 'anygrasp')
MAX_GRASPS = 4096  # of an answer
ROTATION_TOLERANCE = 0.02  # of single precision and a network's own orthonormalisation
NO_GRASP = 'NO_GRASP'


class RemoteGrasps:
    """Asks a server and turns its frames into ours."""

    @dataclass(frozen=True)
    class Config:
        """Parameters."""

        server: str = _doc('http://127.0.0.1:8110/grasps', 'Where the model is served')
        model: str = _doc('graspgen', "Whose frames the poses are in: 'graspgen' or 'anygrasp'")
        base_to_tcp: float = _doc(
            0.1034, "graspgen: from the gripper's base link to its tool centre point [m]"
        )
        timeout: float = _doc(10.0, 'Of a request [s]')
        max_points: int = _doc(20000, 'Of the cloud that is sent, half of them for the object')
        crop: float = _doc(0.3, 'Points farther than this from the object are not sent [m]')
        max_grasps: int = _doc(64, 'How many to ask for where the caller does not say')

    def __init__(self, config: Config, context: Context) -> None:
        """Check the parameters; the server is first spoken to by `propose`.

        Raises:
            ConfigurationError: the model or the URL is not known.
        """
        if config.model not in MODELS:
            raise ConfigurationError(f"model '{config.model}'; known: {list(MODELS)}")
        if config.max_points < 1 or config.crop <= 0.0:
            raise ConfigurationError(f'max_points {config.max_points}, crop {config.crop} m')
        self._config, self._context = config, context
        self._server = ModelServer(config.server, config.timeout)
        self._robot = RobotModel.from_context(context)

    def propose(
        self,
        observation: Observation,
        mask: Mask,
        *,
        max_grasps: int = 0,
        seed: int = 0,
        contact: Array | None = None,
        part: str = '',
        cancelled: Cancelled = never_cancelled,
    ) -> list[Grasp]:
        """Return the server's grasps in the world frame; see `GraspProposer`.

        Raises:
            NoGraspError: it found none, or none on the part.
            BackendError: it is not there, failed, or answered what cannot be read.
            StageTimeoutError: it did not answer in time.
            CancelledError: `cancelled` said so.
        """
        hint = None if contact is None else check_contact(contact)
        limit = max_grasps or self._config.max_grasps
        request = self._request(observation, mask, limit, seed)
        try:
            answer = self._server.call(request, cancelled)
        except RemoteError as error:
            if error.reason == NO_GRASP:
                raise NoGraspError(f"no grasp on '{mask.label}': {error}") from error
            raise
        try:
            found = self._read(answer, observation, mask.points(observation))
        except InvalidInputError as error:
            raise BackendError(f'{self._server.url}: {error}') from error
        asked = len(found)
        if part:
            found = self._on_part(found, observation, mask, part)
        if not found:
            where = f"the {part} of '{mask.label}'" if part else f"'{mask.label}'"
            raise NoGraspError(f'no grasp on {where} among {asked} of {self._server.url}')
        found.sort(key=lambda candidate: -candidate.score)
        grasps = [c.grasp(swapped) for c in found for swapped in (False, True)]
        return by_contact(grasps, hint, mask.points(observation), limit)

    def _request(
        self, observation: Observation, mask: Mask, limit: int, seed: int
    ) -> dict[str, Any]:
        """Cut the object and what is around it out of the image."""
        depth = np.where(observation.depth > 0, observation.depth, np.nan)
        points = observation.camera.lift(depth)
        on_object = mask.pixels & np.isfinite(points).all(axis=-1)
        if not on_object.any():
            raise NoGraspError(f"'{mask.label}' has 0 points with depth")
        lower = points[on_object].min(axis=0) - self._config.crop
        upper = points[on_object].max(axis=0) + self._config.crop
        near = ((points >= lower) & (points <= upper)).all(axis=-1)  # NaN compares false
        rng, most = np.random.default_rng(seed), self._config.max_points
        index = _thinned(np.flatnonzero(on_object & near), max(most // 2, 1), rng)
        rest = _thinned(np.flatnonzero(near & ~on_object), most - len(index), rng)
        index = np.sort(np.concatenate([index, rest]))
        return {
            'version': VERSION,
            'model': self._config.model,
            'points': points.reshape(-1, 3)[index].astype('<f4'),
            'colors': observation.color.reshape(-1, 3)[index],
            'mask': mask.pixels.ravel()[index].astype('|u1'),
            'max_grasps': int(limit),
            'seed': int(seed),
            'max_width': float(self._context.robot.gripper.max_width),
        }

    def _read(
        self, answer: dict[str, Any], observation: Observation, points: Array
    ) -> list[Candidate]:
        """Check an answer and convert its grasps.

        Raises:
            InvalidInputError: it is not as documented.
        """
        if answer.get('version') != VERSION:
            raise InvalidInputError(
                f'version {str(answer.get("version"))[:20]}, expected {VERSION}'
            )
        poses = finite_array_of(answer, 'poses', '<f4', (None, 4, 4)).astype(float)
        count = len(poses)
        if count > MAX_GRASPS:
            raise InvalidInputError(f'{count} grasps, at most {MAX_GRASPS} are taken')
        if count == 0:
            return []
        poses = _rigid(poses)
        scores = finite_array_of(answer, 'scores', '<f4', (count,)).astype(float)
        scores = np.clip(scores / max(float(scores.max()), 1.0), 0.0, 1.0)
        gripper = self._context.robot.gripper
        if self._config.model == 'anygrasp':
            depths = finite_array_of(answer, 'depths', '<f4', (count,)).astype(float)
            ours = from_anygrasp(poses, depths, gripper)
        else:
            ours = from_graspgen(poses, self._config.base_to_tcp)
        ours = observation.T_world_camera @ ours
        if 'widths' in answer or self._config.model == 'anygrasp':
            widths = finite_array_of(answer, 'widths', '<f4', (count,)).astype(float)
        else:
            widths = np.array([width_between(pose, points, gripper) for pose in ours])
        fits = (widths >= 0.0) & (widths <= gripper.max_width + 1e-6)
        return [
            Candidate(
                pose[:3, 3], pose[:3, :3], min(float(width), gripper.max_width), float(score)
            )
            for pose, width, score, fit in zip(ours, widths, scores, fits)
            if fit
        ]

    def _on_part(
        self, found: list[Candidate], observation: Observation, mask: Mask, part: str
    ) -> list[Candidate]:
        """Keep the grasps that close on a part."""
        surroundings = perceive(observation, mask, self._context, self._robot)
        shape = complete_object(observation, mask, surroundings)
        region = find_region(part, shape, observation.T_world_camera[:3, 3], mask.label)
        tree = cKDTree(shape.points[region])
        return [candidate for candidate in found if holds_region(candidate, tree)]


def _thinned(index: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw at most `count` of some indices."""
    return index if len(index) <= count else rng.choice(index, count, replace=False)


def from_graspgen(poses: Array, base_to_tcp: float) -> Array:
    """Turn (G, 4, 4) poses of the gripper's base link, closing along x, into ours."""
    return _convert(poses, closing=0, approach=2, ahead=np.full(len(poses), base_to_tcp))


def from_anygrasp(poses: Array, depths: Array, gripper: GripperConfig) -> Array:
    """Turn (G, 4, 4) poses in graspnetAPI's frame with (G,) depths to the finger tips into ours.

    The predicted finger tips and those of our gripper are laid upon each other.
    """
    return _convert(poses, closing=1, approach=0, ahead=depths - gripper.tip_offset)


def _convert(poses: Array, closing: int, approach: int, ahead: Array) -> Array:
    """Reorder axes and move the origin (G,) `ahead` along the approach."""
    ours = np.tile(np.eye(4), (len(poses), 1, 1))
    for pose, own, distance in zip(poses, ours, ahead):
        own[:3, :3] = hand_rotation(pose[:3, closing], pose[:3, approach])
        own[:3, 3] = pose[:3, 3] + distance * pose[:3, approach]
    return ours


def _rigid(poses: Array) -> Array:
    """Return (G, 4, 4) poses with exact rotations.

    Raises:
        InvalidInputError: one is no pose but for rounding.
    """
    if not np.allclose(poses[:, 3], [0.0, 0.0, 0.0, 1.0], atol=1e-4):
        raise InvalidInputError("the last row of one of 'poses' is not 0 0 0 1")
    u, _, vt = np.linalg.svd(poses[:, :3, :3])
    nearest = u @ vt
    away = np.abs(nearest - poses[:, :3, :3]).max(axis=(1, 2))
    if away.max() > ROTATION_TOLERANCE or np.linalg.det(nearest).min() < 0:
        raise InvalidInputError(
            f"a rotation of 'poses' is {away.max():.3g} off one, or a reflection"
        )
    exact = poses.copy()
    exact[:, :3, :3] = nearest
    return exact


def width_between(T_world_tcp: Array, points: Array, gripper: GripperConfig) -> float:
    """Return how wide (N, 3) world points are between the pads of a hand [m].

    Args:
        T_world_tcp: (4, 4) grasp pose.
        points: of the object.
        gripper: the hand.

    Returns:
        the gripper's whole opening where nothing was seen between the pads.
    """
    local = (points - T_world_tcp[:3, 3]) @ T_world_tcp[:3, :3]
    tip = gripper.tip_offset
    inside = (
        (np.abs(local[:, 0]) < 0.5 * gripper.finger_width)
        & (np.abs(local[:, 1]) < 0.5 * gripper.max_width)
        & (local[:, 2] < tip)
        & (local[:, 2] > tip - gripper.finger_length)
    )
    if inside.sum() < 3:
        return gripper.max_width
    # One side is hidden from the camera: the farther finger counts for both.
    return float(min(2.0 * np.abs(local[inside, 1]).max(), gripper.max_width))
