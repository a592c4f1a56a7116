# SPDX-License-Identifier: Apache-2.0
"""The run's record: a folder per goal from which it can be replayed and looked at.

It is made in a hidden folder beside its place and renamed when complete, so a record is there
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
import json
import math
import os
from pathlib import Path
import platform
import shutil
import threading
import time
from typing import Any
import unicodedata
from uuid import uuid4

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flow_manip_core.errors import FlowManipError, RecordError, Stage
from flow_manip_core.observation import Observation
from flow_manip_task import drawing
from flow_manip_task.listener import error_code, Listener
from flow_manip_task.mcap_log import Event, StageEvent, write_mcap
from flow_manip_task.page import write_page
from flow_manip_task.stages import ManipulateRequest, ManipulationResult
from flow_manip_task.video import VideoWriter

SLUG_LENGTH = 48
REPORT_VERSION = 1
PACKAGES = (
    'numpy', 'scipy', 'opencv-python-headless', 'mujoco', 'roboplan', 'rclpy', 'viser', 'mcap',
)  # fmt: skip


def slug(text: str) -> str:
    """Return a file name of letters a-z, digits and single hyphens, never empty, never a path."""
    plain = unicodedata.normalize('NFKD', text[:500]).encode('ascii', 'ignore').decode().lower()
    words = ''.join(c if c.isalnum() else ' ' for c in plain).split()
    return '-'.join(words)[:SLUG_LENGTH].strip('-') or 'goal'


@dataclass
class _Values:
    """The latest of each value that the stages made."""

    by_name: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return self.by_name.get(name)


class RunRecord(Listener):
    """Listens to one goal and writes its record."""

    def __init__(
        self,
        folder: Path | str,
        request: ManipulateRequest,
        *,
        about: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc).astimezone(),
    ) -> None:
        """Make the folder.

        Args:
            folder: where records are kept, e.g. 'runs'; made if missing.
            request: the goal.
            about: further facts for the report, e.g. pipeline, robot, rig.
            now: wall clock.

        Raises:
            RecordError: the folder cannot be made.
        """
        self.request = request
        self.goal_id = str(uuid4())
        self._about = dict(about or {})
        self._begun = now()
        self._events: list[Event] = []
        self._values = _Values()
        self._stages: list[dict[str, Any]] = []
        self._problems: list[str] = []
        self._lock = threading.Lock()
        try:
            self.path, self._partial = self._make_folder(Path(folder).expanduser().resolve())
        except OSError as error:
            raise RecordError(f'{folder}: {error.strerror or error}') from error
        self._video = VideoWriter(self._partial / 'execution.mp4')

    def _make_folder(self, root: Path) -> tuple[Path, Path]:
        """Return the record's place, never one that exists, and the hidden folder before it."""
        root.mkdir(parents=True, exist_ok=True)
        name = f'{self._begun:%Y%m%d-%H%M%S}-{slug(self.request.instruction)}'
        for count in range(1, 1000):
            path = root / (name if count == 1 else f'{name}-{count}')
            partial = root / f'.{path.name}.partial'
            if path.exists():
                continue
            try:
                partial.mkdir()
            except FileExistsError:
                continue
            return path, partial
        raise RecordError(f'{root}: a thousand records are called {name}')

    def on_begin(self, request: ManipulateRequest) -> None:
        """Note the goal."""
        self._note('goal', 1, request)

    def on_value(self, name: str, attempt: int, value: Any) -> None:
        """Keep a value; of several attempts the pictures show the last, the MCAP all."""
        if name == 'observation':
            # What an earlier attempt made does not belong to this one's image.
            self._values.by_name = {'instruction': self._values.instruction}
        self._values.by_name[name] = value
        self._note(name, attempt, value)

    def on_stage_begun(self, stage: Stage, attempt: int, text: str) -> None:
        """Note that a stage begins."""
        self._note('stage', attempt, StageEvent(stage.name, attempt, False, 0.0, 0, text))
        self._stages.append(
            {
                'stage': stage.name,
                'attempt': attempt,
                'start': self._since_begin(),
                'seconds': None,
                'text': text,
                'code': 0,
            }
        )

    def on_stage_ended(
        self, stage: Stage, attempt: int, seconds: float, error: Exception | None
    ) -> None:
        """Note how a stage ended."""
        code, text = error_code(error), str(error) if error else ''
        self._note('stage', attempt, StageEvent(stage.name, attempt, True, seconds, code, text))
        self._stages[-1].update(seconds=seconds, code=code)
        if error is not None:
            self._stages[-1]['text'] = text

    def on_frame(self, image: NDArray[np.uint8], time: float) -> None:
        """Append a frame to the execution's video; a failure ends the video, not the goal."""
        with self._lock:
            if any(problem.startswith('execution.mp4') for problem in self._problems):
                return
            try:
                self._video.add(image, time)
            except FlowManipError as error:
                self._problem('execution.mp4', error)
            except OSError as error:
                self._problem('execution.mp4', error)

    def close(self, result: ManipulationResult) -> str:
        """Write everything and put the folder in its place.

        Returns:
            What could not be written, in words; empty if nothing is missing.

        Raises:
            RecordError: there is no record at all, e.g. because the disk is full.
        """
        self._note('result', max(result.attempts, 1), result)
        for name, write in self._products().items():
            self._try(name, write)
        self._try('goal.mcap', lambda p: write_mcap(p, self._events, self.goal_id))
        try:
            report = self._report(result)
            _write_json(self._partial / 'report.json', report)
            write_page(self._partial)
            self._partial.replace(self.path)
        except OSError as error:
            shutil.rmtree(self._partial, ignore_errors=True)
            raise RecordError(f'{self.path}: {error.strerror or error}') from error
        return '; '.join(self._problems)

    def discard(self) -> None:
        """Leave no trace: the goal was never begun."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def _products(self) -> dict[str, Callable[[Path], None]]:
        """Return what can be written of what was made, by file name."""
        values, title = self._values, self.request.instruction[:120] or '(no words)'
        observation: Observation | None = values.observation
        products: dict[str, Callable[[Path], None]] = {
            'execution.mp4': lambda path: self._video.close()
        }
        if observation is None:
            return products
        products['color.png'] = lambda path: _write_png(path, observation.color)
        products['depth.png'] = lambda path: _write_depth(path, observation.depth)
        products['observation.json'] = lambda path: _write_json(
            path, _observation_facts(observation)
        )
        if values.observation_after is not None:
            after = values.observation_after
            products['after.png'] = lambda path: _write_png(path, after.color)
        if values.mask is not None:
            masks = [values.mask, *(values.references or [])]
            products['mask.png'] = lambda path: _write_png(
                path, drawing.draw_masks(observation, masks, title)
            )
        if len(values.candidates or []) > 1 and values.ranking is not None:
            candidates, ranking = values.candidates, values.ranking
            products['candidates.png'] = lambda path: _write_png(
                path, drawing.draw_candidates(observation, candidates, ranking)
            )
        if values.flow is not None:
            flow = values.flow
            products['flow.png'] = lambda path: _write_png(
                path, drawing.draw_flow(observation, flow, values.mask, title)
            )
            products['flow_3d.png'] = lambda path: _write_png(
                path, drawing.draw_flow_3d(observation, flow, title)
            )
        if values.plan is not None:
            plan = values.plan
            products['plan.png'] = lambda path: _write_png(
                path, drawing.draw_plan(observation, plan, values.mask, title)
            )
        return products

    def _try(self, name: str, write: Callable[[Path], None]) -> None:
        """Write one file; what fails is left out whole and named in the report."""
        path = self._partial / name
        try:
            write(path)
        except Exception as error:
            self._problem(name, error)
            path.unlink(missing_ok=True)

    def _problem(self, name: str, error: Exception) -> None:
        text = str(error) or repr(error)
        self._problems.append(text if text.startswith(name) else f'{name}: {text}')

    def _note(self, name: str, attempt: int, value: Any) -> None:
        self._events.append(Event(time.time_ns(), name, attempt, value))

    def _since_begin(self) -> float:
        return (self._events[-1].time - self._events[0].time) / 1e9

    def _report(self, result: ManipulationResult) -> dict[str, Any]:
        """Return the content of report.json; its fields are described in the package's README."""
        request, values = self.request, self._values
        instruction, ranking, flow, plan = (
            values.instruction, values.ranking, values.flow, values.plan,
        )  # fmt: skip
        return {
            'version': REPORT_VERSION,
            'goal_id': self.goal_id,
            'begun': self._begun.isoformat(timespec='milliseconds'),
            'request': {
                'instruction': request.instruction,
                'object': request.object,
                'pipeline': request.pipeline,
                'seed': request.seed,
                'dry_run': request.dry_run,
                'goal_image': request.goal_image is not None,
            },
            'about': self._about,
            'understood': asdict(instruction) if instruction else None,
            'result': {
                'succeeded': result.succeeded,
                'code': result.code,
                'name': result.name,
                'sentence': result.sentence,
                'message': result.message,
                'failure': result.failure.name,
                'stage': result.stage.name if result.stage else None,
                'attempts': result.attempts,
                'final_error_metres': _number(result.final_error_metres),
                'final_error_degrees': _number(result.final_error_degrees),
                'seconds': {name: round(value, 4) for name, value in result.seconds.items()},
                'total_seconds': round(result.total_seconds, 4),
                'plan_ready_seconds': _number(result.plan_ready_seconds),
                'traceback': result.traceback,
            },
            'stages': self._stages,
            'dropped': list(values.dropped or []),
            'ranking': {
                'scores': [_number(float(s)) for s in ranking.scores],
                'vetoes': list(ranking.vetoes),
                'note': ranking.note,
                'order': [int(i) for i in ranking.order],
            }
            if ranking
            else None,
            'flow': {
                'source': flow.source,
                'steps': flow.num_steps,
                'points': flow.num_points,
                'seconds': float(flow.times[-1] - flow.times[0]),
                'score': _number(flow.score),
            }
            if flow
            else None,
            'plan': {
                'seconds': plan.duration,
                'segments': [segment.name for segment in plan.segments],
                'considered': len(plan.considered),
                'rejections': dict(plan.rejections),
            }
            if plan
            else None,
            'record_problems': list(self._problems),
            'versions': _versions(),
        }


