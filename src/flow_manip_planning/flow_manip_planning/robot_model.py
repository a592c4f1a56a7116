# SPDX-License-Identifier: Apache-2.0
"""The robot that plans are made for: kinematics, limits and shape, read from its URDF and SRDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import coal
import numpy as np
from numpy.typing import NDArray
import pinocchio
from roboplan.core import loadUrdfSceneDescriptionFromXml, Scene

from flow_manip_core.errors import ConfigurationError
from flow_manip_core.robot import Context, RobotConfig
from flow_manip_planning.kinematics import Array, Chain


@dataclass(frozen=True)
class Spheres:
    """Spheres that fill the robot's collision shapes.

    Attributes:
        joints: (S,) index of the arm joint whose frame each is fixed to; -1: the base.
        centers: (S, 3) in that frame [m].
        radii: (S,) [m].
    """

    joints: NDArray[np.int64]
    centers: Array
    radii: Array


class RobotModel:
    """One arm with its gripper, standing at `T_world_base`.

    Attributes:
        config: the robot's configuration.
        chain: kinematics from the world to the tool centre point, in the grasp frame: z along the
            approach, y along the closing direction.
    """

    def __init__(self, config: RobotConfig, T_world_base: Array) -> None:
        """Read the URDF and SRDF beside the robot's yaml.

        Raises:
            ConfigurationError: a file is missing or broken, or the joints are not a chain of
                revolute joints to the tcp.
        """
        self.config = config
        self._T_world_base = np.asarray(T_world_base, dtype=np.float64)
        self._urdf = _read(config.folder / config.urdf)
        self._srdf = _read(config.folder / config.srdf)
        try:
            self._model = pinocchio.buildModelFromXML(self._urdf)
        except ValueError as error:
            raise ConfigurationError(f'{config.urdf}: {error}') from error
        self.chain = self._build_chain()

    @classmethod
    def from_context(cls, context: Context) -> RobotModel:
        """Build the context's robot on the context's rig."""
        return cls(context.robot, context.rig.base.matrix)

    @property
    def home(self) -> Array:
        """(J,) where the arm waits [rad]."""
        return np.array(self.config.home)

    @property
    def max_velocity(self) -> Array:
        """(J,) [rad/s]."""
        return np.array(self.config.max_velocity)

    @property
    def max_acceleration(self) -> Array:
        """(J,) [rad/s^2]."""
        return np.array(self.config.max_acceleration)

    def arm_positions(self, joint_positions: Mapping[str, float]) -> Array:
        """Return the arm's (J,) positions out of joints by name, home where none is known.

        Raises:
            ConfigurationError: some of the arm's joints are there and others are not.
        """
        known = [name in joint_positions for name in self.config.joint_names]
        if not any(known):
            return self.home
        if not all(known):
            missing = [n for n, k in zip(self.config.joint_names, known) if not k]
            raise ConfigurationError(f'joint positions lack {missing}')
        return np.array([joint_positions[name] for name in self.config.joint_names])

    def new_scene(self) -> Scene:
        """Return a new roboplan scene that holds only the robot, its base at the world's origin.

        roboplan has no base pose: geometry that is added must be expressed in the robot's base
        frame (`to_base`).
        """
        scene = Scene(self.config.name, loadUrdfSceneDescriptionFromXml(self._urdf))
        scene.importSrdf(self._srdf)
        scene.allowAdjacentLinkCollisions()
        return scene

    def new_collision_model(self) -> tuple[pinocchio.Model, pinocchio.GeometryModel]:
        """Return kinematics and a new geometry model with the pairs that the SRDF leaves to check.

        What `new_scene` says yes or no about, this measures. The world is the robot's base frame.
        """
        geometry = pinocchio.buildGeomFromUrdfString(
            self._model, self._urdf, pinocchio.GeometryType.COLLISION
        )
        geometry.addAllCollisionPairs()
        pinocchio.removeCollisionPairsFromXML(self._model, geometry, self._srdf)
        return self._model, geometry

    @cached_property
    def hand_links(self) -> tuple[str, ...]:
        """Links with a shape that move with the last arm joint or beyond it."""
        model, geometry = self.new_collision_model()
        arm = {model.getJointId(name) for name in self.config.joint_names[:-1]} | {0}
        links = (
            model.frames[item.parentFrame].name
            for item in geometry.geometryObjects
            if item.parentJoint not in arm
        )
        return tuple(dict.fromkeys(links))

    def to_base(self, points_world: Array) -> Array:
        """Express (..., 3) world points in the robot's base frame."""
        R, t = self._T_world_base[:3, :3], self._T_world_base[:3, 3]
        return (points_world - t) @ R

    @property
    def T_world_base(self) -> Array:
        """(4, 4) pose of the robot's base."""
        return self._T_world_base

    def _build_chain(self) -> Chain:
        """Take the serial chain base -> joints -> tcp out of the model."""
        model, names = self._model, self.config.joint_names
        missing = [name for name in names if not model.existJointName(name)]
        if missing or not model.existFrame(self.config.tcp_frame):
            raise ConfigurationError(
                f'{self.config.urdf} lacks joints {missing} or frame {self.config.tcp_frame}'
            )
        ids = [model.getJointId(name) for name in names]
        for before, joint in zip([0, *ids], ids):
            if model.parents[joint] != before or 'R' not in model.joints[joint].shortname():
                raise ConfigurationError(
                    f'{model.names[joint]} is not a revolute joint next in the chain'
                )
        frame = model.frames[model.getFrameId(self.config.tcp_frame)]
        if frame.parentJoint != ids[-1]:
            raise ConfigurationError(f'{self.config.tcp_frame} is not fixed to {names[-1]}')
        placements = np.array([model.jointPlacements[i].homogeneous for i in ids])
        placements[0] = self._T_world_base @ placements[0]
        positions = [model.joints[i].idx_q for i in ids]
        return Chain(
            placements=placements,
            axes=np.array([_joint_axis(model.joints[i]) for i in ids]),
            T_last_tip=frame.placement.homogeneous @ self.config.gripper.T_tcp_grasp,
            lower=model.lowerPositionLimit[positions].copy(),
            upper=model.upperPositionLimit[positions].copy(),
        )

    @cached_property
    def spheres(self) -> Spheres:
        """Spheres inside the collision shapes of the moving links, the fingers half open."""
        geometry = pinocchio.buildGeomFromUrdfString(
            self._model, self._urdf, pinocchio.GeometryType.COLLISION
        )
        ids = [self._model.getJointId(name) for name in self.config.joint_names]
        joints, centers, radii = [], [], []
        for item in geometry.geometryObjects:
            placement, joint = item.placement, item.parentJoint
            if joint not in ids and joint != 0:  # a finger: rides on the last arm joint
                placement, joint = self._model.jointPlacements[joint] * placement, ids[-1]
            local, radius = _fill_with_spheres(item.geometry)
            centers.append(local @ placement.rotation.T + placement.translation)
            radii.append(radius)
            joints.append(np.full(len(local), ids.index(joint) if joint else -1))
        return Spheres(np.concatenate(joints), np.concatenate(centers), np.concatenate(radii))

    def sphere_centers(self, joint_frames: Array) -> Array:
        """Return (..., S, 3) world centres of the spheres for (..., J, 4, 4) joint frames."""
        base = np.broadcast_to(self._T_world_base, (*joint_frames.shape[:-3], 1, 4, 4))
        frames = np.concatenate([base, joint_frames], axis=-3)[..., self.spheres.joints + 1, :, :]
        turned = (frames[..., :3, :3] @ self.spheres.centers[:, :, None])[..., 0]
        return turned + frames[..., :3, 3]


