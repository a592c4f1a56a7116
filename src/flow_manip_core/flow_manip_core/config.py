# SPDX-License-Identifier: Apache-2.0
"""Dataclasses filled from mappings and yaml files, with nothing silently ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, MISSING
from difflib import get_close_matches
import os
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, TypeVar

import yaml

from flow_manip_core.errors import ConfigurationError

C = TypeVar('C')


def config_root() -> Path:
    """Return the folder that holds robots/, rigs/ and pipelines/.

    ``FLOW_MANIP_CONFIG`` if set, else the installed package `flow_manip`'s share, else the
    checkout this file is in.

    Raises:
        ConfigurationError: none of them exists.
    """
    candidates = []
    if chosen := os.environ.get('FLOW_MANIP_CONFIG'):
        candidates.append(Path(chosen))
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            candidates.append(Path(prefix) / 'share' / 'flow_manip' / 'config')
    candidates.append(Path(__file__).resolve().parents[3] / 'config')
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigurationError(f'no configuration folder at any of {[str(c) for c in candidates]}')


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read one yaml mapping.

    Raises:
        ConfigurationError: the file is missing, is not yaml, or does not hold a mapping.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f'{path}: {error}') from error
    if not isinstance(data, dict):
        raise ConfigurationError(f'{path} holds {type(data).__name__}, expected a mapping')
    return data


def load_config(relative: str | Path, cls: type[C]) -> C:
    """Fill `cls` from a yaml file under `config_root()` (or from an absolute path)."""
    path = config_root() / relative
    return from_mapping(cls, load_yaml(path), where=str(relative))


def from_mapping(cls: type[C], values: Mapping[str, Any], where: str = '') -> C:
    """Fill the dataclass `cls`, nested ones and tuples included.

    Args:
        cls: a dataclass; fields without default are required.
        values: by field name.
        where: named in messages.

    Raises:
        ConfigurationError: an unknown key (with the nearest one), a missing one, or a value of the
            wrong type.
    """
    where = where or cls.__name__
    types = get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else f'; known: {sorted(known)}'
            raise ConfigurationError(f"{where}: unknown key '{key}'{hint}")
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigurationError(f"{where}: '{name}' is required")
    try:
        return cls(
            **{key: _convert(types[key], value, f'{where}.{key}') for key, value in values.items()}
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f'{where}: {error}') from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Check `value` against the annotation `kind`; lists become tuples, integers floats."""
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise ConfigurationError(f'{where}: expected a mapping, got {value!r}')
        return from_mapping(kind, value, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigurationError(f'{where}: expected a list, got {value!r}')
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], item, f'{where}[{i}]') for i, item in enumerate(value))
        if len(args) != len(value):
            raise ConfigurationError(f'{where}: expected {len(args)} values, got {len(value)}')
        return tuple(
            _convert(arg, item, f'{where}[{i}]') for i, (arg, item) in enumerate(zip(args, value))
        )
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise ConfigurationError(f'{where}: expected a mapping, got {value!r}')
        return (
            {key: _convert(args[1], item, f'{where}.{key}') for key, item in value.items()}
            if args
            else dict(value)
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and (
        not isinstance(value, kind) or (kind is int and isinstance(value, bool))
    ):
        raise ConfigurationError(f'{where}: expected {kind.__name__}, got {value!r}')
    return value
