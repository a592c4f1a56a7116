# SPDX-License-Identifier: Apache-2.0
"""Grounding DINO and SAM 2 by their true classes, as random models of a few thousand weights."""

import builtins

import numpy as np
import pytest

from flow_manip_core.camera import CameraModel
from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    InvalidInputError,
    ObjectAbsentError,
    ObjectAmbiguousError,
    PhraseNotUnderstoodError,
)
from flow_manip_core.observation import Mask, Observation
from flow_manip_core.video import Video
from flow_manip_perception.pretrained import image_tensor, load_model, ModelRuntime
from flow_manip_perception.segmentation import SEGMENTERS, VIDEO_SEGMENTERS
from flow_manip_perception.segmentation.detection import (
    Box,
    choose_box,
    clean_phrase,
    GroundingDetector,
    one_per_thing,
    overlap,
)
from flow_manip_perception.segmentation.grounded_sam2 import (
    box_mask,
    eroded,
    GroundedSam2,
    GroundedSam2Video,
    point_mask,
)

torch = pytest.importorskip('torch')
HEIGHT, WIDTH = 60, 80
OFFLINE = ModelRuntime(local_files_only=True)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Return the folders of a detector, a SAM 2 and a SAM 2 for videos."""
    pytest.importorskip('transformers')
    import tiny_models

    folder = tmp_path_factory.mktemp('models')
    return {
        'detector': tiny_models.save_detector(folder / 'detector'),
        'segmenter': tiny_models.save_sam2(folder / 'sam2'),
        'video': tiny_models.save_sam2_video(folder / 'sam2_video'),
    }


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)


@pytest.fixture(scope='module')
def observation(image):
    camera = CameraModel.from_fov(WIDTH, HEIGHT, 0.8)
    return Observation(image, np.ones((HEIGHT, WIDTH), np.float32), camera, np.eye(4))


def segmenter(models, context, **values):
    config = GroundedSam2.Config(
        detector=models['detector'],
        segmenter=models['segmenter'],
        short_side=64,
        runtime=OFFLINE,
        **values,
    )
    return GroundedSam2(config, context)


def box(score, *corners, label='cup'):
    return Box(np.array(corners or (0.0, 0.0, 10.0, 10.0)), score, label)


def test_the_tables_know_both():
    assert SEGMENTERS.load('grounded_sam2') is GroundedSam2
    assert VIDEO_SEGMENTERS.load('grounded_sam2') is GroundedSam2Video


def test_defaults_are_those_of_the_published_systems():
    config = GroundedSam2.Config()
    assert (config.box_threshold, config.text_threshold) == (0.25, 0.3)


def test_an_object_is_found_by_words_with_a_mask_in_the_image(models, context, observation):
    mask = segmenter(models, context, clear_ratio=1.1).segment(observation, 'the red cube')
    assert mask.pixels.shape == (HEIGHT, WIDTH)
    assert mask.label == 'the red cube'
    assert 0.25 < mask.score <= 1.0


def test_the_detector_agrees_with_the_librarys_own_reading(models, image):
    detector = GroundingDetector(models['detector'], OFFLINE, 64)
    found = detector.detect(image, 'The red cube', 0.25, 0.3)
    model, tokenizer = detector._load()
    tokens = tokenizer('the red cube .', return_tensors='pt')
    assert tokens['input_ids'][0].tolist()[:2] == [101, 205]
    with torch.inference_mode():
        given = model(
            pixel_values=image_tensor(image[None], (85, 64), model), input_ids=tokens['input_ids']
        )
    from transformers.image_transforms import center_to_corners_format

    corners = center_to_corners_format(given.pred_boxes[0]) * torch.tensor([80, 60, 80, 60])
    best = int(given.logits[0].sigmoid().max(dim=1).values.argmax())
    expected = corners[best].clamp(min=0).minimum(torch.tensor([80, 60, 80, 60]))
    assert np.abs(found[0].corners - expected.numpy()).max() < 1e-3
    assert found[0].label in ('the red cube', 'red cube', 'the red', 'cube', 'red', 'the', '?')


def test_nothing_that_fits_is_absent_and_the_nearest_is_named(
    models, context, observation, monkeypatch
):
    poor = [box(0.2), box(0.15, 30.0, 0.0, 40.0, 10.0)]
    monkeypatch.setattr(GroundingDetector, 'detect', lambda *args: poor)
    with pytest.raises(ObjectAbsentError, match=r"above 0.25; nearest: 'cup' 0.20 at \(5, 5\)"):
        segmenter(models, context).segment(observation, 'red cube')


def test_equal_boxes_are_ambiguous_with_their_scores():
    boxes = [box(0.6), box(0.59, 50.0, 0.0, 60.0, 10.0)]
    with pytest.raises(ObjectAmbiguousError, match=r"'cup' 0.60 at \(5, 5\) px, 'cup' 0.59 at"):
        choose_box(boxes, 'cup', 0.95)
    assert choose_box(boxes, 'cup', 0.99 / 1.0 + 0.01) is boxes[0]


def test_a_clear_best_is_taken_and_none_is_absent():
    assert choose_box([box(0.6), box(0.3)], 'cup', 0.95).score == 0.6
    with pytest.raises(ObjectAbsentError, match="nothing fits 'cup'"):
        choose_box([], 'cup', 0.95)


def test_boxes_of_one_thing_are_one():
    near = [box(0.5), box(0.8, 1.0, 0.0, 10.0, 10.0), box(0.4, 30.0, 30.0, 40.0, 40.0)]
    assert [b.score for b in one_per_thing(near)] == [0.8, 0.4]
    assert overlap(np.array([0, 0, 2, 2.0]), np.array([1, 0, 3, 2.0])) == pytest.approx(1 / 3)


def test_phrases_are_cleaned_and_wordless_ones_refused():
    assert clean_phrase(' The  RED cube') == 'the red cube .'
    with pytest.raises(PhraseNotUnderstoodError, match='has no words'):
        clean_phrase('123 !')
    with pytest.raises(PhraseNotUnderstoodError, match='300 characters'):
        clean_phrase('a' * 300)


def test_what_is_seen_is_described_in_words(models, context, observation):
    seen = segmenter(models, context, names=('cup', 'bowl')).describe(observation)
    assert seen
    assert all(isinstance(label, str) for label in seen)


def test_a_mask_is_eroded_by_a_square():
    pixels = np.zeros((40, 40), bool)
    pixels[5:35, 5:35] = True
    assert eroded(pixels, 11).sum() == 20 * 20
    assert (eroded(pixels, 0) == pixels).all()


def test_a_mask_too_small_is_absent(models, context, observation):
    picky = segmenter(models, context, clear_ratio=1.1, min_pixels=HEIGHT * WIDTH + 1)
    with pytest.raises(ObjectAbsentError, match='pixels, 4801 are needed'):
        picky.segment(observation, 'cube')


def test_masks_by_box_and_by_points_depend_on_their_prompts(models, image):
    model = load_model('Sam2Model', models['segmenter'], OFFLINE)
    by_box = box_mask(model, image, np.array([5.0, 5.0, 30.0, 30.0]))
    by_points = point_mask(model, image, np.array([[20.0, 20.0]]), np.array([[70.0, 50.0]]))
    assert by_box.shape == by_points.shape == (HEIGHT, WIDTH)
    assert (by_box != by_points).any()


def test_images_are_normalised_as_the_models_want_them():
    class Like:
        device, dtype = 'cpu', torch.float32

    flat = np.full((1, 10, 20, 3), [124, 116, 104], np.uint8)
    tensor = image_tensor(flat, (8, 4), Like())
    assert tuple(tensor.shape) == (1, 3, 4, 8)
    assert abs(float(tensor.mean())) < 0.02


def clip(image, count):
    frames = np.stack([np.roll(image, 2 * t, axis=1) for t in range(count)])
    return Video(frames, np.arange(count) / 8.0)


def video_segmenter(models, context):
    return GroundedSam2Video(
        GroundedSam2Video.Config(segmenter=models['video'], runtime=OFFLINE), context
    )


@pytest.fixture
def square():
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[10:40, 10:50] = True
    return Mask(pixels, 'square')


def test_a_mask_is_followed_as_the_library_does_with_unbounded_memory(
    models, context, image, square
):
    video = clip(image, 12)
    segmenter = video_segmenter(models, context)
    found = segmenter.propagate(video, square)
    model, session = segmenter._model, segmenter._session(video, square)
    session.processed_frames = {
        t: image_tensor(video.frames[t : t + 1], (64, 64), model)[0] for t in range(12)
    }
    model(inference_session=session, frame_idx=0)
    expected = [
        torch.nn.functional.interpolate(o.pred_masks[:1], size=(HEIGHT, WIDTH), mode='bilinear')
        for o in model.propagate_in_video_iterator(session, start_frame_idx=0)
    ]
    for t in range(1, 12):
        assert (found[t] == (expected[t][0, 0].numpy() > 0)).all(), t
    assert (found[0] == square.pixels).all()


def test_memory_does_not_grow_with_the_video(models, context, image, square, monkeypatch):
    from flow_manip_perception.segmentation import grounded_sam2

    sizes = []
    forget = grounded_sam2.forget

    def counting(session, frame, config):
        forget(session, frame, config)
        outputs = session.output_dict_per_obj[0]['non_cond_frame_outputs']
        sizes.append((len(session.processed_frames), len(outputs)))

    monkeypatch.setattr(grounded_sam2, 'forget', counting)
    video_segmenter(models, context).propagate(clip(image, 14), square)
    assert max(sizes) <= (0, 4)
    assert sizes[-1] == sizes[-5]


def test_a_cancel_between_frames_and_a_mask_of_another_size(models, context, image, square):
    segmenter, asked = video_segmenter(models, context), []
    with pytest.raises(CancelledError, match='frame 1'):
        segmenter.propagate(
            clip(image, 6), square, cancelled=lambda: asked.append(1) or len(asked) > 250
        )
    with pytest.raises(InvalidInputError, match='mask is'):
        segmenter.propagate(clip(image, 3), Mask(square.pixels[:-1], 'square'))


def test_a_model_that_is_not_there_is_a_backend_error(context, observation, tmp_path):
    config = GroundedSam2.Config(detector=str(tmp_path / 'none'), runtime=OFFLINE)
    with pytest.raises(BackendError, match='cannot be loaded'):
        GroundedSam2(config, context).segment(observation, 'cube')


def test_a_missing_package_is_named_with_its_command(context, observation, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition('.')[0] == 'transformers':
            raise ImportError("No module named 'transformers'", name='transformers')
        return real(name, *args, **kwargs)

    monkeypatch.setattr('flow_manip_perception.pretrained.import_module', without)
    with pytest.raises(BackendError, match='pip install transformers'):
        GroundedSam2(GroundedSam2.Config(), context).segment(observation, 'cube')


@pytest.mark.parametrize(
    'values', [{'box_threshold': 1.0}, {'clear_ratio': 0.0}, {'erosion': -1}, {'min_pixels': 0}]
)
def test_nonsense_limits_are_refused(values):
    with pytest.raises(ConfigurationError, match='grounded_sam2'):
        GroundedSam2.Config(**values)
    with pytest.raises(ConfigurationError, match='dtype'):
        ModelRuntime(dtype='float7')
