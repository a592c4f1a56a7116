# SPDX-License-Identifier: Apache-2.0
"""The record as one page that needs nothing but itself."""

from __future__ import annotations

import base64
from html import escape
import json
import math
from pathlib import Path
from typing import Any

from flow_manip_core.errors import RecordError

MAX_VIDEO = 64 * 2**20  # bytes; a longer video is named, not inlined
PICTURES = (
    (
        'mask.png',
        'What the words mean',
        'The object that moves and those it is moved relative to.',
    ),
    ('candidates.png', 'Candidates', 'What was imagined, in the order of choice, and why not.'),
    ('flow.png', 'Imagined motion', 'Where points of the object are to go, coloured by time.'),
    ('flow_3d.png', 'Imagined motion in space', 'The same points among the scene, in metres.'),
    (
        'plan.png',
        'Grasp and plan',
        'Considered grasps, the chosen one, and the way of the object.',
    ),
    ('after.png', 'Looking again', 'What the camera saw after the motion.'),
    ('color.png', 'First image', 'What everything started from.'),
)
HUES = {
    'OBSERVING': '#7aa2c8',
    'SEGMENTING': '#5b8def',
    'IMAGINING': '#9b6bdf',
    'SELECTING': '#c667c4',
    'PLANNING': '#f2a33c',
    'GRASPING': '#38a65b',
    'FOLLOWING': '#1f8f8a',
    'CHECKING': '#5f7f95',
    'REPLANNING': '#d35c4a',
}
STYLE = """
:root{--ink:#181c24;--muted:#697080;--paper:#fafaf8;--card:#fff;--line:#e6e6e1;--good:#1f8a4c;
--bad:#c0392b}
@media (prefers-color-scheme:dark){:root{--ink:#eceef2;--muted:#9aa1b0;--paper:#14161b;
--card:#1c1f26;--line:#2c313b;--good:#4cc27d;--bad:#f0796b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 18px 60px}
h1{font-size:clamp(1.4rem,4vw,2.1rem);line-height:1.2;margin:0 0 8px;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:34px 0 4px}
p{margin:4px 0}.muted{color:var(--muted);font-size:.92rem;overflow-wrap:anywhere}
.verdict{font-weight:600;overflow-wrap:anywhere}.good{color:var(--good)}.bad{color:var(--bad)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));
gap:10px;margin:20px 0}
.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.fact b{display:block;font-size:1.15rem;overflow-wrap:anywhere}
.fact span{color:var(--muted);font-size:.82rem}
figure{margin:10px 0 0}
img,video{display:block;width:100%;height:auto;border-radius:10px;border:1px solid var(--line)}
.time{display:flex;height:30px;border-radius:8px;overflow:hidden;margin:10px 0 6px}
.time i{display:block;min-width:2px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:6px 10px 6px 0;
border-bottom:1px solid var(--line);vertical-align:top}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.dot{display:inline-block;width:.7em;height:.7em;border-radius:3px;margin-right:.5em}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px;
overflow:auto;font-size:.8rem}
summary{cursor:pointer;margin-top:24px;color:var(--muted)}
"""


def write_page(folder: Path, path: Path | None = None) -> Path:
    """Write the page of the record in `folder`.

    Args:
        folder: of a record, with its report.json.
        path: of the page; index.html in the folder if left out.

    Returns:
        Where it was written.

    Raises:
        RecordError: the folder holds no readable report.
    """
    path = path or folder / 'index.html'
    path.write_text(make_page(folder), encoding='utf-8')
    return path


def read_report(folder: Path) -> dict[str, Any]:
    """Read report.json of a record.

    Raises:
        RecordError: it is missing or not a report.
    """
    try:
        report = json.loads((folder / 'report.json').read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise RecordError(f'{folder} holds no readable report.json: {error}') from error
    if not isinstance(report, dict) or not {'request', 'result', 'stages'} <= report.keys():
        raise RecordError(f'{folder / "report.json"} is not the report of a run')
    return report


def make_page(folder: Path) -> str:
    """Return the page as text; everything from the record is escaped or inlined."""
    report = read_report(folder)
    instruction = report['request']['instruction'] or '(no words)'
    body = [
        _head(report, instruction),
        _timeline(report['stages']),
        _video(folder / 'execution.mp4'),
        *(_picture(folder / name, title, text) for name, title, text in PICTURES),
        _details(report),
    ]
    # No script runs and nothing is fetched, whatever the record's words are.
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<title>{escape(instruction[:80])}</title><style>{STYLE}</style></head>'
        f'<body><main>{"".join(body)}</main></body></html>\n'
    )


