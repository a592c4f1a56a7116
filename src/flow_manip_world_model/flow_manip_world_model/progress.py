# SPDX-License-Identifier: Apache-2.0
"""How long work tells what it does, what it gave up, and learns that nobody wants it any more."""

from __future__ import annotations

import re

from flow_manip_core.errors import FlowManipError


def ignore_progress(stage: str, progress: float) -> None:
    """Drop a progress report."""


def ignore_dropped(number: int, error: FlowManipError) -> None:
    """Drop what became of a candidate that failed."""


def never_cancelled() -> bool:
    """Say that nobody asked to stop."""
    return False


def candidate_stage(number: int | str, count: int | str, what: str = '') -> str:
    """Return the text by which a generator reports candidate `number` (from 1) and its stage."""
    return f'imagining candidate {number} of {count}' + (f': {what}' if what else '')


def finished_candidates(stage: str) -> int:
    """Return how many candidates are finished at a generator's `stage`, else 0."""
    found = re.match(candidate_stage(r'(\d+)', r'\d+') + '(:|$)', stage)
    return int(found[1]) - 1 if found else 0
