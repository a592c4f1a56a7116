# SPDX-License-Identifier: Apache-2.0
"""Does the motion fit the scene? Starts on the object, stays inside, goes through nothing."""

from __future__ import annotations

import numpy as np

from flow_manip_world_model.points import grow_mask
from flow_manip_world_model.selection.facts import Array, Facts
from flow_manip_world_model.selection.limits import falling, GeometricConfig, VetoError


def start(facts: Facts, config: GeometricConfig) -> float:
    """Do the points start on the object, where the camera sees it?"""
    points = facts.points[0][facts.seen[0]]
    own, seen, pixels = facts.scene.depth_at(points)
    on = grow_mask(facts.mask.pixels, 2)[pixels[:, 1], pixels[:, 0]] & np.isfinite(seen)
    share = float(on.mean())
    if share < config.min_on_object:
        raise VetoError(
            f'moves something else: {100 * share:.0f} % of its points start on '
            f"'{facts.mask.label}', "
            f'{100 * config.min_on_object:.0f} % are needed'
        )
    error = float(np.median(np.abs(own - seen)[on]))
    if error > config.max_start_error:
        raise VetoError(
            f'starts {1e3 * error:.0f} mm before or behind what the camera sees, '
            f'limit {1e3 * config.max_start_error:.0f} mm'
        )
    return share * falling(error, config.max_start_error)


def inside(facts: Facts, config: GeometricConfig) -> float:
    """Does it stay in the workspace?"""
    lower = np.asarray(facts.scene.workspace.lower) - facts.model
    upper = facts.model - np.asarray(facts.scene.workspace.upper)
    outside = np.where(facts.shown[..., None], np.maximum(lower, upper), -np.inf).max(axis=(1, 2))
    # An object that stands at the border may start outside, but not go farther.
    beyond = outside - max(float(outside[0]), 0.0)
    worst = int(beyond.argmax())
    if beyond[worst] > config.workspace_slack:
        x, y, z = facts.center[worst]
        raise VetoError(
            f'leaves the workspace by {1e3 * beyond[worst]:.0f} mm at step {worst}, '
            f'around ({x:.2f}, {y:.2f}, {z:.2f}) m'
        )
    return falling(max(float(beyond[worst]), 0.0), 2 * config.workspace_slack)


def clearance(facts: Facts, config: GeometricConfig) -> float:
    """Does it stay out of the support and of other things?"""
    allowed = config.penetration_growth * _moved(facts)
    return _above_support(facts, config, allowed) * _out_of_things(facts, config, allowed)


def _moved(facts: Facts) -> Array:
    """Return (T,) how far the object has been from its start so far [m]."""
    away = np.linalg.norm(facts.center - facts.center[0], axis=1)
    return np.asarray(np.maximum.accumulate(away))


def _above_support(facts: Facts, config: GeometricConfig, allowed: Array) -> float:
    """Refuse a motion that sinks into what objects stand on."""
    support = facts.scene.support.height_at(facts.model[..., :2])
    above = np.where(facts.shown, facts.model[..., 2] - support, np.inf)
    # Depth noise may put points of the first step below the support; they may stay as low.
    sunk = min(float(above[0].min()), 0.0) - above.min(axis=1)
    limits = config.max_penetration + allowed
    worst = int((sunk - limits).argmax())
    if sunk[worst] > limits[worst]:
        raise VetoError(
            f'goes {1e3 * sunk[worst]:.0f} mm into the support at step {worst}, '
            f'limit {1e3 * limits[worst]:.0f} mm'
        )
    return falling(float((sunk / limits).max()), 2.0)


def _out_of_things(facts: Facts, config: GeometricConfig, allowed: Array) -> float:
    """Refuse a motion through what stands around."""
    scene = facts.scene
    top = np.where(np.isnan(scene.top), -np.inf, scene.top)
    depth = scene.grid.sample(top, facts.model[..., :2], -np.inf) - facts.model[..., 2]
    deeper = facts.shown & (depth > (config.scene_penetration + allowed)[:, None])
    # What the mask left out of the object looks like a thing that it stands in.
    share = np.maximum(deeper.mean(axis=1) - deeper[0].mean(), 0.0)
    worst = int(share.argmax())
    if share[worst] > _penetrating_limit(facts, config):
        x, y, _ = facts.model[worst][deeper[worst]].mean(axis=0)
        raise VetoError(
            f'goes through something at ({x:.2f}, {y:.2f}) m: {100 * share[worst]:.0f} % of '
            'its points at step '
            f'{worst}, limit {100 * _penetrating_limit(facts, config):.0f} %'
        )
    return 1.0 - float(share.max()) / _penetrating_limit(facts, config) * 0.5


def _penetrating_limit(facts: Facts, config: GeometricConfig) -> float:
    """Return the share of points that may be below tops: heights know no doors and no holes."""
    inserted = (
        facts.wording.action in ('close', 'insert', 'hang') or facts.wording.relation == 'in'
    )
    return 0.6 if inserted else config.max_penetrating
