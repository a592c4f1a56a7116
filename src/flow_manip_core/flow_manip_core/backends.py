# SPDX-License-Identifier: Apache-2.0
"""Building backends from parameters: the same yaml serves ROS nodes and one process without ROS.

A backend is a class with a nested frozen dataclass ``Config`` and ``__init__(self, config,
context)``. Its parameters stand
under its name: ``{'backend': 'tabletop', 'tabletop': {'min_points': 40}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flow_manip_core.config import config_root, from_mapping, load_yaml
from flow_manip_core.errors import ConfigurationError, UnknownPipelineError
from flow_manip_core.registry import missing_package, Registry
from flow_manip_core.robot import Context

T = TypeVar('T')


def create_backend(registry: Registry[T], parameters: Mapping[str, Any], context: Context) -> T:
    """Build the backend that ``parameters['backend']`` names from the parameters under that name.

    Raises:
        BackendError: it is unknown or cannot be imported, or a package that it needs is missing.
        ConfigurationError: a parameter is unknown, missing or of the wrong type.
    """
    name = parameters.get('backend')
    if not isinstance(name, str):
        raise ConfigurationError(f"{registry.kind}: parameter 'backend' is missing")
    cls = registry.load(name)
    values = parameters.get(name, {})
    config = from_mapping(cls.Config, values, where=f'{registry.kind}.{name}')  # type: ignore[attr-defined]
    try:
        return cls(config, context)  # type: ignore[call-arg]
    except ImportError as error:
        raise missing_package(registry.kind, name, error) from error


def pipeline_parameters(pipeline: str, robot: str) -> dict[str, dict[str, Any]]:
    """Read the parameters of every node as launch gives them.

    Later files win: nodes.yaml, the robot's, the pipeline's.

    Returns:
        Parameters by node name, e.g. ``{'segmentation_node': {'backend': 'tabletop', ...}}``.

    Raises:
        UnknownPipelineError: no such file.
    """
    root = config_root()
    path = root / 'pipelines' / f'{pipeline}.yaml'
    if not path.is_file():
        known = sorted(p.stem for p in (root / 'pipelines').glob('*.yaml'))
        raise UnknownPipelineError(f"no pipeline '{pipeline}'; known: {known}")
    merged: dict[str, dict[str, Any]] = {}
    for file in (root / 'nodes.yaml', root / 'robots' / robot / 'nodes.yaml', path):
        if file.is_file():
            for key, value in load_yaml(file).items():
                _merge(merged.setdefault(key.split('/')[-1], {}), value['ros__parameters'])
    return merged


def _merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Lay `values` over `target`, mapping by mapping."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value
