# SPDX-License-Identifier: Apache-2.0
"""The `README.md` of a dataset, made from `card.md`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
import json

from flow_manip_learning.dataset.index import DatasetIndex, VERSION


def render_card(index: DatasetIndex) -> str:
    """Return the page that says what a dataset holds and how it was made."""
    card = index.card
    template = resources.files(__package__).joinpath('card.md').read_text(encoding='utf-8')
    notes = ''.join(f'\n* {note}' for note in card.notes)
    return template.format(
        name=card.name,
        summary=card.summary,
        samples=index.num_samples,
        size=f'{index.num_bytes / 2**20:.1f} MiB',
        shards=len(index.shards),
        sources=_listed(index.sources),
        licences=_listed(index.licences),
        complete='yes' if index.complete else 'no: it is still being made, or was interrupted',
        command=card.command,
        recipe=json.dumps(card.recipe, indent=1, ensure_ascii=False),
        tags=_table(index.tags) or 'Nothing is tagged.',
        version=VERSION,
        notes=f'\n## Notes\n{notes}' if notes else '',
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ', '.join(f'{name} ({count})' for name, count in counts.items()) or 'none'


def _table(tags: Mapping[str, Mapping[str, int]]) -> str:
    rows = [f'| {name} | {_listed(counts)} |' for name, counts in tags.items()]
    return '\n'.join(['| tag | samples by value |', '|---|---|', *rows]) if rows else ''
