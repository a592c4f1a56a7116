# SPDX-License-Identifier: Apache-2.0
"""Remapping rules with all of their texts as substitutions."""

from __future__ import annotations

import collections.abc

from launch.utilities import ensure_argument_type, normalize_to_list_of_substitutions

from ..remap_rule_type import RemapRule, RemapRules, SomeRemapRule, SomeRemapRules


def normalize_remap_rule(remap_rule: SomeRemapRule) -> RemapRule:
    """Returns a rule, which is a pair of texts or substitutions, as a pair of substitutions.

    Raises:
        TypeError: The rule is no pair.
    """
    ensure_argument_type(remap_rule, (tuple,), 'remap_rule')
    if len(remap_rule) != 2:
        raise TypeError(f'remap_rule must be a tuple of length 2, got length {len(remap_rule)}')
    source, target = (tuple(normalize_to_list_of_substitutions(part)) for part in remap_rule)
    return source, target


def normalize_remap_rules(remap_rules: SomeRemapRules) -> RemapRules:
    """Returns all rules as pairs of substitutions.

    Raises:
        TypeError: A rule is no pair.
    """
    ensure_argument_type(remap_rules, (collections.abc.Iterable,), 'remap_rules')
    return tuple(normalize_remap_rule(rule) for rule in remap_rules)
