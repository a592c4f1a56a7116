# SPDX-License-Identifier: Apache-2.0
"""The Franka Panda with its hand as MJCF, from the meshes that robosuite carries.

Joint names, link frames and limits are those of franka_description. robosuite itself is never
imported: that costs seconds and starts its own renderer.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np

from flow_manip_core.errors import BackendError

ARM_JOINTS = tuple(f'panda_joint{i}' for i in range(1, 8))
FINGER_JOINTS = ('panda_finger_joint1', 'panda_finger_joint2')
GRIPPER_ACTUATOR = 'panda_gripper'
TCP_SITE = 'panda_hand_tcp'
ROBOT_GEOM_GROUP = 1

# From link i-1 to link i: position [m] and rotation about x [quarter turns] (franka_description,
# modified DH).
_LINK_OFFSETS = (
    ((0.0, 0.0, 0.333), 0),
    ((0.0, 0.0, 0.0), -1),
    ((0.0, -0.316, 0.0), 1),
    ((0.0825, 0.0, 0.0), 1),
    ((-0.0825, 0.384, 0.0), -1),
    ((0.0, 0.0, 0.0), 1),
    ((0.088, 0.0, 0.0), 1),
)
_POSITION_LIMITS = (
    (-2.8973, 2.8973),
    (-1.7628, 1.7628),
    (-2.8973, 2.8973),
    (-3.0718, -0.0698),
    (-2.8973, 2.8973),
    (-0.0175, 3.7525),
    (-2.8973, 2.8973),
)
_TORQUE_LIMITS = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # [N m], data sheet
_FLANGE = 0.107  # [m] link7 -> link8
_FINGER_MOUNT = 0.0584  # [m] hand -> finger
_TCP = 0.1034  # [m] hand -> tool centre point
_FINGER_TRAVEL = 0.04  # [m]

_ROBOT_COLLISION = {'contype': 1, 'conaffinity': 2, 'group': 3}
_VISUAL = {'contype': 0, 'conaffinity': 0, 'group': ROBOT_GEOM_GROUP, 'mass': 0.0}


@dataclass(frozen=True)
class GripperServo:
    """The gripper's position servo, acting on the opening.

    Attributes:
        stiffness: [N/m].
        damping: [N s/m].
        max_force: of each finger [N].
    """

    stiffness: float = 3000.0
    damping: float = 120.0
    max_force: float = 60.0


def asset_folder() -> Path:
    """Return robosuite's folder of models.

    Raises:
        BackendError: robosuite is not installed.
    """
    found = find_spec('robosuite')
    if found is None or not found.submodule_search_locations:
        raise BackendError(
            "the Panda's meshes come with robosuite, which is not installed: "
            "pip install --no-deps 'robosuite==1.5.2'"
        )
    return Path(next(iter(found.submodule_search_locations))) / 'models' / 'assets'


def panda_spec(servo: GripperServo) -> mujoco.MjSpec:
    """Build the arm with its hand; the tool centre point is a site."""
    assets = asset_folder()
    spec = mujoco.MjSpec.from_file(str(assets / 'robots' / 'panda' / 'robot.xml'))
    spec.modelname = 'panda'
    _clear_arm(spec)
    for index, (position, quarter_turns) in enumerate(_LINK_OFFSETS, start=1):
        _set_link(spec.body(f'link{index}'), index, position, quarter_turns)
    base = _base_body(spec)
    base.name, base.pos, base.quat = 'panda_link0', [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    _restyle_geoms(spec)
    flange = spec.body('panda_link7').add_body(name='panda_link8', pos=[0.0, 0.0, _FLANGE])
    _add_hand(spec, flange, assets / 'grippers' / 'meshes' / 'panda_gripper', servo)
    for joint, limit in zip(ARM_JOINTS, _TORQUE_LIMITS):
        motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.forcelimited, motor.forcerange = True, [-limit, limit]
    return spec


def _clear_arm(spec: mujoco.MjSpec) -> None:
    """Drop what robosuite's arm brings for its own use: motors, sites, cameras, hand mount."""
    for element in (*spec.actuators, *spec.sensors, *spec.cameras, *spec.sites, *spec.lights):
        spec.delete(element)
    spec.delete(spec.body('right_hand'))


