# SPDX-License-Identifier: Apache-2.0
"""Object flow from rules: the goal from geometry, the way there from the scene's free space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import (
    CancelledError,
    FlowManipError,
    InvalidInputError,
    NoFreePlaceError,
    NoObjectPathError,
    TaskNotSupportedError,
)
from flow_manip_core.flow import flow_from_transforms, ObjectFlow
from flow_manip_core.instruction import Instruction, parse_instruction
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.robot import Context
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_world_model import placing, pushing, turning
from flow_manip_world_model.path import (
    carry_line,
    CarryMap,
    make_carry_map,
    PathConfig,
    time_path,
)
from flow_manip_world_model.placing import PlacingConfig
from flow_manip_world_model.points import farthest_points
from flow_manip_world_model.progress import (
    candidate_stage,
    ignore_dropped,
    ignore_progress,
    never_cancelled,
)
from flow_manip_world_model.pushing import PushConfig
from flow_manip_world_model.scene import build_scene, Scene
from flow_manip_world_model.shape import estimate_shape, ObjectShape
from flow_manip_world_model.turning import TurnConfig

MAX_CANDIDATES = 64
BESIDE = ('next_to', 'left_of', 'right_of', 'in_front_of', 'behind')
MIN_LIFT = 0.05  # [m]; less is not a lift

Motion = tuple[NDArray[np.float64], NDArray[np.float64]]  # (T, 4, 4) T_world_start, (T,) seconds


@dataclass(frozen=True)
class _Request:
    """One instruction in one scene."""

    instruction: Instruction
    scene: Scene
    shape: ObjectShape
    targets: tuple[placing.Target, ...]
    rng: np.random.Generator
    count: int


class RuleBasedFlow:
    """Imagines the motions that the default pipeline knows, from geometry alone.

    Put on, in, next to, left of, right of, in front of, behind, between; lift; push aside, left,
    right, away, towards; turn upright. The object is taken as rigid. The first candidate is the
    best-reasoned; further ones vary the place, the yaw and the carrying height, so that a planner
    that cannot follow one may follow another.
    """

    @dataclass(frozen=True)
    class Config:
        """Parameters of the rules."""

        num_candidates: int = field(default=4, metadata={'doc': 'If the goal asks for none'})
        num_points: int = field(default=256, metadata={'doc': 'Flow points at most'})
        num_steps: int = field(default=41, metadata={'doc': 'Flow steps'})
        min_points: int = field(default=40, metadata={'doc': 'Visible points at least'})
        mask_erosion: int = field(default=2, metadata={'doc': 'At the edge of masks [px]'})
        lift_height: float = field(default=0.12, metadata={'doc': 'Of "lift" [m]'})
        placing: PlacingConfig = field(default_factory=PlacingConfig)
        path: PathConfig = field(default_factory=PathConfig)
        push: PushConfig = field(default_factory=PushConfig)
        turn: TurnConfig = field(default_factory=TurnConfig)

    def __init__(self, config: Config, context: Context) -> None:
        """Check the counts; keep robot and rig."""
        if config.num_steps < 5 or config.num_points < 3 or config.min_points < 3:
            raise InvalidInputError(
                f'num_steps {config.num_steps}, num_points {config.num_points} and min_points '
                f'{config.min_points} '
                'must be at least 5, 3 and 3'
            )
        if not 1 <= config.num_candidates <= MAX_CANDIDATES:
            raise InvalidInputError(
                f'num_candidates is {config.num_candidates}, expected 1..{MAX_CANDIDATES}'
            )
        self._config = config
        self._context = context

    def generate(
        self,
        observation: Observation,
        instruction: str,
        masks: Sequence[Mask],
        *,
        goal_image: NDArray | None = None,
        num_candidates: int = 0,
        seed: int = 0,
        on_dropped: Callable[[int, FlowManipError], None] = ignore_dropped,
        on_progress: Callable[[str, float], None] = ignore_progress,
        cancelled: Callable[[], bool] = never_cancelled,
    ) -> list[ObjectFlow]:
        """Return candidate flows; see `FlowGenerator.generate`. A goal image is not used.

        The instruction's own errors (empty, too long, not understood) pass through.
        """
        parsed = parse_instruction(instruction)
        self._check(parsed, masks, num_candidates)
        self._check_frame(observation)

        def poll() -> None:
            if cancelled():
                raise CancelledError(f"cancelled while imagining '{parsed.text}'")

        def report(text: str, progress: float) -> None:
            poll()
            on_progress(text, progress)

        count = num_candidates or self._config.num_candidates
        request = self._look(observation, parsed, masks, seed, count, report, poll)
        points = request.shape.visible[
            farthest_points(request.shape.visible, self._config.num_points)
        ]
        flows: list[ObjectFlow] = []
        failure: FlowManipError | None = None
        for number, make in enumerate(self._motions(request)):
            report(candidate_stage(number + 1, count), 0.5 + 0.5 * number / count)
            try:
                transforms, times = make()
            except (NoFreePlaceError, NoObjectPathError) as error:
                failure = failure or error
                on_dropped(number, error)
                continue
            flows.append(
                flow_from_transforms(
                    points,
                    transforms,
                    times,
                    frame_id=observation.frame_id,
                    object=masks[0].label or parsed.object,
                    source='rule_based',
                    stamp=observation.stamp,
                )
            )
        if not flows:
            raise failure or NoFreePlaceError(f"no motion was found for '{parsed.text}'")
        report('imagined', 1.0)
        return flows

    def _check(self, parsed: Instruction, masks: Sequence[Mask], num_candidates: int) -> None:
        """Refuse masks that do not belong to the instruction, and what no rule is there for."""
        if not 0 <= num_candidates <= MAX_CANDIDATES:
            raise InvalidInputError(
                f'{num_candidates} candidates asked for, expected 0..{MAX_CANDIDATES}'
            )
        expected = 1 + len(parsed.references)
        if len(masks) != expected:
            raise InvalidInputError(
                f"'{parsed.text}' needs {expected} masks ({[parsed.object, *parsed.references]}), "
                f'got {len(masks)}'
            )
        needed = {'on': 1, 'in': 1, 'between': 2, **dict.fromkeys(BESIDE, 1)}
        relation = parsed.relation
        if parsed.action == 'put' and relation not in needed:
            raise TaskNotSupportedError(f"no rule puts something '{relation or 'nowhere'}'")
        if parsed.action == 'put' and len(parsed.references) != needed[relation]:
            raise TaskNotSupportedError(
                f"'{relation}' needs {needed[relation]} references, '{parsed.text}' has "
                f'{len(parsed.references)}'
            )
        if parsed.action not in ('put', 'lift', 'push', 'turn_upright'):
            raise TaskNotSupportedError(
                f"no rule for the action '{parsed.action}': there are rules to put, lift, push "
                'and turn upright; other generators may know more'
            )

    def _check_frame(self, observation: Observation) -> None:
        """Refuse an observation in another frame than the rig's."""
        if observation.frame_id != self._context.rig.frame_id:
            raise InvalidInputError(
                f"the observation is in '{observation.frame_id}', the rig in "
                f"'{self._context.rig.frame_id}'"
            )

    def _look(
        self,
        observation: Observation,
        parsed: Instruction,
        masks: Sequence[Mask],
        seed: int,
        count: int,
        report: Callable[[str, float], None],
        poll: Callable[[], None],
    ) -> _Request:
        """Build the scene and complete the objects that the instruction names."""
        config = self._config
        limits = {
            'erosion': config.mask_erosion,
            'minimum': config.min_points,
            'poll': poll,
        }
        report('looking at the scene', 0.0)
        scene = build_scene(observation, self._context.rig, masks[0], poll)
        report('completing the object', 0.2)
        shape = estimate_shape(scene, masks[0], **limits)
        targets = []
        for mask in masks[1:]:
            report('completing the references', 0.3)
            shape_of_target = estimate_shape(scene, mask, **limits)
            poll()
            targets.append(placing.make_target(scene, mask, shape_of_target))
        report('searching the goal', 0.4)
        rng = np.random.default_rng(seed)
        return _Request(parsed, scene, shape, tuple(targets), rng, count)

    def _motions(self, request: _Request) -> list[Callable[[], Motion]]:
        """Return one recipe per candidate, the best-reasoned first."""
        makers = {
            'put': self._put,
            'lift': self._lift,
            'push': self._push,
            'turn_upright': self._turn_upright,
        }
        return makers[request.instruction.action](request)

    # put

    def _put(self, request: _Request) -> list[Callable[[], Motion]]:
        """Vary the place, then the carrying height, then the yaw."""
        carry = make_carry_map(
            request.scene, request.shape, self._context.robot.gripper, self._config.path
        )
        relation = request.instruction.relation
        places: list[placing.Place] = []
        if relation not in ('on', 'in'):
            places = self._places_on_support(request, 0.0)
        motions = []
        for i in range(request.count):
            extra = 0.0 if i % 2 == 0 else 0.05 + 0.03 * request.rng.uniform()
            # A grasp from another side needs another yaw at the goal; the first two keep the
            # object's.
            yaw = 0.0 if i < 2 else (-1) ** i * request.rng.uniform(0.5, 1.5)
            if places:
                place = places[(i // 2) % len(places)]
                motions.append(lambda p=place, e=extra: self._carry(request, carry, p, e))
            else:
                motions.append(
                    lambda y=yaw, e=extra: self._carry(request, carry, self._goal(request, y), e)
                )
        return motions

    def _places_on_support(self, request: _Request, yaw: float) -> list[placing.Place]:
        """Find places beside or between the references."""
        config, relation = self._config.placing, request.instruction.relation
        count = (request.count + 1) // 2
        scene, shape = request.scene, request.shape
        if relation == 'between':
            return placing.places_between(scene, shape, request.targets, count, yaw, config)
        target = request.targets[0]
        return placing.places_beside(scene, shape, target, relation, count, yaw, config)

    def _goal(self, request: _Request, yaw: float) -> placing.Place:
        """Find the place on or in the reference."""
        config, target = self._config.placing, request.targets[0]
        if request.instruction.relation == 'on':
            return placing.place_on(request.scene, request.shape, target, yaw, config)
        # A long thing may fit only along the cavity's length.
        yaws = [yaw + turn for turn in (0.0, 0.4, -0.4, 0.8, -0.8, 1.2, -1.2, np.pi / 2)]
        gripper = self._context.robot.gripper
        return placing.place_in(request.scene, request.shape, target, yaws, gripper, config)

    def _carry(
        self, request: _Request, carry: CarryMap, place: placing.Place, extra: float
    ) -> Motion:
        """Lift, carry and lower the object to a place."""
        line = carry_line(carry, request.shape.base, place, extra, self._config.path)
        return self._follow(request.shape, line, place.yaw)

    def _follow(self, shape: ObjectShape, line: NDArray[np.float64], yaw: float) -> Motion:
        """Move the object's base along a polyline while it turns by `yaw` about its axis."""
        path = time_path(line, self._config.num_steps, yaw, self._config.path)
        transforms = np.tile(np.eye(4), (len(path.times), 1, 1))
        for i, (base, phase) in enumerate(zip(path.points, path.phase)):
            turn = rotation_about([0.0, 0.0, 1.0], phase * yaw)
            transforms[i] = make_transform(base, turn) @ make_transform(-shape.base)
        return transforms, path.times

    # lift

    def _lift(self, request: _Request) -> list[Callable[[], Motion]]:
        """Vary the height around the wished-for one."""
        wished = self._config.lift_height
        heights = [wished, wished - 0.02, wished + 0.03]
        heights += list(
            request.rng.uniform(wished - 0.02, wished + 0.03, max(request.count - 3, 0))
        )
        return [lambda h=h: self._lift_by(request, h) for h in heights[: request.count]]

    def _lift_by(self, request: _Request, height: float) -> Motion:
        """Lift straight up, as far as the workspace allows."""
        shape, config = request.shape, self._config.path
        carry = make_carry_map(request.scene, shape, self._context.robot.gripper, config)
        room = carry.ceiling - shape.bottom
        if room < MIN_LIFT:
            raise NoObjectPathError(
                f"'{shape.label}' can be lifted by {1e3 * room:.0f} mm only, {1e3 * MIN_LIFT:.0f} "
                'mm are needed'
            )
        line = shape.base + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, min(height, room)]])
        return self._follow(shape, line, 0.0)

    # push

    def _push(self, request: _Request) -> list[Callable[[], Motion]]:
        """Vary the direction of "aside", the distance of the others."""
        config, shape, scene = self._config.push, request.shape, request.scene
        ground = pushing.make_push_map(scene, shape, config)
        relation = request.instruction.relation or 'aside'
        if relation == 'aside':
            places = pushing.push_aside(ground, shape, config)
        else:
            direction = self._push_direction(request, relation)
            far = pushing.push_along(ground, shape, direction, config)
            way = far.position[:2] - shape.center
            shares = [s for s in (1.0, 0.8, 0.6) if s * np.linalg.norm(way) >= config.min_distance]
            places = [
                placing.Place(np.array([*(shape.center + s * way), far.position[2]]))
                for s in shares or [1.0]
            ]
        return [
            lambda place=place: self._slide(shape, place.position)
            for place in places[: request.count]
        ]

    def _push_direction(self, request: _Request, relation: str) -> NDArray[np.float64]:
        """Return the (2,) direction in xy; from or to the reference where one is named."""
        if not request.targets or relation not in ('away', 'towards'):
            return placing.relation_direction(request.scene, relation)
        way = request.targets[0].shape.center - request.shape.center
        way = way if relation == 'towards' else -way
        return way / max(float(np.linalg.norm(way)), 1e-6)

    def _slide(self, shape: ObjectShape, goal: NDArray[np.float64]) -> Motion:
        """Slide along the support, a hair above it."""
        lift = np.array([0.0, 0.0, goal[2] - shape.bottom])
        way = goal - shape.base - lift
        line = shape.base + np.array([0.0, 0.1, 1.0])[:, None] * way + [[0, 0, 0], lift, lift]
        return self._follow(shape, line, 0.0)

    # turn upright

    def _turn_upright(self, request: _Request) -> list[Callable[[], Motion]]:
        """Vary the yaw at which the object stands, and the lift.

        A hand that holds the lying object from above ends up horizontal, pointing along the
        object's old axis. That suits an arm best when it points away from its base.
        """
        config, shape = self._config, request.shape
        lying = turning.find_lying(shape, config.turn)
        base = self._context.rig.base.translation
        outward = lying.center[:2] - base[:2]
        turn = np.arctan2(outward[1], outward[0]) - np.arctan2(lying.axis[1], lying.axis[0])
        turn = (turn + np.pi) % (2.0 * np.pi) - np.pi
        yaws = [turn, 0.0, turn / 2.0]
        yaws += list(turn + request.rng.uniform(-0.6, 0.6, max(request.count - 3, 0)))
        return [
            lambda yaw=yaw: turning.upright_path(
                request.scene,
                shape,
                lying,
                yaw,
                config.turn.lift,
                config.num_steps,
                config.turn,
                config.path,
            )
            for yaw in yaws[: request.count]
        ]
