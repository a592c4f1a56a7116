# SPDX-License-Identifier: Apache-2.0
"""Depth Anything by its true classes, as random models of a few thousand weights."""

import numpy as np
import pytest

from flow_manip_core.errors import BackendError, CancelledError, ConfigurationError
from flow_manip_core.video import Video
from flow_manip_perception.depth import DEPTH_ESTIMATORS
from flow_manip_perception.depth.depth_anything import DepthAnything, model_size
from flow_manip_perception.pretrained import ModelRuntime

torch = pytest.importorskip('torch')
OFFLINE = ModelRuntime(local_files_only=True)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Return the folders of a relative and a metric checkpoint."""
    pytest.importorskip('transformers')
    import tiny_models

    folder = tmp_path_factory.mktemp('depth_anything')
    return {
        kind: tiny_models.save_depth_anything(folder / kind, kind)
        for kind in ('relative', 'metric')
    }


@pytest.fixture(scope='module')
def video():
    frames = np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3)).astype(np.uint8)
    return Video(frames, np.arange(5) / 8.0)


def estimator(models, context, checkpoint='relative', **values):
    config = {'side': 42, 'runtime': OFFLINE, 'model': models[checkpoint], **values}
    return DepthAnything(DepthAnything.Config(**config), context)


def test_the_table_of_estimators_knows_it():
    assert DEPTH_ESTIMATORS.load('depth_anything') is DepthAnything


def test_every_frame_gets_a_value_per_pixel(models, context, video):
    depth = estimator(models, context).estimate(video)
    assert depth.shape == (5, 48, 64)
    assert depth.dtype == np.float32
    assert np.isfinite(depth).any()
    assert np.nanmin(depth) >= 0


def test_a_metric_checkpoint_gives_metres_up_to_its_own_limit(models, context, video):
    metric = estimator(models, context, 'metric', kind='metric')
    depth = metric.estimate(video)
    assert metric.kind == 'metric'
    assert 0 < np.nanmin(depth) <= np.nanmax(depth) <= 5.0


def test_batches_change_nothing(models, context, video):
    one = estimator(models, context, 'metric', kind='metric').estimate(video)
    two = estimator(models, context, 'metric', kind='metric', batch=2).estimate(video)
    assert np.abs(one - two).max() < 1e-4


def test_frames_of_another_picture_have_another_depth(models, context, video):
    depth = estimator(models, context, 'metric', kind='metric').estimate(video)
    assert np.abs(depth[0] - depth[1]).max() > 0


def test_a_frame_that_repeats_the_one_before_is_not_estimated_again(models, context, video):
    frames = video.frames[[0, 0, 1, 1, 1, 0]]
    depth = estimator(models, context, batch=2).estimate(Video(frames, np.arange(6) / 8.0))
    alone = estimator(models, context).estimate(video)
    assert np.abs(depth - alone[[0, 0, 1, 1, 1, 0]]).max() < 1e-3 * alone.max()


def test_a_checkpoint_of_another_kind_is_refused(models, context, video):
    with pytest.raises(BackendError, match="gives metric, not 'disparity'"):
        estimator(models, context, 'metric').estimate(video)
    with pytest.raises(BackendError, match="gives disparity, not 'metric'"):
        estimator(models, context, kind='metric').estimate(video)


def test_a_cancel_ends_it_inside_the_model(models, context, video):
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 120

    slow = estimator(models, context)
    with pytest.raises(CancelledError, match='the depth of frame'):
        slow.estimate(video, cancelled=cancelled)
    count = len(asked)
    assert slow.estimate(video).shape == (5, 48, 64)
    assert len(asked) == count  # nobody is asked any more


def test_a_model_that_is_not_there_is_a_backend_error(context, video, tmp_path):
    config = DepthAnything.Config(model=str(tmp_path / 'none'), runtime=OFFLINE)
    with pytest.raises(BackendError, match='cannot be loaded'):
        DepthAnything(config, context).estimate(video)


def test_sides_are_multiples_of_a_patch_and_the_shape_stays():
    assert model_size(640, 480, 518, 14) == (686, 518)
    assert model_size(1280, 720, 518, 14) == (924, 518)
    assert model_size(10, 500, 14, 14)[0] >= 14


def test_known_is_what_can_be_a_distance(models, context):
    values = np.array([[[0.0, -1.0, np.inf, 2.0]]], np.float32)
    near = estimator(models, context)._known(values)
    assert np.isnan(near[0, 0]).tolist() == [False, True, True, False]
    metric = estimator(models, context, 'metric', kind='metric')._known(values)
    assert np.isnan(metric[0, 0]).tolist() == [True, True, True, False]


@pytest.mark.parametrize('values', [{'kind': 'relative'}, {'side': 5}, {'batch': 0}])
def test_nonsense_parameters_are_refused(values):
    with pytest.raises(ConfigurationError, match='depth_anything'):
        DepthAnything.Config(**values)
