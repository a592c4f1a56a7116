# SPDX-License-Identifier: Apache-2.0
"""Samples from the simulated cell: scene by scene, each decided by its number alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    ConfigurationError,
    InvalidInputError,
    NoFreePlaceError,
    TaskNotSupportedError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_learning.dataset import FlowSample
from flow_manip_learning.simulated.canvas import Canvas
from flow_manip_learning.simulated.colours import draw_colours, draw_shades, held_out_colours
from flow_manip_learning.simulated.config import AXES, Held, SimulatedConfig, SPLITS
from flow_manip_learning.simulated.deeds import Deed, draw_free_deeds, task_deed
from flow_manip_learning.simulated.exact_flow import choose_pixels, exact_flow
from flow_manip_learning.simulated.looks import (
    draw_light,
    draw_surface,
    draw_view,
    Light,
    Surface,
    View,
)
from flow_manip_learning.simulated.objects import HELD_OUT_KINDS
from flow_manip_learning.simulated.phrasing import say, Thing
from flow_manip_learning.simulated.scenes import (
    draw_seed,
    set_free,
    set_task,
    SetTable,
    things_on,
)
from flow_manip_mujoco.camera import add_depth_noise, DepthNoiseConfig
from flow_manip_mujoco.cell import SimulatedCell
from flow_manip_mujoco.scene import camera_quaternion
from flow_manip_mujoco.tasks import ReferenceMotion, TASKS
from flow_manip_mujoco.video.setting import carried_by

LICENCE = 'Apache-2.0'
_TRIES = 6  # views and deeds per sample before it is given up
_IMPOSSIBLE = (NoFreePlaceError, TaskNotSupportedError, InvalidInputError)
_SHORTEST = 0.02  # [m] that the farthest point of a motion goes


@dataclass(frozen=True)
class _Said:
    """A deed in words, with the colours that the words mean."""

    deed: Deed
    motion: ReferenceMotion
    instruction: str
    colours: dict[str, str]
    phrasing: str
    words: str
    noun: str


@dataclass(frozen=True)
class _Look:
    """What a sample looks like, beside the colours of its objects."""

    surfaces: dict[str, Surface]
    light: Light | None
    robot: bool

    def tags(self, held: Held) -> dict[str, str]:
        """Return the tags of the look, and of the kinds of things and colours held out."""
        return {
            'colours': 'held_out' if held.colours else 'train',
            'objects': 'held_out' if held.objects else 'train',
            'light': 'held_out' if held.light else ('own' if self.light is None else 'train'),
            'background': 'held_out' if held.background else self.surfaces['table'].kind,
            'robot': 'shown' if self.robot else 'hidden',
        }


class SimulatedSource:
    """Makes samples; belongs to the thread that made it."""

    def __init__(
        self,
        config: SimulatedConfig | None = None,
        *,
        seed: int = 0,
        split: str = 'train',
        context: Context | None = None,
    ) -> None:
        """Build the cell.

        Args:
            config: what samples look like.
            seed: of everything; with the number of a scene it decides its samples.
            split: 'train', or 'test' with one axis of `AXES` held out in each scene.
            context: robot and rig; the Franka at the table top if left out.

        Raises:
            ConfigurationError: there is no such split.
            BackendError: the robot's meshes are not installed.
        """
        if split not in SPLITS:
            raise ConfigurationError(f"split '{split}'; there are {list(SPLITS)}")
        self.config, self.seed, self.split = config or SimulatedConfig(), seed, split
        context = context or Context(load_robot('franka'), load_rig('tabletop'))
        self._rig_camera = context.rig.camera
        size = {'width': self.config.width, 'height': self.config.height}
        rig = replace(context.rig, camera=replace(context.rig.camera, **size))
        self._cell = SimulatedCell(replace(context, rig=rig))
        self._canvas = Canvas(self.config.width, self.config.height)

    def close(self) -> None:
        """Free the renderers."""
        self._canvas.close()
        self._cell.close()

    def scene_samples(self, number: int) -> list[FlowSample]:
        """Return the samples of a scene: at most `views`, fewer where nothing could be shown."""
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), number])
        axis = '' if self.split == 'train' else AXES[number % len(AXES)]
        held = Held.of(axis)
        table = self._set_table(number, held, rng)
        if table is None:
            return []
        self._canvas.take(self._cell)
        try:
            self._carried = carried_by(self._cell)
            samples = (
                self._sample(table, held, axis, f'{self.split}-{self.seed}-{number:07d}-{view}', r)
                for view, r in enumerate(rng.spawn(self.config.views))
            )
            return [sample for sample in samples if sample is not None]
        finally:
            self._canvas.release()

    # ---------------------------------------------------------------- inside

    def _set_table(self, number: int, held: Held, rng: np.random.Generator) -> SetTable | None:
        seed = draw_seed(rng, self.split)
        # New kinds of things stand in free scenes only.
        if not held.objects and rng.random() < self.config.tasks:
            names = sorted(TASKS)
            return set_task(self._cell, names[int(rng.integers(len(names)))], seed, rng)
        try:
            return set_free(self._cell, seed, rng, held_out=held.objects)
        except ConfigurationError:
            return None

    def _sample(
        self, table: SetTable, held: Held, axis: str, key: str, rng: np.random.Generator
    ) -> FlowSample | None:
        """Draw one sample of the scene; None where nothing that was tried could be shown."""
        for _ in range(_TRIES):
            view = draw_view(
                self._rig_camera,
                (self.config.width, self.config.height),
                rng,
                rig_share=self.config.rig_camera,
                held_out=held.camera,
            )
            self._look_from(view)
            said = self._draw_said(table, held, rng)
            if said is None:
                return None
            sample = self._shown(table, view, said, held, axis, key, rng)
            if sample is not None:
                return sample
        return None

    def _look_from(self, view: View) -> None:
        """Have canvas and cell agree on the camera: left and right are meant as it sees them."""
        self._canvas.look_from(view)
        camera = self._cell.model.camera(self._cell.context.rig.camera.name)
        camera.pos[:] = view.T_world_camera[:3, 3]
        camera.quat[:] = camera_quaternion(view.T_world_camera)

    def _draw_said(self, table: SetTable, held: Held, rng: np.random.Generator) -> _Said | None:
        """Draw a deed, colours and words."""
        own = task_deed(self._cell, table)
        if own is not None and rng.random() >= self.config.other_deeds:
            said = self._put_in_words(own, held, rng)
            if said is not None:
                return said
        for tried, deed in enumerate(draw_free_deeds(self._cell, rng)):
            if tried == 40:
                break
            if held.objects and not self._is_new(deed.bodies[0]):
                continue
            said = self._put_in_words(deed, held, rng)
            if said is not None:
                return said
        return None

    def _is_new(self, body: str) -> bool:
        return any(s.name == body and s.noun in HELD_OUT_KINDS for s in self._cell.objects)

    def _put_in_words(self, deed: Deed, held: Held, rng: np.random.Generator) -> _Said | None:
        """Draw colours and words for a deed; None where it cannot be done or said."""
        objects = self._cell.objects
        wanted = []
        if held.colours:
            able = [s.name for s in objects if s.name in deed.bodies and held_out_colours(s.noun)]
            if not able:
                return None
            wanted = able[:1] if deed.bodies[0] not in able else [deed.bodies[0]]
        colours = draw_colours(objects, rng, wanted)
        if colours is None:
            return None
        try:
            motion = deed.motion(self._cell)
        except _IMPOSSIBLE:
            return None
        things = things_on(self._cell, colours)
        moved = next(thing for thing in things if thing.body == deed.bodies[0])
        own = {s.name: s.colour if colours[s.name] else '' for s in objects}
        if deed.said and not (held.phrasing or held.colours) and self._own_words(own, rng):
            moved = replace(moved, colour=own.get(moved.body, ''))
            return _Said(deed, motion, deed.said, own, 'task', _plain(moved), moved.noun)
        text = say(
            deed.key,
            deed.bodies,
            things,
            rng,
            held_out=held.phrasing,
            with_colour=held.colours,
        )
        if text is None:
            return None
        phrasing = 'held_out' if held.phrasing else 'train'
        return _Said(deed, motion, text, colours, phrasing, _plain(moved), moved.noun)

    def _own_words(self, own: dict[str, str], rng: np.random.Generator) -> bool:
        """Say whether to keep the task's words, which mean its own colours."""
        nouns = {spec.name: spec.noun for spec in self._cell.objects}
        is_kept = all(c not in held_out_colours(nouns[name]) for name, c in own.items())
        return rng.random() < self.config.own_words and is_kept

    def _shown(
        self,
        table: SetTable,
        view: View,
        said: _Said,
        held: Held,
        axis: str,
        key: str,
        rng: np.random.Generator,
    ) -> FlowSample | None:
        """Draw the picture and the flow; None where too little of it would be seen."""
        config, body = self.config, said.deed.bodies[0]
        look = self._draw_look(held, rng)
        shown = self._picture(body, said, look, rng)
        if shown is None:
            return None
        color, depth, mask = shown
        flow = self._flow(view, said, depth, mask, rng)
        far = float(np.linalg.norm(flow.points - flow.points[0], axis=-1).max())
        if far < _SHORTEST or float(flow.confidence.mean()) < config.min_visible:
            return None
        noisy = rng.random() < config.depth_noise
        return FlowSample(
            color=color,
            depth=add_depth_noise(depth, DepthNoiseConfig(), rng) if noisy else depth,
            camera=view.camera,
            T_world_camera=view.T_world_camera,
            instruction=said.instruction,
            mask=mask,
            flow=flow,
            source='simulated',
            licence=LICENCE,
            key=key,
            tags={
                'split': self.split,
                'axis': axis or 'none',
                'camera': view.kind,
                'depth': 'noisy' if noisy else 'exact',
                **_tags_of(table, said),
                **look.tags(held),
            },
        )

    def _draw_look(self, held: Held, rng: np.random.Generator) -> _Look:
        own = self.config.own_looks
        names = ('table', 'floor')
        return _Look(
            surfaces={
                name: draw_surface(rng, own_share=own, held_out=held.background) for name in names
            },
            light=draw_light(rng, own_share=own, held_out=held.light),
            robot=bool(rng.random() < self.config.robot_shown),
        )

    def _picture(
        self, body: str, said: _Said, look: _Look, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]] | None:
        """Draw colour, true depth and mask; None where too little of the body shows."""
        canvas = self._canvas
        shades = draw_shades(said.colours, rng)
        canvas.show(robot=look.robot)
        mask = canvas.bodies() == canvas.number_of(body)
        if int(mask.sum()) < self.config.min_pixels:
            return None
        canvas.paint(shades, self._cell)
        canvas.light(look.light)
        canvas.cover(look.surfaces)
        return *canvas.picture(), mask

    def _flow(
        self,
        view: View,
        said: _Said,
        depth: NDArray[np.float32],
        mask: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> ObjectFlow:
        """Carry points of the mask along; the arm, which would have moved, hides none of them."""
        body = said.deed.bodies[0]
        self._canvas.show(robot=False, scenery=False)
        return exact_flow(
            self._canvas,
            view,
            said.motion,
            (body, *self._carried.get(body, ())),
            choose_pixels(mask, depth, self.config.points, rng),
            depth,
            steps=self.config.steps,
            words=said.words,
        )


def _tags_of(table: SetTable, said: _Said) -> dict[str, str]:
    """Return the tags of what is done and how it is said."""
    deed = said.deed
    return {
        'task': table.task if deed.said else 'free',
        'scene': table.task,
        'action': deed.action,
        'relation': deed.relation or 'none',
        'noun': said.noun,
        'seed': str(table.seed),
        'step': str(table.step),
        'phrasing': said.phrasing,
    }


def _plain(thing: Thing) -> str:
    """Return '<colour> <noun>'."""
    return f'{thing.colour} {thing.noun}'.strip()