def _base_body(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Return the body that holds the arm's first link."""
    return spec.body('panda_link1').parent


def _set_link(
    body: mujoco.MjsBody, index: int, position: tuple[float, float, float], quarter_turns: int
) -> None:
    """Give link `index` its exact frame, name, joint and limits."""
    half = quarter_turns * np.pi / 4
    body.name = f'panda_link{index}'
    body.pos = list(position)
    body.quat = [np.cos(half), np.sin(half), 0.0, 0.0]
    joint = body.joints[0]
    joint.name = ARM_JOINTS[index - 1]
    joint.range = list(_POSITION_LIMITS[index - 1])
    joint.armature = 0.1  # [kg m^2] rotor inertia seen through the gear
    joint.damping = [0.5, 0.0, 0.0]
    joint.frictionloss = 0.1


def _restyle_geoms(spec: mujoco.MjSpec) -> None:
    """Split geoms into those that are drawn and those that collide."""
    for geom in spec.geoms:
        drawn = geom.contype == 0 and geom.conaffinity == 0
        for key, value in (_VISUAL if drawn else _ROBOT_COLLISION).items():
            setattr(geom, key, value)


def _add_hand(
    spec: mujoco.MjSpec, flange: mujoco.MjsBody, meshes: Path, servo: GripperServo
) -> None:
    """Mount hand, fingers and tool centre point on the flange."""
    for name, file in (
        ('hand', 'hand.stl'),
        ('hand_visual', 'hand_vis.stl'),
        ('finger_visual', 'finger_vis.stl'),
    ):
        spec.add_mesh(name=f'panda_{name}', file=str(meshes / file))
    turn = -np.pi / 8
    hand = flange.add_body(name='panda_hand', quat=[np.cos(turn), 0.0, 0.0, np.sin(turn)])
    hand.mass, hand.ipos, hand.inertia = 0.73, [-0.01, 0.0, 0.03], [0.001, 0.0025, 0.0017]
    hand.explicitinertial = True
    mesh = mujoco.mjtGeom.mjGEOM_MESH
    hand.add_geom(type=mesh, meshname='panda_hand_visual', rgba=[0.95, 0.95, 0.95, 1.0], **_VISUAL)
    hand.add_geom(type=mesh, meshname='panda_hand', mass=0.0, **_ROBOT_COLLISION)
    hand.add_site(name=TCP_SITE, pos=[0.0, 0.0, _TCP], group=5)
    for side, joint, half_turn in zip(('left', 'right'), FINGER_JOINTS, (False, True)):
        _add_finger(hand, f'panda_{side}finger', joint, half_turn)
    _couple_fingers(spec, servo)


def _add_finger(hand: mujoco.MjsBody, name: str, joint: str, half_turn: bool) -> None:
    """Add one finger, sliding along its own y; the right one is turned half about z."""
    finger = hand.add_body(
        name=name,
        pos=[0.0, 0.0, _FINGER_MOUNT],
        quat=[0.0, 0.0, 0.0, 1.0] if half_turn else [1.0, 0.0, 0.0, 0.0],
    )
    finger.mass, finger.ipos, finger.inertia = 0.1, [0.0, 0.015, 0.025], [6e-5, 5e-5, 3e-5]
    finger.explicitinertial = True
    finger.add_joint(
        name=joint,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0.0, 1.0, 0.0],
        range=[0.0, _FINGER_TRAVEL],
        limited=True,
        armature=0.2,
        damping=[5.0, 0.0, 0.0],
    )
    finger.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname='panda_finger_visual',
        rgba=[0.35, 0.35, 0.36, 1.0],
        **_VISUAL,
    )
    box = mujoco.mjtGeom.mjGEOM_BOX
    # The pad lies in the plane y = 0 as on the real finger; the rest stands behind it and never
    # touches first.
    finger.add_geom(
        name=f'{name}_pad',
        type=box,
        size=[0.0087, 0.0071, 0.0088],
        pos=[0.0, 0.0071, 0.0450],
        mass=0.0,
        condim=4,
        friction=[1.0, 0.01, 0.0001],
        solref=[0.004, 1.0],
        # Hard, whatever is held, or it creeps out of the hand: the mix is nearly the pad's own.
        solimp=[0.99, 0.999, 0.001, 0.5, 2.0],
        solmix=100.0,
        **_ROBOT_COLLISION,
    )
    finger.add_geom(
        name=f'{name}_shaft',
        type=box,
        size=[0.0104, 0.0070, 0.0180],
        pos=[0.0, 0.0194, 0.0180],
        mass=0.0,
        **_ROBOT_COLLISION,
    )


def _couple_fingers(spec: mujoco.MjSpec, servo: GripperServo) -> None:
    """Let one motor move both fingers alike, as the hand's gear does."""
    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1=FINGER_JOINTS[0],
        name2=FINGER_JOINTS[1],
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        data=[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        solref=[0.005, 1.0],
        solimp=[0.95, 0.99, 0.001, 0.5, 2.0],
    )
    opening = spec.add_tendon(name='panda_opening')
    for joint in FINGER_JOINTS:
        opening.wrap_joint(joint, 1.0)
    actuator = spec.add_actuator(
        name=GRIPPER_ACTUATOR, target='panda_opening', trntype=mujoco.mjtTrn.mjTRN_TENDON
    )
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm = [servo.stiffness, *[0.0] * 9]
    actuator.biasprm = [0.0, -servo.stiffness, -servo.damping, *[0.0] * 7]
    actuator.forcelimited, actuator.forcerange = True, [-servo.max_force, servo.max_force]
