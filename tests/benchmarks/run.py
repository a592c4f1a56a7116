# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks and writes build/benchmarks/<name>.json.

Every benchmark is a module beside this file with ``run()`` that returns rows (see rows.py).
Usage: ``run.py [name ...]``.
"""

from __future__ import annotations

from importlib import import_module
import json
from pathlib import Path
import sys
from typing import Any

FOLDER = Path(__file__).resolve().parent
OUT = FOLDER.parents[1] / 'build' / 'benchmarks'


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all."""
    sys.path.insert(0, str(FOLDER))
    known = sorted(p.stem for p in FOLDER.glob('*.py') if p.stem not in ('run', 'rows'))
    for name in names:
        if name not in known:
            print(f"no benchmark '{name}'; known: {', '.join(known)}", file=sys.stderr)
            return 2
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or known:
        print(f'{name}:', flush=True)
        rows = import_module(name).run()
        path = OUT / f'{name}.json'
        path.write_text(json.dumps(rows, indent=2) + '\n', encoding='utf-8')
        for row in rows:
            print(_line(row))
        print(f'written to {path.relative_to(FOLDER.parents[1])}')
    return 0


def _line(row: dict[str, Any]) -> str:
    """Say one row in one line."""
    text = f'  {row["name"]:<32}{row["value"]:>10.4g} {row["unit"]:<6}'
    if row['limit'] is not None:
        text += f'  goal {row["limit"]:g}'
    if row['peer']:
        text += f'  ({row["peer"]}: {row["peer_value"]:.4g}, x{row["ratio"]:.3g})'
    return text


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
