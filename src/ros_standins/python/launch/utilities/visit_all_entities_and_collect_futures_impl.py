# SPDX-License-Identifier: Apache-2.0
"""Visits of whole trees of entities."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

EntityFuturePairs = list[tuple[LaunchDescriptionEntity, asyncio.Future]]


def visit_all_entities_and_collect_futures(
    entity: LaunchDescriptionEntity, context: LaunchContext
) -> EntityFuturePairs:
    """Visits an entity, then what it yields, in depth; returns the futures met."""
    pairs: EntityFuturePairs = []
    visit_all_entities_into(entity, context, pairs)
    return pairs


def visit_all_entities_into(
    entity: LaunchDescriptionEntity, context: LaunchContext, pairs: EntityFuturePairs
) -> None:
    """Does the same into ``pairs``, so that an error half-way loses no future."""
    sub_entities = entity.visit(context)
    future = entity.get_asyncio_future()
    if future is not None:
        pairs.append((entity, future))
    for sub_entity in sub_entities or ():
        visit_all_entities_into(sub_entity, context, pairs)
