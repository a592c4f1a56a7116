# SPDX-License-Identifier: Apache-2.0
"""The cell as one MuJoCo model: room, table, arm, camera, objects; in the rig's world frame."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, is_dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.robot import CameraConfig, RigConfig
from flow_manip_core.transforms import quaternion_from_transform
from flow_manip_mujoco.fixtures import FixtureSpec
from flow_manip_mujoco.fixtures.build import (
    add_fixture,
    COLLISION,
    DRAWN_ONLY,
    KINDS,
    part_volume,
    wxyz,
)
from flow_manip_mujoco.objects import ObjectSpec
from flow_manip_mujoco.panda import asset_folder, GripperServo, panda_spec

SCENERY_GROUP, ROBOT_GROUP, OBJECT_GROUP, HIDDEN_GROUP = 0, 1, 2, 3


@dataclass(frozen=True)
class LightConfig:
    """A distant light.

    Attributes:
        direction: (3,) unit vector that its rays travel along, in the world.
        strength: of its diffuse part, 0..1.
    """

    direction: tuple[float, float, float]
    strength: float


LIGHTS = {
    'key_light': LightConfig((-0.263, 0.473, -0.841), 0.38),
    'fill_light': LightConfig((0.112, -0.615, -0.781), 0.14),
}


@dataclass(frozen=True)
class PhysicsConfig:
    """How the simulator steps.

    Attributes:
        timestep: [s].
        impratio: how much stiffer friction is than the normal direction. Friction is soft and what
            is held creeps; with 10, a cup gripped askew by up to a millimetre per second.
            (`noslip_iterations` stops that too, but wedges a pen in its holder.)
        table_friction: sliding coefficient of the table top.
    """

    timestep: float = 0.002
    impratio: float = 100.0
    table_friction: float = 0.6


@dataclass(frozen=True)
class TableConfig:
    """The table: its top is at the height `support_height` of the rig.

    Attributes:
        lower: (x, y) corner in the robot's base frame [m].
        upper: opposite corner [m].
        thickness: of the top [m].
        height: of the top above the floor [m].
    """

    lower: tuple[float, float] = (-0.30, -0.60)
    upper: tuple[float, float] = (0.95, 0.60)
    thickness: float = 0.04
    height: float = 0.74


def build_model(
    rig: RigConfig,
    objects: Sequence[ObjectSpec],
    physics: PhysicsConfig,
    table: TableConfig,
    servo: GripperServo,
    *,
    fixtures: Sequence[FixtureSpec] = (),
    shadows: bool = False,
) -> mujoco.MjModel:
    """Compile the cell with `fixtures` and `objects` at the origin of the world, in their order.

    Raises:
        BackendError: the robot's meshes are not installed.
    """
    spec = panda_spec(servo)
    spec.modelname = 'cell'
    _set_physics(spec, physics)
    _set_drawing(spec, rig.camera, shadows)
    _place_base(spec, rig)
    _add_room(spec, rig, table, physics.table_friction)
    _add_lights(spec, shadows)
    _add_camera(spec, rig.camera)
    for fixture in fixtures:
        add_fixture(spec, fixture, group=OBJECT_GROUP, hidden_group=HIDDEN_GROUP)
    for item in objects:
        _add_object(spec, item)
    return spec.compile()


def fingerprint(value: object) -> Hashable:
    """Return what two specs have in common only if they are the same in every number."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if is_dataclass(value):
        return type(value), *(fingerprint(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, tuple):
        return tuple(fingerprint(item) for item in value)
    return value


def camera_quaternion(T_world_optical: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the wxyz quaternion of MuJoCo's camera frame (looks along -z, y up)."""
    flip = np.eye(4)
    flip[:3, :3] = np.diag([1.0, -1.0, -1.0])
    return quaternion_from_transform(T_world_optical @ flip)[[3, 0, 1, 2]]


def _set_physics(spec: mujoco.MjSpec, physics: PhysicsConfig) -> None:
    """Choose integrator, friction cone and solver."""
    option = spec.option
    option.timestep = physics.timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = physics.impratio


def _set_drawing(spec: mujoco.MjSpec, camera: CameraConfig, shadows: bool) -> None:
    """Size the off-screen buffer; leave out what software rendering pays most for."""
    visual = spec.visual
    visual.global_.offwidth, visual.global_.offheight = camera.width, camera.height
    visual.quality.offsamples = 0
    visual.quality.shadowsize = 2048 if shadows else 0
    visual.map.znear, visual.map.zfar = 0.02, 40.0
    visual.headlight.ambient = [0.34, 0.34, 0.34]
    visual.headlight.diffuse = [0.20, 0.20, 0.20]
    visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.stat.extent, spec.stat.center = 1.0, [0.5, 0.0, 0.2]


def _place_base(spec: mujoco.MjSpec, rig: RigConfig) -> None:
    """Stand the robot where the rig says."""
    base = spec.worldbody.first_body()
    base.pos = list(rig.base.matrix[:3, 3])
    base.quat = quaternion_from_transform(rig.base.matrix)[[3, 0, 1, 2]]


def _add_room(spec: mujoco.MjSpec, rig: RigConfig, table: TableConfig, friction: float) -> None:
    """Add floor, table and sky."""
    textures = asset_folder() / 'textures'
    _add_material(spec, 'floor', str(textures / 'light-gray-floor-tile.png'), (3.0, 3.0))
    _add_material(spec, 'table', str(textures / 'light-wood.png'), (1.0, 1.0))
    spec.add_texture(
        name='sky',
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.80, 0.85, 0.90],
        rgb2=[0.55, 0.60, 0.66],
        width=128,
        height=128 * 6,
    )
    base, top = rig.base.matrix, rig.support_height
    room = spec.worldbody.add_body(name='room', pos=[*base[:2, 3], top])
    room.quat = quaternion_from_transform(base)[[3, 0, 1, 2]]
    room.add_geom(
        name='floor',
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[5.0, 5.0, 0.1],
        pos=[0.0, 0.0, -table.height],
        material='floor',
        friction=[friction, 0.005, 0.0001],
        contype=1,
        conaffinity=3,
    )
    lower, upper = np.array(table.lower), np.array(table.upper)
    center, half = (lower + upper) / 2, (upper - lower) / 2
    room.add_geom(
        name='table',
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[*half, table.thickness / 2],
        pos=[*center, -table.thickness / 2],
        material='table',
        friction=[friction, 0.005, 0.0001],
        solref=[0.006, 1.0],
        contype=1,
        conaffinity=3,
    )
    leg = (table.height - table.thickness) / 2
    for x in (-1, 1):
        for y in (-1, 1):
            place = center + np.array([x, y]) * (half - 0.05)
            room.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CYLINDER,
                size=[0.025, leg, 0.0],
                pos=[*place, -table.thickness - leg],
                rgba=[0.30, 0.30, 0.32, 1.0],
                **DRAWN_ONLY,
            )


