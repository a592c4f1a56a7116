# SPDX-License-Identifier: Apache-2.0
"""Events of nodes with a lifecycle."""

from .change_state import ChangeState
from .lifecycle_node_matchers import matches_node_name
from .state_transition import StateTransition

__all__ = ['ChangeState', 'matches_node_name', 'StateTransition']
