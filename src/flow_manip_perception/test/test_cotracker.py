# SPDX-License-Identifier: Apache-2.0
"""CoTracker's predictors are called as documented, seen through stand-ins of their signatures."""

import inspect
import sys
import types

import numpy as np
import pytest

from flow_manip_core.errors import BackendError, CancelledError, InvalidInputError
from flow_manip_core.video import Video
from flow_manip_perception.tracking import TRACKERS
from flow_manip_perception.tracking.cotracker import CoTracker

torch = pytest.importorskip('torch')

# Of facebookresearch/co-tracker, cotracker/predictor.py (CoTracker3).
DOCUMENTED = {
    'CoTrackerPredictor.__init__': {
        'checkpoint': str,
        'offline': True,
        'v2': False,
        'window_len': 60,
    },
    'CoTrackerPredictor.forward': {
        'video': inspect.Parameter.empty,
        'queries': None,
        'segm_mask': None,
        'grid_size': 0,
        'grid_query_frame': 0,
        'backward_tracking': False,
    },
    'CoTrackerOnlinePredictor.__init__': {
        'checkpoint': str,
        'offline': False,
        'v2': False,
        'window_len': 16,
    },
    'CoTrackerOnlinePredictor.forward': {
        'video_chunk': inspect.Parameter.empty,
        'is_first_step': False,
        'queries': None,
        'grid_size': 5,
        'grid_query_frame': 0,
        'add_support_grid': False,
    },
}
SIZE, SQUARE = (64, 48), 8


def middle_of_light(video):
    """(B, T, 3, H, W) of 0..255 -> (T, 2) where the bright square is."""
    light = (video[0].mean(dim=1) > 128).float()
    total = light.sum(dim=(1, 2)).clamp(min=1)
    u = (light.sum(dim=1) * torch.arange(light.shape[2])).sum(dim=1) / total
    v = (light.sum(dim=2) * torch.arange(light.shape[1])).sum(dim=1) / total
    return torch.stack([u, v], dim=1), light.sum(dim=(1, 2)) > 0


class CoTrackerPredictor(torch.nn.Module):
    """All points move with the bright square."""

    def __init__(
        self, checkpoint='./checkpoints/scaled_offline.pth', offline=True, v2=False, window_len=60
    ):
        super().__init__()
        self.layer = torch.nn.Identity()

    def forward(
        self,
        video,
        queries=None,
        segm_mask=None,
        grid_size=0,
        grid_query_frame=0,
        backward_tracking=False,
    ):
        places, lit = middle_of_light(self.layer(video))
        tracks = queries[:, None, :, 1:] + (places - places[0])[None, :, None]
        return tracks, lit[None, :, None].expand(tracks.shape[:3])


class CoTrackerOnlinePredictor(torch.nn.Module):
    """Returns tracks of all images so far, as the real one does."""

    def __init__(
        self, checkpoint='./checkpoints/scaled_online.pth', offline=False, v2=False, window_len=16
    ):
        super().__init__()
        self.step = window_len // 2
        self.begun = 0

    def forward(
        self,
        video_chunk,
        is_first_step=False,
        queries=None,
        grid_size=5,
        grid_query_frame=0,
        add_support_grid=False,
    ):
        places, _ = middle_of_light(video_chunk)
        if is_first_step:
            self.queries, self.begun, self.places = queries, self.begun + 1, None
            return None, None
        assert video_chunk.shape[1] == 2 * self.step
        kept = places[:0] if self.places is None else self.places[: -self.step]
        self.places = torch.cat([kept, places])
        tracks = self.queries[:, None, :, 1:] + (self.places - self.places[0])[None, :, None]
        return tracks, torch.ones(tracks.shape[:3], dtype=torch.bool)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    module = types.ModuleType('cotracker.predictor')
    module.CoTrackerPredictor = CoTrackerPredictor
    module.CoTrackerOnlinePredictor = CoTrackerOnlinePredictor
    monkeypatch.setitem(sys.modules, 'cotracker', types.ModuleType('cotracker'))
    monkeypatch.setitem(sys.modules, 'cotracker.predictor', module)
    weights = tmp_path / 'weights.pth'
    weights.write_bytes(b'')
    return str(weights)


