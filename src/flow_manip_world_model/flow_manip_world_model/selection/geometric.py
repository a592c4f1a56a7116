# SPDX-License-Identifier: Apache-2.0
"""Selection by geometry: one rigid object, the right one, on a free and smooth way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flow_manip_core.errors import (
    DegenerateFlowError,
    FlowManipError,
    InvalidInputError,
    NoAcceptableFlowError,
)
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.instruction import parse_instruction
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.rigid import fit_flow_transforms
from flow_manip_core.robot import Context
from flow_manip_world_model.placing import relation_direction
from flow_manip_world_model.points import grow_mask
from flow_manip_world_model.scene import build_scene, Scene
from flow_manip_world_model.selection import Ranking

LOWEST = 5.0  # percentile of the heights that counts as the lowest point
TIE = 0.005  # scores closer than this keep the generator's order


class _VetoError(Exception):
    """A candidate must not be followed."""


@dataclass(frozen=True)
class _Facts:
    """What every check needs of one candidate.

    Attributes:
        flow: the candidate.
        points: (T, N, 3) [m].
        seen: (T, N) True where visible.
        center: (T, 3) of the visible points [m].
        scene: what is around.
        mask: of the object that should move.
        action: of the instruction; '' where it was not understood.
        relation: of it.
    """

    flow: ObjectFlow
    points: NDArray[np.float64]
    seen: NDArray[np.bool_]
    center: NDArray[np.float64]
    scene: Scene
    mask: Mask
    action: str
    relation: str


class GeometricSelection:
    """Scores candidates by geometric measures and vetoes what no robot should follow.

    The score is their weighted geometric mean, so that one bad measure is not outvoted by good
    ones. An instruction that `parse_instruction` does not understand may still have flows, from
    generators that do: then the checks of the end are left out.
    """

    @dataclass(frozen=True)
    class Config:
        """Limits; beyond them a candidate is vetoed."""

        max_residual: float = field(default=0.012, metadata={'doc': 'RMS from rigid motion [m]'})
        max_speed: float = field(default=0.8, metadata={'doc': 'Of any point [m/s]'})
        max_step: float = field(default=0.12, metadata={'doc': 'Of any point in a step [m]'})
        min_motion: float = field(default=0.02, metadata={'doc': 'Farthest point moves [m]'})
        min_visible: float = field(default=0.3, metadata={'doc': 'Share of visible points'})
        min_on_object: float = field(default=0.7, metadata={'doc': 'Share starting on the mask'})
        max_start_error: float = field(default=0.03, metadata={'doc': 'Depth at the start [m]'})
        workspace_slack: float = field(default=0.02, metadata={'doc': 'Outside by this [m]'})
        max_penetration: float = field(default=0.012, metadata={'doc': 'Into the support [m]'})
        scene_penetration: float = field(default=0.015, metadata={'doc': 'Into other things [m]'})
        max_penetrating: float = field(default=0.1, metadata={'doc': 'Share of points doing so'})
        max_drop: float = field(default=0.03, metadata={'doc': 'Free fall at the end [m]'})
        max_drop_in: float = field(default=0.10, metadata={'doc': 'The same into a thing [m]'})
        min_rise: float = field(default=0.03, metadata={'doc': 'Of a lift [m]'})
        min_turn: float = field(default=0.5, metadata={'doc': 'Of "turn upright" [rad]'})

    def __init__(self, config: Config, context: Context) -> None:
        """Keep limits and rig."""
        self._config = config
        self._context = context
        self._checks: dict[Callable[[_Facts], float], float] = {
            self._start: 2.0,
            self._visibility: 1.0,
            self._rigidity: 2.0,
            self._speed: 1.0,
            self._smoothness: 1.0,
            self._motion: 1.0,
            self._clearance: 2.0,
            self._inside: 1.0,
            self._end: 2.0,
        }

    def rank(
        self,
        observation: Observation,
        instruction: str,
        mask: Mask,
        candidates: Sequence[ObjectFlow],
    ) -> Ranking:
        """Rank the candidates; see `FlowSelector.rank`."""
        if not candidates:
            raise InvalidInputError('there are no candidates to rank')
        scene = build_scene(observation, self._context.rig, mask)
        action, relation = _meaning(instruction)
        scores, vetoes = np.zeros(len(candidates)), []
        for i, flow in enumerate(candidates):
            try:
                scores[i] = self._score(_facts(flow, scene, mask, action, relation))
                vetoes.append('')
            except _VetoError as veto:
                vetoes.append(str(veto))
        acceptable = [i for i, veto in enumerate(vetoes) if not veto]
        if not acceptable:
            reasons = '; '.join(f'{i + 1}: {veto}' for i, veto in enumerate(vetoes))
            raise NoAcceptableFlowError(f'all {len(vetoes)} candidates are vetoed: {reasons}')
        # Generators give their best-reasoned first; a hair's breadth of score must not overrule
        # that.
        order = sorted(acceptable, key=lambda i: (-round(scores[i] / TIE), i))
        return Ranking(scores, tuple(vetoes), tuple(order))

    def _score(self, facts: _Facts) -> float:
        """Return the weighted geometric mean of all measures."""
        values = np.array([check(facts) for check in self._checks])
        weights = np.array(list(self._checks.values()))
        return float(np.exp(weights @ np.log(np.maximum(values, 1e-3)) / weights.sum()))

    def _start(self, facts: _Facts) -> float:
        """Do the points start on the object, where the camera sees it?"""
        config = self._config
        start = facts.points[0][facts.seen[0]]
        own, seen, pixels = facts.scene.depth_at(start)
        on = grow_mask(facts.mask.pixels, 2)[pixels[:, 1], pixels[:, 0]] & np.isfinite(seen)
        share = float(on.mean())
        if share < config.min_on_object:
            raise _VetoError(
                f'moves something else: {100 * share:.0f} % of its points start on '
                f"'{facts.mask.label}', "
                f'{100 * config.min_on_object:.0f} % are needed'
            )
        error = float(np.median(np.abs(own - seen)[on]))
        if error > config.max_start_error:
            raise _VetoError(
                f'starts {1e3 * error:.0f} mm before or behind what the camera sees, '
                f'limit {1e3 * config.max_start_error:.0f} mm'
            )
        return share * _falling(error, config.max_start_error)

    def _visibility(self, facts: _Facts) -> float:
        """How much of the object is seen on the way?"""
        share = facts.seen.mean(axis=1)
        worst = int(share.argmin())
        if share[worst] < self._config.min_visible:
            raise _VetoError(
                f'{100 * share[worst]:.0f} % of its points are visible at step {worst}, '
                f'{100 * self._config.min_visible:.0f} % are needed'
            )
        return float(share.mean())

    def _rigidity(self, facts: _Facts) -> float:
        """Does it stay one rigid object?"""
        try:
            _, residuals = fit_flow_transforms(facts.flow)
        except DegenerateFlowError as error:
            raise _VetoError(f'no rigid motion: {error}') from error
        worst = int(residuals.argmax())
        if residuals[worst] > self._config.max_residual:
            raise _VetoError(
                f'changes its shape by {1e3 * residuals[worst]:.0f} mm at step {worst}, '
                f'limit {1e3 * self._config.max_residual:.0f} mm'
            )
        return _falling(float(residuals.max()), self._config.max_residual)

    def _speed(self, facts: _Facts) -> float:
        """Is it slow enough, without jumps?"""
        config = self._config
        both = facts.seen[1:] & facts.seen[:-1]
        steps = np.where(both, np.linalg.norm(np.diff(facts.points, axis=0), axis=-1), 0.0)
        far = steps.max(axis=1)
        speed = far / np.diff(facts.flow.times)
        worst = int(far.argmax())
        if far[worst] > config.max_step:
            raise _VetoError(
                f'jumps {1e3 * far[worst]:.0f} mm between steps {worst} and {worst + 1}, '
                f'limit {1e3 * config.max_step:.0f} mm'
            )
        if speed.max() > config.max_speed:
            raise _VetoError(f'moves at {speed.max():.2f} m/s, limit {config.max_speed:.2f} m/s')
        return _falling(max(float(speed.max()) - 0.3, 0.0), config.max_speed - 0.3)

    def _smoothness(self, facts: _Facts) -> float:
        """How close is the way to the smoothest one of its length and duration?

        The dimensionless squared jerk (Hogan and Sternad, 2009) of a straight minimum-jerk motion
        is 720; a lift, a carry and a lowering need about a hundred times that. On a logarithmic
        scale 1 is the former, 0 ten million times it.
        """
        if len(facts.center) < 5:
            return 0.5
        times = np.linspace(0.0, facts.flow.times[-1], len(facts.center))
        path = np.stack(
            [np.interp(times, facts.flow.times, facts.center[:, i]) for i in range(3)], axis=1
        )
        step = times[1]
        jerk = np.diff(path, 3, axis=0) / step**3
        length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        if length < 1e-6:
            return 1.0
        cost = float((jerk**2).sum() * step) * times[-1] ** 5 / length**2
        return float(np.clip(1.0 - np.log10(max(cost, 720.0) / 720.0) / 7.0, 0.0, 1.0))

    def _motion(self, facts: _Facts) -> float:
        """Does it move at all, and not by long detours?"""
        config = self._config
        moved = np.linalg.norm(facts.points - facts.points[:1], axis=-1)
        farthest = float(np.where(facts.seen & facts.seen[:1], moved, 0.0).max())
        if farthest < config.min_motion:
            raise _VetoError(
                f'stands still: its farthest point moves {1e3 * farthest:.0f} mm, '
                f'{1e3 * config.min_motion:.0f} mm are needed'
            )
        length = float(np.linalg.norm(np.diff(facts.center, axis=0), axis=1).sum())
        direct = float(np.linalg.norm(facts.center - facts.center[0], axis=1).max())
        # Over things and back down is about direct + 0.3 m; longer ways cost.
        detour = max(length - direct - 0.2, 0.0)
        return float(1.0 / (1.0 + 0.5 * detour / max(direct, 0.1)))

    def _inside(self, facts: _Facts) -> float:
        """Does it stay in the workspace?"""
        lower = np.asarray(facts.scene.workspace.lower) - facts.points
        upper = facts.points - np.asarray(facts.scene.workspace.upper)
        outside = np.where(facts.seen[..., None], np.maximum(lower, upper), -np.inf).max(
            axis=(1, 2)
        )
        # An object that stands at the border may start outside, but not go farther.
        beyond = outside - max(float(outside[0]), 0.0)
        worst = int(beyond.argmax())
        if beyond[worst] > self._config.workspace_slack:
            x, y, z = facts.center[worst]
            raise _VetoError(
                f'leaves the workspace by {1e3 * beyond[worst]:.0f} mm at step {worst}, '
                f'around ({x:.2f}, {y:.2f}, {z:.2f}) m'
            )
        return _falling(max(float(beyond[worst]), 0.0), 2 * self._config.workspace_slack)

    def _clearance(self, facts: _Facts) -> float:
        """Does it stay out of the support and of other things?"""
        config, scene = self._config, facts.scene
        support = scene.support.height_at(facts.points[..., :2])
        above = np.where(facts.seen, facts.points[..., 2] - support, np.inf)
        # Depth noise may put points of the first step below the support; they may stay as low.
        sunk = min(float(above[0].min()), 0.0) - above.min(axis=1)
        worst = int(sunk.argmax())
        if sunk[worst] > config.max_penetration:
            raise _VetoError(
                f'goes {1e3 * sunk[worst]:.0f} mm into the support at step {worst}, '
                f'limit {1e3 * config.max_penetration:.0f} mm'
            )
        top = np.where(np.isnan(scene.top), -np.inf, scene.top)
        depth = scene.grid.sample(top, facts.points[..., :2], -np.inf) - facts.points[..., 2]
        inside = facts.seen & (depth > config.scene_penetration)
        # What the mask left out of the object looks like a thing that it stands in.
        share = np.maximum(inside.mean(axis=1) - inside[0].mean(), 0.0)
        worst = int(share.argmax())
        if share[worst] > config.max_penetrating:
            x, y, _ = facts.points[worst][inside[worst]].mean(axis=0)
            raise _VetoError(
                f'goes through something at ({x:.2f}, {y:.2f}) m: {100 * share[worst]:.0f} % of '
                'its points at step '
                f'{worst}, limit {100 * config.max_penetrating:.0f} %'
            )
        return 1.0 - float(share.max()) / config.max_penetrating * 0.5

    def _end(self, facts: _Facts) -> float:
        """Does it end as the instruction says?"""
        checks = {
            'put': self._end_put,
            'lift': self._end_lift,
            'push': self._end_push,
            'turn_upright': self._end_upright,
        }
        return checks[facts.action](facts) if facts.action in checks else 1.0

    def _end_put(self, facts: _Facts) -> float:
        """Put down means resting on something."""
        limit = self._config.max_drop_in if facts.relation == 'in' else self._config.max_drop
        drop = _hanging(facts, -1) - _hanging(facts, 0)
        if drop > limit:
            raise _VetoError(
                f'ends {1e3 * drop:.0f} mm above what is below it, limit {1e3 * limit:.0f} mm'
            )
        return _falling(max(drop - 0.01, 0.0), 2.0 * limit)

    def _end_lift(self, facts: _Facts) -> float:
        """Lifted means higher, not elsewhere."""
        move = facts.center[-1] - facts.center[0]
        if move[2] < self._config.min_rise:
            raise _VetoError(
                f'rises by {1e3 * move[2]:.0f} mm, {1e3 * self._config.min_rise:.0f} mm are needed'
            )
        return _falling(float(np.linalg.norm(move[:2])), 0.3)

    def _end_push(self, facts: _Facts) -> float:
        """Pushed means along the support, and in the direction that was said."""
        move = facts.center[-1, :2] - facts.center[0, :2]
        rise = float((facts.center[:, 2] - facts.center[0, 2]).max())
        if rise > 0.05:
            raise _VetoError(f'is lifted by {1e3 * rise:.0f} mm, but should be pushed')
        if facts.relation in ('left', 'right'):
            wished = relation_direction(facts.scene, facts.relation)
            along = float(move @ wished) / max(float(np.linalg.norm(move)), 1e-9)
            if along < 0.5:
                angle = np.degrees(np.arccos(np.clip(along, -1.0, 1.0)))
                raise _VetoError(f'moves {angle:.0f} degrees away from {facts.relation}')
        return _falling(max(rise - 0.01, 0.0), 0.1)

    def _end_upright(self, facts: _Facts) -> float:
        """Turned upright means turned, and standing."""
        transforms, _ = fit_flow_transforms(facts.flow)
        rotation = transforms[-1, :3, :3]
        # Turning about the vertical does not stand anything up.
        tilt = float(np.arccos(np.clip(rotation[2, 2], -1.0, 1.0)))
        if tilt < self._config.min_turn:
            raise _VetoError(
                f'tilts by {np.degrees(tilt):.0f} degrees, '
                f'{np.degrees(self._config.min_turn):.0f} are needed to stand up'
            )
        total = float(Rotation.from_matrix(rotation).magnitude())
        return float(tilt / max(total, tilt)) ** 0.25


def _meaning(instruction: str) -> tuple[str, str]:
    """Return action and relation of an instruction, empty where it is not understood."""
    try:
        parsed = parse_instruction(instruction)
    except FlowManipError:
        return '', ''
    return parsed.action, parsed.relation


def _facts(flow: ObjectFlow, scene: Scene, mask: Mask, action: str, relation: str) -> _Facts:
    """Gather what the checks need.

    Raises:
        _VetoError: a step shows nothing, the flow has one step, or another frame than the
            observation.
    """
    seen = flow.visible
    if flow.frame_id != scene.observation.frame_id:
        raise _VetoError(
            f"is in the frame '{flow.frame_id}', the observation in '{scene.observation.frame_id}'"
        )
    if flow.num_steps < 2 or not seen.any(axis=1).all():
        raise _VetoError(
            f'has {flow.num_steps} steps, {int((~seen.any(axis=1)).sum())} of them without a '
            'visible point'
        )
    points = np.where(seen[..., None], flow.points, 0.0).astype(np.float64)
    center = points.sum(axis=1) / seen.sum(axis=1)[:, None]
    return _Facts(flow, points, seen, center, scene, mask, action, relation)


def _falling(value: float, limit: float) -> float:
    """Return 1 at 0, falling smoothly to about 0.1 at the limit."""
    return float(np.exp(-2.3 * (max(value, 0.0) / limit) ** 2))


def _hanging(facts: _Facts, step: int) -> float:
    """Return how far the object's lowest visible points are above what is below them [m].

    Its underside is not seen; the difference between two steps is what it hangs more.
    """
    points = facts.points[step][facts.seen[step]]
    scene = facts.scene
    low = points[points[:, 2] <= np.percentile(points[:, 2], LOWEST) + 0.005]
    top = np.where(np.isnan(scene.top), scene.support_map, scene.top)
    below = scene.grid.sample(top, low[:, :2], -np.inf)
    below = np.where(np.isfinite(below), below, scene.support.height_at(low[:, :2]))
    return float(np.median(low[:, 2] - below))
