# SPDX-License-Identifier: Apache-2.0
"""What a worker does with one clip: read, find, lift, draw; nothing it hands back is large."""

from __future__ import annotations

from dataclasses import dataclass
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from flow_manip_core.errors import FlowManipError, InvalidInputError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_learning.dataset import encode_sample, EncodedSample
from flow_manip_learning.engine.config import EngineConfig
from flow_manip_learning.engine.inputs import ClipSource
from flow_manip_learning.engine.rejection import Rejection, rejection_of
from flow_manip_learning.engine.sampling import ClipEngine, ClipNotes
from flow_manip_learning.engine.sheet import contact_sheet, Findings

SHEET_QUALITY = 85  # of the JPEG


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker must know, small enough to be sent to another machine.

    Attributes:
        config: of the engine.
        robot: name.
        rig: name; whose camera pose counts where a recording has none.
        licence: of the images.
    """

    config: EngineConfig
    robot: str = 'franka'
    rig: str = 'tabletop'
    licence: str = 'unknown'


@dataclass(frozen=True)
class ClipOutcome:
    """What came of one clip: a sample or a rejection.

    Attributes:
        key: of the clip.
        sample: as it goes into a shard; None where there is none.
        rejection: why not; None where there is a sample.
        sheet: contact sheet as JPEG.
        seconds: that it took.
        frames: of the clip that were looked at.
        summary: in a line.
    """

    key: str
    sample: EncodedSample | None
    rejection: Rejection | None
    sheet: bytes
    seconds: float
    frames: int
    summary: str


class Worker:
    """Processes clips one by one."""

    def __init__(self, plan: WorkerPlan) -> None:
        """Load the models.

        Raises:
            BackendError, ConfigurationError: one is missing.
        """
        self._plan = plan
        self._context = Context(load_robot(plan.robot), load_rig(plan.rig))
        self._engine = ClipEngine(plan.config, self._context)

    def process(self, source: ClipSource) -> ClipOutcome:
        """Process one clip.

        Raises:
            FlowManipError: what is no fault of the clip.
        """
        begun, findings = time.perf_counter(), Findings()
        sample, rejection = None, None
        try:
            clip = source.read(self._context, self._plan.config)
            found = self._engine.sample(clip, self._notes(source), findings)
            sample = encode_sample(found)
            shown = found.flow.visible.mean()
            summary = (
                f'{found.flow.num_points} points, {found.flow.num_steps} steps, {shown:.0%} seen, '
                f'box {[round(v) for v in findings.dense.box]} px'  # type: ignore[union-attr]
            )
        except FlowManipError as error:
            rejection = rejection_of(error)
            if rejection is None:
                raise
            summary = f'{rejection.reason}: {rejection}'
        picture = contact_sheet(findings, source.title, summary, rejection is None)
        seconds = time.perf_counter() - begun
        frames = 0 if findings.video is None else findings.video.num_frames
        return ClipOutcome(source.key, sample, rejection, _jpeg(picture), seconds, frames, summary)

    def _notes(self, source: ClipSource) -> ClipNotes:
        return ClipNotes(
            key=source.key,
            instruction=source.instruction,
            licence=self._plan.licence,
            footage=source.footage,
            gripper=source.gripper,
            tags={'clip': source.title[:256], 'kind': source.kind},
        )


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    quality = (cv2.IMWRITE_JPEG_QUALITY, SHEET_QUALITY)
    good, data = cv2.imencode('.jpg', picture[..., ::-1], quality)
    if not good:
        raise InvalidInputError('a contact sheet could not be encoded')
    return bytes(data)