@pytest.fixture
def tracker(installed):
    config = CoTracker.Config(
        checkpoint=installed, online_checkpoint=installed, online_window=4, restart_after=12
    )
    return CoTracker(config, None)


def moving_square(num_frames):
    frames = np.zeros((num_frames, SIZE[1], SIZE[0], 3), np.uint8)
    for t in range(num_frames):
        frames[t, 10 + t : 10 + t + SQUARE, 5 + 2 * t : 5 + 2 * t + SQUARE] = 255
    return frames


@pytest.mark.parametrize('name', DOCUMENTED)
def test_the_stand_ins_have_the_documented_signatures(name):
    kind, _, method = name.partition('.')
    parameters = inspect.signature(getattr(globals()[kind], method)).parameters
    found = {p.name: p.default for p in parameters.values() if p.name != 'self'}
    expected = DOCUMENTED[name]
    assert list(found) == list(expected)
    for parameter, default in expected.items():
        if default is str:
            assert isinstance(found[parameter], str)
        else:
            assert found[parameter] == default


def test_a_whole_video_is_followed(tracker):
    frames = moving_square(6)
    frames[4] = 0
    queries = np.array([[6.0, 11.0], [9.5, 14.0]])
    tracks = tracker.track(Video(frames, np.arange(6) / 16), queries)
    np.testing.assert_allclose(tracks.points[5], queries + np.array([10, 5]), atol=1e-4)
    assert tracks.visible.all(axis=1).tolist() == [True, True, True, True, False, True]


def test_a_stream_comes_in_steps_and_begins_anew_without_losing_its_points(tracker):
    frames = moving_square(24)
    stream = tracker.stream(window=5)
    queries = np.array([[6.0, 11.0], [9.5, 14.0]])
    ids = stream.reset(queries)
    reached = []
    for index, frame in enumerate(frames):
        tracks = stream.push(frame, 1.0 + index)
        assert np.array_equal(tracks.point_ids, ids)
        reached.append(int(tracks.times[-1] - 1.0))
        np.testing.assert_allclose(
            tracks.points[-1], queries + reached[-1] * np.array([2, 1]), atol=1e-3
        )
    # Half-windows of 2; after 12 images a new start needs a whole window again.
    assert reached[:8] == [0, 0, 0, 3, 3, 5, 5, 7]
    assert reached[11] == 11
    assert reached[12:16] == [11, 11, 14, 14]
    assert len(tracks.times) == 5
    assert stream._predictor.begun > 1
    assert stream.num_dropped == 0
    stream.push(frames[-1], 3.0)
    assert stream.num_dropped == 1


def test_it_stops_inside_the_model_when_cancelled(tracker):
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) > 2

    video = Video(moving_square(4), np.arange(4) / 16)
    with pytest.raises(CancelledError):
        tracker.track(video, np.array([[6.0, 11.0]]), cancelled=cancelled)
    assert len(asked) == 3
    # The hooks are gone: the next call runs through.
    assert tracker.track(video, np.array([[6.0, 11.0]])).visible.all()


def test_missing_weights_and_wrong_queries_are_named(installed, tracker, tmp_path):
    without = CoTracker(CoTracker.Config(checkpoint=str(tmp_path / 'no.pth')), None)
    video = Video(moving_square(3), np.arange(3) / 16)
    with pytest.raises(BackendError, match='get scaled_offline'):
        without.track(video, np.array([[6.0, 11.0]]))
    with pytest.raises(BackendError, match='get scaled_online'):
        without.stream()
    with pytest.raises(InvalidInputError):
        tracker.track(video, np.array([[600.0, 11.0]]))


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cotracker', None)
    monkeypatch.delitem(sys.modules, 'cotracker.predictor', raising=False)
    backend = TRACKERS.load('cotracker')
    with pytest.raises(BackendError, match='co-tracker'):
        backend(backend.Config(), None)


def test_a_model_that_breaks_is_a_backend_error(tracker, monkeypatch):
    def broken(self, *args, **kwargs):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(CoTrackerPredictor, 'forward', broken)
    with pytest.raises(BackendError, match='out of memory'):
        tracker.track(Video(moving_square(3), np.arange(3) / 16), np.array([[6.0, 11.0]]))
