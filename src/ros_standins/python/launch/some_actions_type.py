# SPDX-License-Identifier: Apache-2.0
"""The older names of the entities' types."""

import collections.abc
from collections.abc import Iterable
from typing import Union

from .launch_description_entity import LaunchDescriptionEntity

SomeActionsType = Union[LaunchDescriptionEntity, Iterable[LaunchDescriptionEntity]]

SomeActionsType_types_tuple = (LaunchDescriptionEntity, collections.abc.Iterable)
