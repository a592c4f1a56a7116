# SPDX-License-Identifier: Apache-2.0
"""ROS parameters mirrored from dataclasses, with unknown keys refused.

ROS itself ignores a misspelt key of a parameter file. Here a node claims what it knows;
`Parameters.check` refuses the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from flow_manip_core.config import from_mapping
from flow_manip_core.errors import ConfigurationError
from flow_manip_core.registry import Registry
from flow_manip_core.robot import Context, load_rig, load_robot

C = TypeVar('C')
T = TypeVar('T')

# Declared by rclpy itself.
_OF_RCLPY = ('use_sim_time', 'start_type_description_service', 'qos_overrides')


class Parameters:
    """Declares a node's parameters from dataclasses and single values, all read-only.

    The node must have been made with ``automatically_declare_parameters_from_overrides=True`` (the
    node bases of this package
    are), which is the public way to learn which keys a parameter file holds.
    """

    def __init__(self, node: Node) -> None:
        """Collect what was given to `node` on its command line and in parameter files."""
        self._node = node
        given = node.get_parameters_by_prefix('')
        self._given = {
            name: parameter.value
            for name, parameter in given.items()
            if not name.startswith(_OF_RCLPY)
        }
        self._known: set[str] = set()
        for name in self._given:
            node.undeclare_parameter(name)

    def value(self, name: str, default: T, doc: str) -> T:
        """Declare one parameter and return its value, which has the type of `default`."""
        value = self._given.get(name, default)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(default):
            raise ConfigurationError(
                f"parameter '{name}': expected {type(default).__name__}, got {value!r}"
            )
        self._declare(name, value, doc)
        return value

    def dataclass(self, cls: type[C], prefix: str = '') -> C:
        """Declare every field of `cls` under `prefix` and return the filled instance.

        Raises:
            ConfigurationError: an unknown key, a missing one, a wrong type.
        """
        # What stands at the top level under another name has been declared before.
        free = {key: value for key, value in self._given.items() if key not in self._known}
        values = _nested(free, prefix)
        config = from_mapping(cls, values, where=prefix.rstrip('.') or cls.__name__)
        self._declare_fields(config, prefix)
        return config

    def context(self) -> Context:
        """Declare `robot` and `rig` and read their files."""
        robot = self.value('robot', 'franka', 'Folder in config/robots')
        rig = self.value('rig', 'tabletop', 'File in config/rigs, or a path to a yaml file')
        return Context(robot=load_robot(robot), rig=load_rig(rig))

    def backend(
        self, registry: Registry[T], default: str, context: Context, *more: Any, prefix: str = ''
    ) -> T:
        """Declare `backend` and the chosen backend's parameters, and build it.

        Args:
            registry: the table of backends.
            default: name if the parameter is not given.
            context: robot and rig.
            *more: further arguments of the backend's constructor.
            prefix: of the parameters, with its dot, e.g. 'grasp.'.
        """
        doc = f'{registry.kind} backend: {sorted(registry.paths)} or module:Class'
        name = self.value(f'{prefix}backend', default, doc)
        cls = registry.load(name)
        config = self.dataclass(cls.Config, f'{prefix}{name}.')  # type: ignore[attr-defined]
        # Blocks of backends that were not chosen may stand in the same file.
        for other in registry.paths:
            self._known |= {key for key in self._given if key.startswith(f'{prefix}{other}.')}
        return cls(config, context, *more)  # type: ignore[call-arg]

    def mapping(self, prefix: str) -> dict[str, Any]:
        """Declare what was given under `prefix` and return it as nested mappings.

        For blocks whose reader refuses unknown keys itself, such as the parts of a backend that is
        made of other backends.
        """
        for name in [name for name in self._given if name.startswith(prefix)]:
            self._declare(name, self._given[name], '')
        return _nested(self._given, prefix)

    def check(self) -> None:
        """Refuse parameters that nobody declared.

        Raises:
            ConfigurationError: names them, with the nearest known one.
        """
        for name in self._given:
            if name not in self._known:
                close = get_close_matches(name, self._known, n=1)
                hint = (
                    f"; did you mean '{close[0]}'?" if close else f'; known: {sorted(self._known)}'
                )
                raise ConfigurationError(
                    f"{self._node.get_name()}: unknown parameter '{name}'{hint}"
                )

    def _declare(self, name: str, value: Any, doc: str) -> None:
        if not self._node.has_parameter(name):
            descriptor = ParameterDescriptor(description=doc, read_only=True)
            self._node.declare_parameter(name, value, descriptor, ignore_override=True)
        self._known.add(name)

    def _declare_fields(self, config: Any, prefix: str) -> None:
        for field in fields(config):
            value = getattr(config, field.name)
            if is_dataclass(value):
                self._declare_fields(value, f'{prefix}{field.name}.')
            elif isinstance(value, Mapping):
                # Open-ended keys: every given leaf is one parameter.
                names = [key for key in self._given if key.startswith(f'{prefix}{field.name}.')]
                for name in names:
                    self._declare(name, self._given[name], field.metadata.get('doc', ''))
            else:
                value = list(value) if isinstance(value, tuple) else value
                self._declare(f'{prefix}{field.name}', value, field.metadata.get('doc', ''))


def _nested(flat: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Turn the dotted names under `prefix` into nested mappings."""
    result: dict[str, Any] = {}
    for name, value in flat.items():
        if name.startswith(prefix):
            *path, leaf = name.removeprefix(prefix).split('.')
            target = result
            for part in path:
                target = target.setdefault(part, {})
            target[leaf] = (
                list(value)
                if not isinstance(value, (str, bytes)) and hasattr(value, '__len__')
                else value
            )
    return result
