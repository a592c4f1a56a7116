# SPDX-License-Identifier: Apache-2.0
"""Nodes of XML and YAML launch files."""

from __future__ import annotations

from typing import Any, Optional

from .._stand_in import refuse


class Entity:
    """The interface of one node of a launch file; the real frontends implement it."""

    @property
    def type_name(self) -> str:
        """Name of the node."""
        raise refuse('launch', 'launch.frontend.Entity.type_name')

    @property
    def parent(self) -> Optional[Entity]:
        """The node that holds this one."""
        raise refuse('launch', 'launch.frontend.Entity.parent')

    @property
    def children(self) -> list[Entity]:
        """The nodes in this one."""
        raise refuse('launch', 'launch.frontend.Entity.children')

    def get_attr(
        self,
        name: str,
        *,
        data_type: Any = str,
        optional: bool = False,
        can_be_str: bool = True,
    ) -> Any:
        """Returns an attribute of the node."""
        raise refuse('launch', 'launch.frontend.Entity.get_attr')

    def assert_entity_completely_parsed(self) -> None:
        """Raises if something in the node was not read."""
        raise refuse('launch', 'launch.frontend.Entity.assert_entity_completely_parsed')