def _head(report: dict[str, Any], instruction: str) -> str:
    result, request, about = report['result'], report['request'], report.get('about') or {}
    good = bool(result['succeeded'])
    verdict = result['sentence'] + (' (dry run)' if good and request['dry_run'] else '')
    facts = [
        ('plan ready after', _seconds(result.get('plan_ready_seconds'))),
        ('whole goal', _seconds(result['total_seconds'])),
        ('attempts', str(result['attempts'])),
        ('distance from the goal', _millimetres(result['final_error_metres'])),
        ('rotation from the goal', _degrees(result['final_error_degrees'])),
        ('seed', str(request['seed'])),
        *((name, str(value)) for name, value in about.items()),
    ]
    cells = ''.join(
        f'<div class="fact"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in facts
    )
    message = result['message'] if good else f'failure class: {result["failure"].lower()}'
    return (
        f'<h1>{escape(instruction[:300])}</h1>'
        f'<p class="verdict {"good" if good else "bad"}">{escape(verdict)}</p>'
        f'<p class="muted">{escape(message)}</p>'
        f'<p class="muted">{escape(str(report.get("begun", "")))}</p>'
        f'<div class="facts">{cells}</div>'
    )


def _timeline(stages: list[dict[str, Any]]) -> str:
    """Return the stages as one bar and as a table."""
    timed = [s for s in stages if s['stage'] != 'DONE']
    total = sum(s['seconds'] or 0.0 for s in timed)
    if not timed:
        return ''
    bar, rows = [], []
    for s in timed:
        hue = HUES.get(s['stage'], '#888')
        seconds = s['seconds'] or 0.0
        share = 100.0 * seconds / total if total > 0 else 0.0
        name = f'{s["stage"].title()} {_seconds(s["seconds"])}'
        bar.append(f'<i style="width:{share:.3f}%;background:{hue}" title="{escape(name)}"></i>')
        state = '' if not s['code'] else f'<span class="bad">{s["code"]}</span> '
        rows.append(
            f'<tr><td><span class="dot" style="background:{hue}"></span>'
            f'{escape(s["stage"].lower())}</td><td class="n">{int(s["attempt"])}</td>'
            f'<td class="n">{_seconds(s["seconds"])}</td>'
            f'<td>{state}{escape(s["text"])}</td></tr>'
        )
    return (
        f'<h2>Stages</h2><div class="time">{"".join(bar)}</div><div class="scroll"><table><tr>'
        '<th>stage</th><th>attempt</th><th>time</th><th></th></tr>'
        f'{"".join(rows)}</table></div>'
    )


def _video(path: Path) -> str:
    if not path.is_file():
        return ''
    if path.stat().st_size > MAX_VIDEO:
        return f'<h2>Execution</h2><p class="muted">{path.name} is too long for this page.</p>'
    return (
        '<h2>Execution</h2><figure><video controls muted playsinline loop '
        f'src="{_data("video/mp4", path)}"></video></figure>'
    )


def _picture(path: Path, title: str, text: str) -> str:
    if not path.is_file():
        return ''
    return (
        f'<h2>{escape(title)}</h2><p class="muted">{escape(text)}</p>'
        f'<figure><img alt="{escape(title)}" src="{_data("image/png", path)}"></figure>'
    )


def _details(report: dict[str, Any]) -> str:
    """Return what went wrong with the program or the record, and the whole report."""
    parts = []
    if report['result'].get('traceback'):
        parts.append(f'<h2>Traceback</h2><pre>{escape(report["result"]["traceback"])}</pre>')
    if report.get('record_problems'):
        items = ''.join(f'<li>{escape(text)}</li>' for text in report['record_problems'])
        parts.append(f'<h2>Missing from this record</h2><ul>{items}</ul>')
    text = escape(json.dumps(report, indent=1, ensure_ascii=False))
    parts.append(f'<details><summary>report.json</summary><pre>{text}</pre></details>')
    return ''.join(parts)


def _data(kind: str, path: Path) -> str:
    return f'data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}'


def _seconds(value: float | None) -> str:
    return '–' if value is None or not math.isfinite(value) else f'{value:.2f} s'


def _millimetres(value: float | None) -> str:
    return '–' if value is None else f'{value * 1000:.0f} mm'


def _degrees(value: float | None) -> str:
    return '–' if value is None else f'{value:.0f}°'