def _number(value: float) -> float | None:
    """Return the number, or None for NaN and infinities, which JSON does not have."""
    return float(value) if math.isfinite(value) else None


def _versions() -> dict[str, str]:
    """Return versions of Python, ROS and the packages that the result depends on."""
    found = {'python': platform.python_version(), 'platform': platform.platform()}
    found['ros_distro'] = os.environ.get('ROS_DISTRO', '')
    for package in ('flow_manip_task', *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _observation_facts(observation: Observation) -> dict[str, Any]:
    camera = observation.camera
    return {
        'frame_id': observation.frame_id,
        'stamp': observation.stamp,
        'camera': {
            name: getattr(camera, name) for name in ('width', 'height', 'fx', 'fy', 'cx', 'cy')
        },
        'T_world_camera': np.asarray(observation.T_world_camera).tolist(),
        'joint_positions': {k: float(v) for k, v in observation.joint_positions.items()},
        'depth_unit': 0.001,
    }


def _write_json(path: Path, data: Any) -> None:
    path.write_text(
        json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + '\n', encoding='utf-8'
    )


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    Image.fromarray(image).save(path, compress_level=4)


def _write_depth(path: Path, depth: NDArray[np.float32]) -> None:
    """Write 16-bit millimetres; 0 is unknown."""
    millimetres = np.nan_to_num(depth * 1000.0, nan=0.0, posinf=0.0, neginf=0.0)
    ok, data = cv2.imencode('.png', millimetres.round().clip(0, 65535).astype(np.uint16))
    if not ok:
        raise RecordError(f'{path.name}: could not be encoded')
    path.write_bytes(data.tobytes())
