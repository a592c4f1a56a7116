# SPDX-License-Identifier: Apache-2.0
"""Launch descriptions as text, without running them."""

from __future__ import annotations

from typing import cast

from .action import Action
from .actions import ExecuteProcess, RegisterEventHandler
from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity
from .some_substitutions_type import SomeSubstitutionsType
from .utilities import is_a, normalize_to_list_of_substitutions


def _indent(lines: list[str], first: str = '├── ', others: str = '│   ') -> list[str]:
    return [(first if i == 0 else others) + line for i, line in enumerate(lines)]


def format_entities(entities: list[LaunchDescriptionEntity]) -> list[str]:
    """Returns one block of lines per entity, indented as a tree."""
    result: list[str] = []
    for i, entity in enumerate(entities):
        last = i == len(entities) - 1
        block = format_description(entity)
        result.extend(_indent(block, '└── ', '    ') if last else _indent(block))
    return result


def format_substitutions(substitutions: SomeSubstitutionsType) -> str:
    """Returns substitutions joined by plus signs."""
    normalized = normalize_to_list_of_substitutions(substitutions)
    return ' + '.join(str(part.describe()) for part in normalized)


def format_event_handler(handler: RegisterEventHandler) -> list[str]:
    """Returns a registered handler with the entities it may yield."""
    text, entities = handler.event_handler.describe()
    return [text, *format_entities(list(entities))]


def format_action(action: Action) -> list[str]:
    """Returns an action's description with its event handler's, if it registers one."""
    if is_a(action, ExecuteProcess):
        process = cast(ExecuteProcess, action)
        parts = ', '.join(format_substitutions(part) for part in process.cmd)
        name = f'ExecuteProcess(cmd=[{parts}]'
        return [f'{name}, cwd={process.cwd}, env={process.env}, shell={process.shell})']
    if is_a(action, RegisterEventHandler):
        handler = cast(RegisterEventHandler, action)
        return [
            f"RegisterEventHandler('{handler.event_handler}'):",
            *_indent(format_event_handler(handler), '└── ', '    '),
        ]
    return [f"Action('{action.describe()}')"]


def format_description(entity: LaunchDescriptionEntity) -> list[str]:
    """Returns an entity and all below it as lines."""
    if is_a(entity, LaunchDescription):
        lines = [str(entity)]
    elif is_a(entity, Action):
        lines = format_action(cast(Action, entity))
    else:
        lines = [f"'{entity}'"]
    if not isinstance(entity, RegisterEventHandler):
        lines.extend(format_entities(list(entity.describe_sub_entities())))
        for condition, entities in entity.describe_conditional_sub_entities():
            lines.append(condition)
            lines.extend(format_entities(list(entities)))
    return lines


class LaunchIntrospector:
    """Shows what a launch description holds."""

    def format_launch_description(self, launch_description: LaunchDescription) -> str:
        """Returns the description as a tree of text lines."""
        return '\n'.join(format_description(launch_description))
