# SPDX-License-Identifier: Apache-2.0
"""The simulated cell: reset it, step it, look at it. No threads and no clock of its own."""

from __future__ import annotations

from collections import deque, OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import ConfigurationError, InvalidInputError
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_core.transforms import (
    make_transform,
    quaternion_from_transform,
    transform_from_quaternion,
)
from flow_manip_mujoco.camera import add_depth_noise, DepthNoiseConfig, Renderer
from flow_manip_mujoco.cell_config import camera_model_of, CellConfig, randomise
from flow_manip_mujoco.control import ArmController, GripperController
from flow_manip_mujoco.fixtures import FixtureSpec
from flow_manip_mujoco.layout import choose_objects, draw_footings, fixture_pose, Scene
from flow_manip_mujoco.objects import ObjectSpec
from flow_manip_mujoco.panda import ARM_JOINTS, FINGER_JOINTS
from flow_manip_mujoco.scene import build_model, fingerprint
from flow_manip_mujoco.state import CellState

FrameCallback = Callable[[NDArray[np.uint8], float], None]
Disturb = Callable[[mujoco.MjModel, mujoco.MjData], None]

_MODELS_KEPT = 8
_SETTLE_TIME = 0.4  # [s] simulated before a scene is handed out
_TRACE_PERIOD = 0.05  # [s] between states that are remembered
_TRACE_LENGTH = 12_000  # ten minutes


@dataclass
class _Frames:
    """A subscriber to pictures taken while the cell is stepped."""

    callback: FrameCallback
    period: float
    due: float = field(default=0.0)


