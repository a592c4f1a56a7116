# SPDX-License-Identifier: Apache-2.0
"""Is the motion one that a thing makes? Without jumps, smooth, not too long, not nothing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from flow_manip_world_model.selection.facts import Facts
from flow_manip_world_model.selection.limits import falling, GeometricConfig, VetoError

EASY_SPEED = 0.3  # [m/s] costs nothing
AROUND = 5  # steps that a jump is compared with


def speed(facts: Facts, config: GeometricConfig) -> float:
    """Is it slow enough, without jumps?

    A cut in a video is one step far longer than those around it.
    """
    steps = np.linalg.norm(np.diff(facts.model, axis=0), axis=-1)
    both = facts.shown[1:] & facts.shown[:-1]
    far = np.where(both, steps, 0.0).max(axis=1)
    usual = np.where(both, steps, 0.0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    worst = int(far.argmax())
    if far[worst] > config.max_step:
        raise VetoError(
            f'jumps {1e3 * far[worst]:.0f} mm between steps {worst} and {worst + 1}, '
            f'limit {1e3 * config.max_step:.0f} mm'
        )
    around = median_filter(usual, AROUND, mode='nearest')
    ratio = usual / np.maximum(around, config.min_jump / config.jump_ratio)
    at = int(ratio.argmax())
    if usual[at] > config.min_jump and ratio[at] > config.jump_ratio:
        raise VetoError(
            f'jumps {1e3 * usual[at]:.0f} mm between steps {at} and {at + 1}, '
            f'{ratio[at]:.1f} times the steps around it'
        )
    fastest = float((far / np.diff(facts.flow.times)).max())
    if fastest > config.max_speed:
        raise VetoError(f'moves at {fastest:.2f} m/s, limit {config.max_speed:.2f} m/s')
    return falling(max(fastest - EASY_SPEED, 0.0), 2.0 * config.max_speed)


def smoothness(facts: Facts, config: GeometricConfig) -> float:
    """How close is the way to the smoothest one of its length and duration?

    The dimensionless squared jerk (Hogan and Sternad, 2009) of a straight minimum-jerk motion
    is 720; a lift, a carry and a lowering need about a hundred times that. On a logarithmic
    scale 1 is the former, 0 ten million times it.
    """
    center, given = facts.center, facts.flow.times
    if len(center) < 5:
        return 0.5
    times = np.linspace(0.0, given[-1] - given[0], len(center))
    path = np.stack([np.interp(times, given - given[0], center[:, i]) for i in range(3)], axis=1)
    step = times[1]
    jerk = np.diff(path, 3, axis=0) / step**3
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    if length < 1e-6:
        return 1.0
    cost = float((jerk**2).sum() * step) * times[-1] ** 5 / length**2
    return float(np.clip(1.0 - np.log10(max(cost, 720.0) / 720.0) / 7.0, 0.0, 1.0))


def motion(facts: Facts, config: GeometricConfig) -> float:
    """Does it move at all, and not by long detours?"""
    moved = np.linalg.norm(facts.model - facts.model[:1], axis=-1)
    farthest = float(np.where(facts.shown & facts.shown[:1], moved, 0.0).max())
    if farthest < config.min_motion:
        raise VetoError(
            f'stands still: its farthest point moves {1e3 * farthest:.0f} mm, '
            f'{1e3 * config.min_motion:.0f} mm are needed'
        )
    center = facts.center
    length = float(np.linalg.norm(np.diff(center, axis=0), axis=1).sum())
    direct = float(np.linalg.norm(center - center[0], axis=1).max())
    # Over things and back down is about direct + 0.3 m; longer ways cost. What is poured from
    # may come back.
    there_and_back = 2.0 if facts.wording.action == 'pour' else 1.0
    detour = max(length - there_and_back * direct - 0.2, 0.0)
    return float(1.0 / (1.0 + 0.5 * detour / max(direct, 0.1)))
