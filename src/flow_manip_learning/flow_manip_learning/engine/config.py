# SPDX-License-Identifier: Apache-2.0
"""Every threshold of the data engine, and where its value comes from.

[paper]: 3DFlowAction's text; [code]: its release; [own]: what neither says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flow_manip_core.errors import ConfigurationError
from flow_manip_perception.ego_motion import EgoMotionConfig
from flow_manip_perception.lifting import LiftingConfig

GRIPPERS = ('motion', 'file', 'segmenter', 'none')


@dataclass(frozen=True)
class GripperConfig:
    """How the gripper, or the hand, is found in the first frame.

    Attributes:
        source: 'segmenter' (Grounding-SAM2 in the paper), 'file' (a mask beside the clip),
            'motion' (what moves from the beginning, dense; needs no model) or 'none'.
        segmenter: backend for 'segmenter'.
        phrase: words that it is found by.
        dilation: of the mask, as grasped things touch it [px of the working frame].
        min_area: smaller parts of a mask made from motion are noise [px of the working frame].
    """

    source: str = field(default='motion', metadata={'doc': f'One of {GRIPPERS}'})
    segmenter: str = field(default='grounded_sam2', metadata={'doc': 'Backend [paper]'})
    phrase: str = field(default='robot gripper. hand', metadata={'doc': 'Words [own]'})
    dilation: int = field(default=3, metadata={'doc': 'Around the mask [px, own]'})
    min_area: int = field(default=40, metadata={'doc': 'Of a moving part [px, own]'})

    def __post_init__(self) -> None:
        """Refuse unknown sources and negative sizes."""
        if self.source not in GRIPPERS:
            raise ConfigurationError(f"gripper '{self.source}'; known: {', '.join(GRIPPERS)}")
        if self.dilation < 0 or self.min_area < 0:
            raise ConfigurationError(f'gripper: dilation {self.dilation}, area {self.min_area}')


@dataclass(frozen=True)
class DetectionConfig:
    """How the thing that moves is found (A1 to A8).

    Attributes:
        frame_size: sides of the working frames; thresholds in pixels are theirs.
        grid: rows and columns of points, in the image and then in the box.
        max_frames: that are looked at, of a longer clip.
        early_frame: a point that moves before it belongs to the arm ...
        early_motion: ... if it moves at least so far [px].
        still_motion: a clip in which nothing moves so far is dropped [px].
        put_back: count how far a point gets on the way, so that a can that is put back after
            pouring has moved; the release compares the first frame with the last.
        mover_share: of the range of displacements, above which a point is a mover.
        max_box: share of the image; a larger box is dropped.
        shrink: of the box, before points are followed in it. The release computes 0.15 and does
            not use it.
        link: movers nearer than this belong to one thing [grid cells]; 0: all are one.
        min_movers: of one thing in the image's grid; a small thing has no more.
        min_points: of it in the grid inside its box.
        tries: things that are looked at closer, where the first turns out to be none.
        min_seen: share of the frames that a point must be seen in to count.
        dense: add points to the grid, twice as close, where the picture changed for good: small
            things fall between the grid's points.
        arm_weight: factor on how much a thing moved if it touches the gripper's mask or the
            image's border, as the rest of an arm does.
        max_recolour: mean colour difference of a point's patch between start and end, above which
            it was dragged along by what passed over it [0..255]; 0 is off.
        min_vacated: times the median change of the places of points that stay, by which the place
            of a mover must have changed; 0 is off.
        max_return: share of its displacement by which a point may miss its start when it is
            followed back; 0 is off.
        still_view: median motion of the grid below which the camera stands [px].
        min_background: share of the grid that must agree on the camera's motion.
        background_band: how far a static point may be off that motion [px].
    """

    frame_size: int = field(default=256, metadata={'doc': 'Sides [px, code]'})
    grid: int = field(default=32, metadata={'doc': 'Rows and columns [paper, code]'})
    max_frames: int = field(default=96, metadata={'doc': 'Looked at [own]'})
    early_frame: int = field(default=5, metadata={'doc': 'Of early movers [code]'})
    early_motion: float = field(default=1.0, metadata={'doc': 'Of early movers [px, code]'})
    still_motion: float = field(default=10.0, metadata={'doc': 'Of a still clip [px, code]'})
    put_back: bool = field(default=True, metadata={'doc': 'False: as in [code]'})
    mover_share: float = field(default=0.25, metadata={'doc': 'Of (max - min) [code]'})
    max_box: float = field(default=0.25, metadata={'doc': 'Share of the image [code]'})
    shrink: float = field(default=0.0, metadata={'doc': 'Of the box; 0.15 unused in [code]'})
    link: float = field(default=2.0, metadata={'doc': 'Between movers [cells, own]'})
    min_movers: int = field(default=1, metadata={'doc': 'Of one thing [own]'})
    min_points: int = field(default=12, metadata={'doc': 'Of it, in its box [own]'})
    tries: int = field(default=3, metadata={'doc': 'Things looked at closer [own]'})
    min_seen: float = field(default=0.5, metadata={'doc': 'Share of frames [own]'})
    dense: bool = field(default=True, metadata={'doc': 'Where it changed [own]'})
    arm_weight: float = field(default=0.05, metadata={'doc': 'Of parts of the arm [own]'})
    max_recolour: float = field(default=45.0, metadata={'doc': 'Of a patch [levels, own]'})
    min_vacated: float = field(default=2.0, metadata={'doc': 'Of the median change [own]'})
    max_return: float = field(default=0.3, metadata={'doc': 'Of the displacement [own]'})
    still_view: float = field(default=0.4, metadata={'doc': 'Still camera [px, own]'})
    min_background: float = field(default=0.5, metadata={'doc': 'Share that agrees [own]'})
    background_band: float = field(default=2.0, metadata={'doc': 'Static points [px, own]'})

    def __post_init__(self) -> None:
        """Refuse numbers without meaning."""
        for name in ('early_motion', 'still_motion', 'still_view', 'background_band'):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f'detection: {name} is {getattr(self, name)}')
        for name in ('mover_share', 'max_box', 'min_seen', 'min_background', 'arm_weight'):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigurationError(f'detection: {name} is {getattr(self, name)}')
        if not 2 <= self.grid <= 128 or not 32 <= self.frame_size <= 1024:
            raise ConfigurationError(f'detection: grid {self.grid}, frames {self.frame_size} px')
        if not 0 <= self.shrink < 0.5 or min(self._limits()) < 0:
            raise ConfigurationError(f'detection: shrink {self.shrink} or a limit is out of range')
        if (
            self.early_frame < 1
            or self.max_frames < self.early_frame + 2
            or min(self.min_movers, self.min_points, self.tries) < 1
        ):
            raise ConfigurationError(
                f'detection: early_frame {self.early_frame}, max_frames {self.max_frames}, '
                f'min_movers {self.min_movers}, min_points {self.min_points}, tries {self.tries}'
            )

    def _limits(self) -> tuple[float, ...]:
        return self.link, self.max_recolour, self.min_vacated, self.max_return


@dataclass(frozen=True)
class EngineConfig:
    """From clip to sample.

    Attributes:
        gripper: A1.
        detection: A2 to A8.
        ego_motion: A9, of clips with depth; without depth a homography is fitted.
        lifting: A11. A point hidden for half of the clip stays, as in `min_seen`.
        tracker: backend; CoTracker3 in the paper.
        depth: backend of clips without a sensor's, or 'plane': everything at `distance`.
        fov_degrees: horizontal field of view where nobody knows the camera.
        distance: of the object where the depth has no unit [m].
        max_depth: that an estimated depth is clamped at [m].
        num_frames: steps of the sample.
        max_side: of the sample's image; a larger one is scaled down [px].
        colour_cut: cut the object out by colour around what moves, so that its border is sharp.
    """

    gripper: GripperConfig = field(default_factory=GripperConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    ego_motion: EgoMotionConfig = field(default_factory=EgoMotionConfig)
    lifting: LiftingConfig = field(default_factory=lambda: LiftingConfig(min_share=0.5))
    tracker: str = field(default='lucas_kanade', metadata={'doc': 'cotracker in [paper]'})
    depth: str = field(default='plane', metadata={'doc': 'Depth Anything V2 in [paper]'})
    fov_degrees: float = field(default=55.0, metadata={'doc': 'Assumed camera [code]'})
    distance: float = field(default=1.0, metadata={'doc': 'Of the object [m, own]'})
    max_depth: float = field(default=1.5, metadata={'doc': 'Clamp of estimates [m, code]'})
    num_frames: int = field(default=25, metadata={'doc': 'Steps of a sample [code]'})
    max_side: int = field(default=640, metadata={'doc': 'Of the image [px, own]'})
    colour_cut: bool = field(default=True, metadata={'doc': 'Sharpen the mask [own]'})

    def __post_init__(self) -> None:
        """Refuse numbers without meaning."""
        if not 1.0 < self.fov_degrees < 179.0 or not 0.01 <= self.distance <= 100.0:
            raise ConfigurationError(
                f'engine: field of view {self.fov_degrees} degrees, distance {self.distance} m'
            )
        if not self.max_depth > 0 or not 2 <= self.num_frames <= 512:
            raise ConfigurationError(
                f'engine: max_depth {self.max_depth} m, {self.num_frames} frames'
            )
        if not 64 <= self.max_side <= 4096:
            raise ConfigurationError(f'engine: max_side {self.max_side} px')
