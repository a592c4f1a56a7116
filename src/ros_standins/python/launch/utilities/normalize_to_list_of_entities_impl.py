# SPDX-License-Identifier: Apache-2.0
"""Flat lists of entities from nested ones."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable
from typing import Any

from ..launch_description_entity import LaunchDescriptionEntity


def normalize_to_list_of_entities(
    entities: Iterable[Any],
) -> list[LaunchDescriptionEntity]:
    """Returns all entities in ``entities``, which may nest iterables, in order."""
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    flat: list[LaunchDescriptionEntity] = []
    for entity in entities:
        if isinstance(entity, LaunchDescriptionEntity):
            flat.append(entity)
        elif isinstance(entity, collections.abc.Iterable) and not isinstance(entity, str):
            flat.extend(normalize_to_list_of_entities(entity))
        else:
            raise TypeError(f"'{entity!r}' is neither an entity nor an iterable of entities")
    return flat