class SimulatedCell:
    """A robot arm with a gripper at a table with objects, seen by one RGB-D camera.

    The same seed and scene give the same state bit for bit, and the same commands after that the
    same motion.

    Attributes:
        objects: what is free to move.
        fixtures: what is bolted to the table.
        task: name of the task whose trial this is, '' for a free scene (see `TaskTrial.reset`).
        start_poses: T_world_body of every body right after the reset, by name.
        start_joints: value of every joint of a fixture then, by name [rad or m].
    """

    def __init__(self, context: Context | None = None, config: CellConfig | None = None) -> None:
        """Build the cell and reset it to an empty table.

        Args:
            context: robot and rig; the Franka at the table top if left out.
            config: physics, randomisation and drawing.

        Raises:
            BackendError: the robot's meshes are not installed.
            ConfigurationError: the context's robot is not the one the cell holds.
        """
        self.context = context or Context(load_robot('franka'), load_rig('tabletop'))
        if self.context.robot.joint_names != ARM_JOINTS:
            robot = self.context.robot
            raise ConfigurationError(
                f"the cell's arm has {list(ARM_JOINTS)}, robot '{robot.name}' has "
                f'{list(robot.joint_names)}'
            )
        self.config = config or CellConfig()
        self.camera_model = camera_model_of(self.context.rig.camera)
        self._models: OrderedDict[tuple[Hashable, ...], mujoco.MjModel] = OrderedDict()
        self._renderer: Renderer | None = None
        self._drawn_model: mujoco.MjModel | None = None
        self._frames: _Frames | None = None
        self._trace: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=_TRACE_LENGTH)
        self._disturbances: list[Disturb] = []
        self.reset()

    # ---------------------------------------------------------------- life

    def reset(self, seed: int = 0, scene: Scene | Sequence[str] | str = 'empty') -> None:
        """Set the table anew, arm at home, everything at rest, time at 0.

        Args:
            seed: of everything that is drawn at random.
            scene: a `Scene`, its text ('random:5', 'red_cube,white_plate+3') or a list of names.

        Raises:
            ConfigurationError: an object is unknown, or they do not fit on the table.
        """
        rng = np.random.default_rng(seed)
        if isinstance(scene, str):
            scene = Scene.parse(scene)
        elif not isinstance(scene, Scene):
            scene = Scene(tuple(scene))
        self.seed, self.scene, self.task = seed, scene, ''
        self._disturbances.clear()
        self.objects: tuple[ObjectSpec, ...] = tuple(choose_objects(scene, rng))
        self.fixtures = scene.fixtures
        self.model = self._model_of(self.objects, self.fixtures)
        self.data = mujoco.MjData(self.model)
        self._scratch = mujoco.MjData(self.model)
        randomise(self.model, self.context.rig.camera, self.config.randomisation, rng)
        robot = self.context.robot
        self.arm_controller = ArmController(self.model, self.config.gains, robot.max_acceleration)
        self.gripper_controller = GripperController(
            self.model, robot.gripper.speed, robot.gripper.max_width, robot.gripper.max_effort
        )
        self._place_robot()
        self._place_objects(scene, rng)
        self._noise_rng = np.random.default_rng(rng.integers(2**63))
        self._frames_due_again()
        frames, self._frames = self._frames, None
        self.step(round(_SETTLE_TIME / self.timestep))
        self._frames = frames
        self.data.time = 0.0
        self.arm_controller.reset(self.home)
        self._trace.clear()
        self._trace.append((0.0, self.data.qpos.copy()))
        self.start_poses = self.body_poses()
        self.start_joints = self.fixture_joints()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def state(self) -> str:
        """Return the present state as JSON text, for a copy that looks the same (`restore`).

        Takes well under a millisecond; what the controllers are about to do is not part of it.

        Raises:
            InvalidInputError: something on the table is of no task and not in the catalogue.
        """
        return CellState.of(self).dumps()

    @classmethod
    def from_state(
        cls, text: str, context: Context | None = None, config: CellConfig | None = None
    ) -> SimulatedCell:
        """Build a copy of the cell that `state` was asked of; arguments and errors as there."""
        cell = cls(context, config)
        cell.restore(text)
        return cell

    def restore(self, text: str) -> None:
        """Take over the state of another cell; the arm then holds still where it is.

        Args:
            text: from `state`, checked before anything is built from it.

        Raises:
            InvalidInputError: it is no state, or one of another robot, camera or scene.
            ConfigurationError: an object is unknown.
        """
        state = CellState.loads(text)
        self.config = replace(self.config, randomisation=state.randomisation)
        self.reset(state.seed, state.scene())
        state.check(self)
        state.apply(self)
        self.task = state.task
        self._trace.clear()
        joints = self.joint_positions()
        self.arm_controller.reset(np.array([joints[name] for name in ARM_JOINTS]))
        self.gripper_controller.reset(sum(joints[n] for n in FINGER_JOINTS), self.model)

    # ---------------------------------------------------------------- time

    @property
    def time(self) -> float:
        """Simulated seconds since the reset."""
        return float(self.data.time)

    @property
    def timestep(self) -> float:
        """Seconds per physics step."""
        return float(self.model.opt.timestep)

    def step(self, n: int = 1) -> None:
        """Advance by `n` physics steps under the controllers."""
        model, data = self.model, self.data
        for _ in range(n):
            mujoco.mj_step1(model, data)
            self.arm_controller.apply(model, data)
            self.gripper_controller.apply(data)
            for disturb in self._disturbances:
                disturb(model, data)
            mujoco.mj_step2(model, data)
            if not self._trace or data.time >= self._trace[-1][0] + _TRACE_PERIOD - 1e-9:
                self._trace.append((float(data.time), data.qpos.copy()))
            if self._frames is not None and data.time >= self._frames.due:
                self._frames.due += self._frames.period
                self._frames.callback(self.picture(), float(data.time))

    def disturb(self, disturbance: Disturb) -> None:
        """Let somebody meddle: called in every physics step until the next reset.

        It comes after the controllers, between the two halves of the step, and may set forces and
        motors' commands.
        """
        self._disturbances.append(disturbance)

    def record_frames(self, callback: FrameCallback | None, rate: float = 15.0) -> None:
        """Call `callback(color, time)` `rate` times per simulated second of stepping.

        None ends it. The picture is (H, W, 3) uint8 RGB, the time that of the cell [s].
        """
        self._frames = None if callback is None else _Frames(callback, 1.0 / rate)
        self._frames_due_again()

    # ---------------------------------------------------------------- seeing

    @property
    def T_world_camera(self) -> NDArray[np.float64]:
        """The (4, 4) pose of the camera's optical frame."""
        camera = self.model.camera(self.context.rig.camera.name)
        pose = transform_from_quaternion(camera.pos, camera.quat[[1, 2, 3, 0]])
        pose[:3, :3] = pose[:3, :3] @ np.diag([1.0, -1.0, -1.0])
        return pose

    def observe(self, noise: DepthNoiseConfig | bool | None = None) -> Observation:
        """Look at the table.

        Args:
            noise: disturb the depth: a configuration, True for the cell's own, None or False for
                the truth. Successive looks differ as a camera's do; the same seed and the same
                looks give the same pictures.

        Raises:
            BackendError: no off-screen rendering on this machine.
        """
        color, depth = self._draw().render(self._scratch, self.context.rig.camera.name)
        if noise:
            chosen = self.config.noise if noise is True else noise
            depth = add_depth_noise(depth, chosen, self._noise_rng)
        return Observation(
            color=color,
            depth=depth,
            camera=self.camera_model,
            T_world_camera=self.T_world_camera,
            frame_id=self.context.rig.frame_id,
            stamp=self.time,
            joint_positions=self.joint_positions(),
        )

    def picture(self) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB as the camera sees it now."""
        return self._draw().render(self._scratch, self.context.rig.camera.name)[0]

    def picture_of(self, poses: Mapping[str, NDArray[np.float64]]) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB as it would look with objects at other (4, 4) poses.

        The state stays what it is.
        """
        renderer, scratch = self._draw(), self._scratch
        for name, pose in poses.items():
            self.spec(name)
            quaternion = quaternion_from_transform(pose)[[3, 0, 1, 2]]
            scratch.joint(name).qpos[:] = [*pose[:3, 3], *quaternion]
        mujoco.mj_kinematics(self.model, scratch)
        return renderer.render(scratch, self.context.rig.camera.name)[0]

    def object_mask(self, name: str) -> Mask:
        """Return the true visible pixels of an object.

        Raises:
            InvalidInputError: it is not in the scene, or not one of its pixels is visible.
        """
        self.spec(name)
        return self.true_mask(name)

    def true_mask(self, name: str) -> Mask:
        """Return the true visible pixels of an object, a fixture's bolted part or a moving part.

        Raises:
            InvalidInputError: it is not in the scene, or not one of its pixels is visible.
        """
        body = self._body(name)
        geoms = self._draw().segment(self._scratch, self.context.rig.camera.name)
        bodies = np.append(self.model.geom_bodyid, -1)[geoms]
        return Mask(bodies == body, name.replace('_', ' '))

    def body_under(self, mask: Mask) -> str | None:
        """Return which body most of a mask's pixels really show; None if it is none of them."""
        geoms = self._draw().segment(self._scratch, self.context.rig.camera.name)
        bodies = np.append(self.model.geom_bodyid, -1)[geoms][mask.pixels]
        counts = {name: int((bodies == self._body(name)).sum()) for name in self.body_names}
        best = max(counts, key=lambda name: counts[name], default=None)
        return best if best is not None and 2 * counts[best] > len(bodies) else None

    # ---------------------------------------------------------------- state

    @property
    def home(self) -> NDArray[np.float64]:
        """The (J,) joint positions after a reset [rad]."""
        return np.array(self.context.robot.home)

    def joint_positions(self) -> dict[str, float]:
        """Return the measured positions of arm and finger joints by name [rad, m]."""
        return {n: float(self.data.joint(n).qpos[0]) for n in (*ARM_JOINTS, *FINGER_JOINTS)}

    def joint_velocities(self) -> dict[str, float]:
        """Return the measured velocities of arm and finger joints by name [rad/s, m/s]."""
        return {n: float(self.data.joint(n).qvel[0]) for n in (*ARM_JOINTS, *FINGER_JOINTS)}

    def object_pose(self, name: str) -> NDArray[np.float64]:
        """Return the true (4, 4) T_world_object."""
        self.spec(name)
        qpos = self.data.joint(name).qpos
        return transform_from_quaternion(qpos[:3], qpos[[4, 5, 6, 3]])

    def object_poses(self) -> dict[str, NDArray[np.float64]]:
        """Return the true T_world_object of every object by name."""
        return {spec.name: self.object_pose(spec.name) for spec in self.objects}

    def trace(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how an object moved since the reset, or in the last ten minutes of that.

        Returns:
            times (T,), 0.05 s apart [s], and poses (T, 4, 4) T_world_object.
        """
        self.spec(name)
        start = int(self.model.joint(name).qposadr[0])
        times = np.array([time for time, _ in self._trace])
        rows = np.array([qpos[start : start + 7] for _, qpos in self._trace])
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3, 3] = rows[:, :3]
        poses[:, :3, :3] = Rotation.from_quat(rows[:, [4, 5, 6, 3]]).as_matrix()
        return times, poses

    @property
    def body_names(self) -> tuple[str, ...]:
        """Names of all objects and of all parts of fixtures, fixtures first."""
        parts = (f.body_name(body.name) for f in self.fixtures for body in f.bodies)
        return (*parts, *(spec.name for spec in self.objects))

    def body_pose(self, name: str) -> NDArray[np.float64]:
        """Return the true (4, 4) T_world_body of an object or a part of a fixture.

        Raises:
            InvalidInputError: it is not in the scene.
        """
        body = self._body(name)
        self._refresh()
        return make_transform(self._scratch.xpos[body], self._scratch.xmat[body].reshape(3, 3))

    def body_poses(self) -> dict[str, NDArray[np.float64]]:
        """Return the true T_world_body of every object and every part of a fixture by name."""
        return {name: self.body_pose(name) for name in self.body_names}

    def fixture_joints(self) -> dict[str, float]:
        """Return the value of every joint of a fixture by the name of its body [rad or m]."""
        names = (f.body_name(body.name) for f in self.fixtures for body in f.moving)
        return {name: float(self.data.joint(name).qpos[0]) for name in names}

    def link_poses(self) -> dict[str, NDArray[np.float64]]:
        """Return T_world_link of every link and of the tool centre point, by frame name."""
        self._refresh()
        scratch, poses = self._scratch, {}
        for body in range(1, self.model.nbody):
            name = self.model.body(body).name
            if name.startswith('panda_'):
                poses[name] = make_transform(scratch.xpos[body], scratch.xmat[body].reshape(3, 3))
        tcp = self.context.robot.tcp_frame
        site = scratch.site(tcp)
        poses[tcp] = make_transform(site.xpos, site.xmat.reshape(3, 3))
        return poses

    def forward(self) -> mujoco.MjData:
        """Return a copy of the present state with contacts and their forces."""
        scratch = self._scratch
        scratch.qpos[:], scratch.qvel[:] = self.data.qpos, self.data.qvel
        scratch.ctrl[:], scratch.time = self.data.ctrl, self.data.time
        mujoco.mj_forward(self.model, scratch)
        return scratch

    def spec(self, name: str) -> ObjectSpec:
        """Return what the object called `name` is.

        Raises:
            InvalidInputError: it is not in the scene.
        """
        for spec in self.objects:
            if spec.name == name:
                return spec
        raise InvalidInputError(
            f"no object '{name}' in the scene; there are {[s.name for s in self.objects]}"
        )

    def _body(self, name: str) -> int:
        """Return the number of the body of an object or a part of a fixture."""
        if name not in self.body_names:
            raise InvalidInputError(
                f"no object '{name}' in the scene; there are {list(self.body_names)}"
            )
        return int(self.model.body(name).id)

    # ---------------------------------------------------------------- inside

    def _model_of(
        self, objects: Sequence[ObjectSpec], fixtures: Sequence[FixtureSpec]
    ) -> mujoco.MjModel:
        """Return the compiled model of all these, from the last few if it is among them."""
        key = tuple(fingerprint(spec) for spec in (*fixtures, *objects))
        if key not in self._models:
            config = self.config
            self._models[key] = build_model(
                self.context.rig,
                objects,
                config.physics,
                config.table,
                config.servo,
                fixtures=fixtures,
                shadows=config.shadows,
            )
            if len(self._models) > _MODELS_KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    def _place_robot(self) -> None:
        """Put the arm at home with the hand open."""
        width = self.context.robot.gripper.max_width
        for name, value in zip(ARM_JOINTS, self.home):
            self.data.joint(name).qpos[0] = value
        for name in FINGER_JOINTS:
            self.data.joint(name).qpos[0] = width / 2
        self.arm_controller.reset(self.home)
        self.gripper_controller.reset(width, self.model)

    def _place_objects(self, scene: Scene, rng: np.random.Generator) -> None:
        """Bolt the fixtures to the table and stand the objects on it."""
        footings = draw_footings(
            self.objects,
            scene.footings,
            self.T_world_camera[:3, 3],
            self.config.layout,
            rng,
            self.fixtures,
        )
        height = self.context.rig.support_height
        for fixture in self.fixtures:
            pose = fixture_pose(footings[fixture.name], height)
            body = self.model.body(fixture.name)
            body.pos[:] = pose[:3, 3]
            body.quat[:] = quaternion_from_transform(pose)[[3, 0, 1, 2]]
        for name, value in scene.joints.items():
            self.data.joint(name).qpos[0] = value
        for spec in self.objects:
            x, y, yaw = footings[spec.name]
            joint = self.data.joint(spec.name)
            joint.qpos[:] = [x, y, height, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]

    def _refresh(self) -> None:
        """Bring the kinematics of the copy that is drawn to the present state."""
        scratch = self._scratch
        scratch.qpos[:], scratch.time = self.data.qpos, self.data.time
        mujoco.mj_kinematics(self.model, scratch)
        mujoco.mj_comPos(self.model, scratch)
        mujoco.mj_camlight(self.model, scratch)

    def _draw(self) -> Renderer:
        """Return a renderer of the present model with the scratch copy up to date."""
        self._refresh()
        if self._renderer is None:
            camera = self.context.rig.camera
            self._renderer = Renderer(
                self.model, camera.width, camera.height, shadows=self.config.shadows
            )
            self._drawn_model = self.model
        elif self._drawn_model is not self.model:
            self._renderer.set_model(self.model)
            self._drawn_model = self.model
        return self._renderer

    def _frames_due_again(self) -> None:
        if self._frames is not None:
            self._frames.due = self.time
