# SPDX-License-Identifier: Apache-2.0
"""Live progress of a goal: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import shutil
import threading
import time
from typing import TextIO

from flow_manip_core.errors import Stage
from flow_manip_task.listener import Listener
from flow_manip_task.stages import ManipulationResult

BAR = 10  # characters
PERIOD = 0.1  # [s] between drawings on a terminal, so that the seconds run


class Progress(Listener):
    """Shows stage, elapsed time, attempt and text; usable as a listener or fed with `show`."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        """Write to `stream`; nothing at all if `quiet`."""
        self._stream, self._quiet = stream, quiet
        self._live = stream.isatty() and not quiet
        self._begun = time.monotonic()
        self._now: tuple[Stage, int, float, str] | None = None
        self._shown: tuple[Stage, int] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if self._live:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def show(self, stage: Stage, attempt: int, progress: float, text: str) -> None:
        """Take the present state; elsewhere than on a terminal each stage gets one line."""
        with self._lock:
            self._now = (stage, attempt, progress, text)
            if self._live:
                self._draw()
            elif not self._quiet and self._shown != (stage, attempt):
                print(self._line(*self._now), file=self._stream, flush=True)
            self._shown = (stage, attempt)

    def note(self, text: str) -> None:
        """Write a line of its own above the progress."""
        if self._quiet:
            return
        with self._lock:
            self._clear()
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the line away."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._clear()

    def on_stage_begun(self, stage: Stage, attempt: int, text: str) -> None:
        """Show the stage."""
        self.show(stage, attempt, 0.0, text)

    def on_stage(self, stage: Stage, attempt: int, progress: float, text: str) -> None:
        """Show how far it is."""
        self.show(stage, attempt, progress, text)

    def _line(self, stage: Stage, attempt: int, progress: float, text: str) -> str:
        seconds = time.monotonic() - self._begun
        tried = f'  attempt {attempt}' if attempt > 1 else ''
        return f'{seconds:6.1f} s  {stage.name.lower():<10}{tried}  {text}'

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if self._now is None or self._stop.is_set():
            return
        done = round(self._now[2] * BAR)
        line = f'{"█" * done}{"░" * (BAR - done)} {self._line(*self._now)}'
        width = shutil.get_terminal_size().columns - 1
        self._stream.write('\r' + line[:width] + '\x1b[K')
        self._stream.flush()

    def _clear(self) -> None:
        if self._live:
            self._stream.write('\r\x1b[K')
            self._stream.flush()


def report(result: ManipulationResult) -> list[str]:
    """Return the lines that end a goal: where the time went, the record, the verdict."""
    lines = []
    if result.seconds:
        parts = [f'{name.lower()} {seconds:.1f}' for name, seconds in result.seconds.items()]
        lines.append(f'seconds: {", ".join(parts)}')
    if math.isfinite(result.final_error_metres):
        error = f'object: {result.final_error_metres * 1000:.0f} mm from where its flow ends'
        if math.isfinite(result.final_error_degrees):
            error += f', turned by {result.final_error_degrees:.0f} degrees'
        lines.append(error)
    if result.traceback:
        lines.append(result.traceback.rstrip())
    if result.record_error:
        lines.append(f'record incomplete: {result.record_error}')
    lines.append(f'record: {result.record_path or "none"}')
    lines.append(result.sentence)
    return lines
