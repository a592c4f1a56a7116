# SPDX-License-Identifier: Apache-2.0
"""Processes that are ROS nodes."""

from __future__ import annotations

from collections.abc import Iterable
import pathlib
from typing import Any, Optional, TYPE_CHECKING

from launch import logging as launch_logging
from launch.actions import ExecuteProcess
from launch.frontend import expose_action
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitutions import LocalSubstitution
from launch.utilities import (
    ensure_argument_type,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)

from .._names import check_namespace, check_node_name
from .._temporary_files import write_temporary
from ..parameter_descriptions import Parameter
from ..parameters_type import SomeParameters
from ..remap_rule_type import RemapRules, SomeRemapRules
from ..substitutions import ExecutableInPackage
from ..utilities import (
    add_node_name,
    evaluate_parameters,
    get_node_name_count,
    make_namespace_absolute,
    normalize_parameters,
    normalize_remap_rules,
    prefix_namespace,
)

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('node')
class Node(ExecuteProcess):
    """Runs an executable of a package as a ROS node.

    To its command line it adds ``--ros-args`` and, as needed, the node's name and namespace,
    parameter files, parameters and remapping rules.
    """

    UNSPECIFIED_NODE_NAME = '<node_name_unspecified>'
    UNSPECIFIED_NODE_NAMESPACE = '<node_namespace_unspecified>'

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: Optional[SomeSubstitutionsType] = None,
        name: Optional[SomeSubstitutionsType] = None,
        namespace: Optional[SomeSubstitutionsType] = None,
        exec_name: Optional[SomeSubstitutionsType] = None,
        parameters: Optional[SomeParameters] = None,
        remappings: Optional[SomeRemapRules] = None,
        ros_arguments: Optional[Iterable[SomeSubstitutionsType]] = None,
        arguments: Optional[Iterable[SomeSubstitutionsType]] = None,
        **kwargs: Any,
    ) -> None:
        """Stores what is run.

        Args:
            executable: Name of the executable in the package, or its path if ``package`` is
                None.
            package: The package.
            name: Name of the node; by default the one that its code gives.
            namespace: Namespace of the node; a relative one is below that of the launch.
            exec_name: Label of the process; by default the executable's file name.
            parameters: Paths of yaml files, dictionaries, and Parameter and ParameterFile
                descriptions; a later one goes before an earlier one.
            remappings: Pairs of names, from and to.
            ros_arguments: Further arguments for ROS.
            arguments: Further arguments for the executable.
            **kwargs: As of :class:`launch.actions.ExecuteProcess`.

        Raises:
            TypeError: Parameters or remapping rules are of another type.
        """
        cmd: list[SomeSubstitutionsType] = [
            ExecutableInPackage(package=package, executable=executable)
            if package is not None
            else executable
        ]
        cmd += [] if arguments is None else list(arguments)
        cmd += ['--ros-args']
        cmd += [] if ros_arguments is None else list(ros_arguments)
        if name is not None:
            # Their values are known only when the action is executed.
            cmd += ['-r', LocalSubstitution("ros_specific_arguments['name']", 'node name')]
        if parameters is not None:
            ensure_argument_type(parameters, (list), 'parameters', 'Node')
        self.__parameters = normalize_parameters(parameters if parameters is not None else [])
        self.__remappings: RemapRules = normalize_remap_rules(remappings or ())
        if isinstance(remappings, dict):
            raise TypeError('remappings must be a list of pairs, not a dictionary')
        super().__init__(cmd=cmd, name=exec_name, **kwargs)
        self.__package = package
        self.__node_executable = executable
        self.__node_name = name
        self.__node_namespace = namespace
        self.__ros_arguments = ros_arguments
        self.__arguments = arguments
        self.__expanded_node_name = self.UNSPECIFIED_NODE_NAME
        self.__expanded_node_namespace = self.UNSPECIFIED_NODE_NAMESPACE
        self.__expanded_parameter_arguments: Optional[list[tuple[str, bool]]] = None
        self.__final_node_name: Optional[str] = None
        self.__expanded_remappings: Optional[list[tuple[str, str]]] = None
        self.__substitutions_performed = False

    @property
    def node_package(self) -> Optional[SomeSubstitutionsType]:
        """The package."""
        return self.__package

    @property
    def node_executable(self) -> SomeSubstitutionsType:
        """The executable."""
        return self.__node_executable

    @property
    def node_name(self) -> str:
        """The node's full name, with namespace.

        Raises:
            RuntimeError: The action was not executed yet.
        """
        if self.__final_node_name is None:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return self.__final_node_name

    @property
    def expanded_node_name(self) -> str:
        """The node's name without namespace, once the action was executed."""
        return self.__expanded_node_name

    @property
    def expanded_node_namespace(self) -> str:
        """The node's namespace, once the action was executed."""
        return self.__expanded_node_namespace

    @property
    def expanded_remapping_rules(self) -> Optional[list[tuple[str, str]]]:
        """The remapping rules, once the action was executed."""
        return self.__expanded_remappings

    def is_node_name_fully_specified(self) -> bool:
        """Tells whether name and namespace are known."""
        keywords = (self.UNSPECIFIED_NODE_NAME, self.UNSPECIFIED_NODE_NAMESPACE)
        return all(keyword not in self.node_name for keyword in keywords)

    def _perform_substitutions(self, context: LaunchContext) -> None:
        if self.__substitutions_performed:
            return
        self.__substitutions_performed = True
        self.__expand_name(context)
        if self.__expanded_node_namespace != self.UNSPECIFIED_NODE_NAMESPACE:
            local = LocalSubstitution("ros_specific_arguments['ns']", 'node namespace')
            self.__extend_cmd('-r', local)
        self.__expand_parameters(context)
        self.__expand_remappings(context)

    def __extend_cmd(self, *parts: SomeSubstitutionsType) -> None:
        self.cmd.extend(normalize_to_list_of_substitutions(part) for part in parts)

    def __expand_name(self, context: LaunchContext) -> None:
        try:
            if self.__node_name is not None:
                self.__expanded_node_name = perform_substitutions(
                    context, normalize_to_list_of_substitutions(self.__node_name)
                )
                check_node_name(self.__expanded_node_name)
            namespace = None
            if self.__node_namespace is not None:
                namespace = perform_substitutions(
                    context, normalize_to_list_of_substitutions(self.__node_namespace)
                )
            namespace = prefix_namespace(
                context.launch_configurations.get('ros_namespace'), namespace
            )
            if namespace is not None:
                self.__expanded_node_namespace = make_namespace_absolute(namespace)
                check_namespace(self.__expanded_node_namespace)
        except Exception:
            launch_logging.get_logger(__name__).error(
                'Error while expanding or validating node name or namespace for '
                f"'package={self.__package}, executable={self.__node_executable}, "
                f"name={self.__node_name}, namespace={self.__node_namespace}':"
            )
            raise
        prefix = self.__expanded_node_namespace.rstrip('/')
        self.__final_node_name = f'{prefix}/{self.__expanded_node_name}'

    def __expand_parameters(self, context: LaunchContext) -> None:
        """Adds the parameters to the command line: the launch's first, then the node's."""
        self.__expanded_parameter_arguments = []
        global_params: Any = context.launch_configurations.get('global_params') or ()
        for param in global_params:
            if isinstance(param, tuple):
                name, value = param
                self.__extend_cmd('-p', f'{name}:={_plain(value)}')
            else:
                self.__add_parameter_file(str(pathlib.Path(param).absolute()), remember=False)
        for params in evaluate_parameters(context, self.__parameters):
            if isinstance(params, dict):
                self.__add_parameter_file(self._create_params_file_from_dict(params))
            elif isinstance(params, pathlib.Path):
                self.__add_parameter_file(str(params))
            elif isinstance(params, Parameter):
                rule = self._get_parameter_rule(params, context)
                self.__expanded_parameter_arguments.append((rule, False))
                self.__extend_cmd('-p', rule)

    def __add_parameter_file(self, path: str, remember: bool = True) -> None:
        if not pathlib.Path(path).is_file():
            launch_logging.get_logger(__name__).warning(
                f'Parameter file path is not a file: {path}'
            )
            return
        if remember and self.__expanded_parameter_arguments is not None:
            self.__expanded_parameter_arguments.append((path, True))
        self.__extend_cmd('--params-file', path)

    def _create_params_file_from_dict(self, params: dict[str, Any]) -> str:
        import yaml

        name = self.node_name if self.is_node_name_fully_specified() else '/**'
        content = {name: {'ros__parameters': params}}
        return str(write_temporary(yaml.dump(content, default_flow_style=False)))

    def _get_parameter_rule(self, param: Parameter, context: LaunchContext) -> str:
        import yaml

        name, value = param.evaluate(context)
        return f'{name}:={yaml.dump(value)}'

    def __expand_remappings(self, context: LaunchContext) -> None:
        """Adds the remapping rules to the command line: the launch's first, then the node's."""
        global_remaps: Any = context.launch_configurations.get('ros_remaps') or []
        self.__expanded_remappings = list(global_remaps)
        for source, target in self.__remappings:
            self.__expanded_remappings.append(
                (perform_substitutions(context, source), perform_substitutions(context, target))
            )
        for source_name, target_name in self.__expanded_remappings:
            self.__extend_cmd('-r', f'{source_name}:={target_name}')

    def execute(self, context: LaunchContext) -> Optional[list[LaunchDescriptionEntity]]:
        """Starts the node's process.

        Raises:
            rclpy.exceptions.InvalidNodeNameException: The name is not one for a node.
            rclpy.exceptions.InvalidNamespaceException: The namespace is none.
            TypeError: A parameter has a value of a type that parameters cannot have.
        """
        self._perform_substitutions(context)
        arguments = {}
        if self.__node_name is not None:
            arguments['name'] = f'__node:={self.__expanded_node_name}'
        if self.__expanded_node_namespace != self.UNSPECIFIED_NODE_NAMESPACE:
            arguments['ns'] = f'__ns:={self.__expanded_node_namespace}'
        context.extend_locals({'ros_specific_arguments': arguments})
        result = super().execute(context)
        if self.is_node_name_fully_specified():
            self.__count_name(context)
        return result

    def __count_name(self, context: LaunchContext) -> None:
        add_node_name(context, self.node_name)
        count = get_node_name_count(context, self.node_name)
        if count > 1:
            launch_logging.get_logger(__name__).warning(
                f'there are now at least {count} nodes with the name {self.node_name} created '
                'within this launch context'
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