@lru_cache(maxsize=8)
def _read(path: Path) -> str:
    """Read a description; it does not change while a process runs."""
    try:
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise ConfigurationError(f'{path}: {error}') from error


def _joint_axis(joint: pinocchio.JointModel) -> Array:
    """Return the unit axis of a revolute joint in its own frame."""
    kind = joint.shortname()
    for name, axis in (('JointModelRX', 0), ('JointModelRY', 1), ('JointModelRZ', 2)):
        if kind == name:
            return np.eye(3)[axis]
    if kind == 'JointModelRevoluteUnaligned':
        return np.array(joint.extract().axis)
    raise ConfigurationError(f'joints of kind {kind} are not supported')


def _fill_with_spheres(shape: coal.CollisionGeometry) -> tuple[Array, Array]:
    """Fill a primitive with (S, 3) sphere centres and (S,) radii."""
    if isinstance(shape, coal.Sphere):
        return np.zeros((1, 3)), np.array([shape.radius])
    if isinstance(shape, coal.Cylinder):
        half, radius = shape.halfLength, shape.radius
        reach = max(half - radius, 0.0)
        count = max(1, int(np.ceil(2 * reach / radius)) + 1)
        centers = np.zeros((count, 3))
        centers[:, 2] = np.linspace(-reach, reach, count)
        return centers, np.full(count, radius)
    if isinstance(shape, coal.Box):
        half = np.asarray(shape.halfSide)
        radius = float(half.min())
        steps = [
            max(1, int(np.ceil((h - radius) / radius)) + 1) if h > radius * 1.05 else 1
            for h in half
        ]
        lines = [np.linspace(-(h - radius), h - radius, n) for h, n in zip(half, steps)]
        centers = np.stack(np.meshgrid(*lines, indexing='ij'), axis=-1).reshape(-1, 3)
        return centers, np.full(len(centers), radius)
    raise ConfigurationError(f'collision shape {type(shape).__name__} is not a primitive')