def _add_material(spec: mujoco.MjSpec, name: str, file: str, repeat: tuple[float, float]) -> None:
    """Add a dull textured material."""
    spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, file=file)
    material = spec.add_material(name=name, texrepeat=list(repeat), texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    material.specular, material.shininess, material.reflectance = 0.05, 0.1, 0.0


def _add_lights(spec: mujoco.MjSpec, shadows: bool) -> None:
    """Add a key light beside the camera and a weak one from the other side."""
    for name, light in LIGHTS.items():
        spec.worldbody.add_light(
            name=name,
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=list(-2.0 * np.array(light.direction)),
            dir=list(light.direction),
            diffuse=[light.strength] * 3,
            specular=[0.15] * 3,
            castshadow=shadows and name == 'key_light',
        )


def _add_camera(spec: mujoco.MjSpec, camera: CameraConfig) -> None:
    """Add the rig's camera."""
    pose = camera.pose.matrix
    spec.worldbody.add_camera(
        name=camera.name,
        pos=list(pose[:3, 3]),
        quat=list(camera_quaternion(pose)),
        fovy=camera.fovy_degrees,
        resolution=[camera.width, camera.height],
    )


def _add_object(spec: mujoco.MjSpec, item: ObjectSpec) -> None:
    """Add one free object with its mass spread over its parts by volume."""
    body = spec.worldbody.add_body(name=item.name)
    body.add_freejoint(name=item.name)
    volumes = [part_volume(part) for part in item.parts]
    rolling = 0.0004 if item.rolls else 0.0001  # [m]
    for part, volume in zip(item.parts, volumes):
        size = [*part.size, *[0.0] * (3 - len(part.size))]
        body.add_geom(
            type=KINDS[part.kind],
            size=size,
            pos=list(part.position),
            quat=wxyz(part.rotation),
            mass=item.mass * volume / sum(volumes),
            rgba=[*(part.rgb or item.rgb), 1.0],
            group=OBJECT_GROUP if part.visible else HIDDEN_GROUP,
            condim=6 if item.rolls else 4,
            friction=[item.friction, 0.004, rolling],
            solref=[0.006, 1.0],
            **COLLISION,
        )
    for index, mesh in enumerate(item.meshes):
        name = f'{item.name}_surface{index}'
        spec.add_mesh(
            name=name,
            uservert=mesh.vertices.astype(np.float32).ravel(),
            userface=mesh.faces.astype(np.int32).ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            rgba=[*(np.array(mesh.rgb or item.rgb) * mesh.shade), 1.0],
            group=OBJECT_GROUP,
            **DRAWN_ONLY,
        )
