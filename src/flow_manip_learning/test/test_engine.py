# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
import json

import cv2
from engine_clips import clip_of, frames, MOVE, picture, REST, SIDE, STEP, true_mask
import numpy as np
import pytest

from flow_manip_core.errors import BackendError, ConfigurationError, InvalidInputError
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_learning.dataset import check_dataset, read_samples
from flow_manip_learning.engine import (
    ClipEngine,
    ClipNotes,
    ClipRejectedError,
    DetectionConfig,
    EngineConfig,
    find_sources,
    Findings,
    GripperConfig,
    InputOptions,
    REASONS,
    Rejection,
    rejection_of,
    run_engine,
    WorkerPlan,
)
from flow_manip_perception.lifting import LiftingConfig

DETECTION = DetectionConfig(frame_size=SIDE, grid=16)
CONFIG = EngineConfig(detection=DETECTION)
PLAN = WorkerPlan(CONFIG, licence='CC0-1.0')


@pytest.fixture(scope='module')
def context():
    return Context(load_robot('franka'), load_rig('tabletop'))


@pytest.fixture(scope='module')
def engine(context):
    return ClipEngine(CONFIG, context)


def refused(engine, images, **notes):
    """Return the rejection of a clip."""
    with pytest.raises(Exception) as caught:
        engine.sample(clip_of(images), ClipNotes('clip', **notes), Findings())
    found = rejection_of(caught.value)
    assert found is not None, caught.value
    return found


def overlap(found, truth):
    return (found & truth).sum() / (found | truth).sum()


# ---------------------------------------------------------------- what is found


@pytest.fixture(scope='module')
def found(engine):
    findings = Findings()
    return engine.sample(clip_of(frames()), ClipNotes('drawn', 'push it'), findings), findings


def test_the_thing_that_moves_late_is_found_and_the_arm_is_not(found):
    sample, findings = found
    assert overlap(sample.mask, true_mask()) > 0.8
    arm = np.zeros((SIDE, SIDE), bool)
    arm[10:26, :20] = True
    assert findings.movers.gripper[arm].mean() > 0.5
    assert not (sample.mask & arm).any()


def test_the_flow_is_the_true_motion_on_the_assumed_plane(found):
    sample, _ = found
    focal = SIDE / 2 / np.tan(np.radians(55) / 2)
    shift = sample.flow.points[-1] - sample.flow.points[0]
    seen = sample.flow.visible[-1]
    assert seen.mean() > 0.8
    wanted = [MOVE * STEP / focal * CONFIG.distance, 0.0, 0.0]
    np.testing.assert_allclose(np.median(shift[seen], axis=0), wanted, atol=0.005)
    assert sample.instruction == 'push it'
    assert sample.tags['depth'] == 'plane'


def test_the_points_lie_on_the_mask(found):
    sample, _ = found
    pixels = sample.camera.project(sample.flow.points[0])
    columns, rows = np.rint(pixels).astype(int).T
    assert sample.mask[rows, columns].all()


def test_motion_of_the_camera_is_taken_out(engine):
    findings = Findings()
    sample = engine.sample(clip_of(frames(camera_step=1, arm=False)), ClipNotes('pan'), findings)
    assert overlap(sample.mask, true_mask()) > 0.7
    focal = SIDE / 2 / np.tan(np.radians(55) / 2)
    shift = sample.flow.points[-1] - sample.flow.points[0]
    moved = np.median(shift[sample.flow.visible[-1]], axis=0)
    np.testing.assert_allclose(moved, [MOVE * STEP / focal, 0.0, 0.0], atol=0.012)


def test_a_mask_file_says_where_the_gripper_is(context, tmp_path):
    # With the square under the mask nothing is left that moves.
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[44:80, 24:60] = 255
    mask[8:28, :30] = 255
    path = tmp_path / 'gripper.png'
    cv2.imwrite(str(path), mask)
    engine = ClipEngine(CONFIG, context)
    assert refused(engine, frames(), gripper=path).reason in ('only_early_movers', 'no_object')


def test_what_is_put_back_has_moved_unless_the_ends_alone_are_compared(context):
    there = frames(arm=False)
    images = np.concatenate([there, there[: REST - 2 : -1]])
    sample = ClipEngine(CONFIG, context).sample(clip_of(images), ClipNotes('back'), Findings())
    assert overlap(sample.mask, true_mask()) > 0.6
    ends = replace(CONFIG, detection=replace(DETECTION, put_back=False))
    assert refused(ClipEngine(ends, context), images).reason == 'still'


# ---------------------------------------------------------------- every reason


def test_nothing_moves(engine):
    found = refused(engine, np.stack([picture()] * 10))
    assert found.reason == 'still'
    assert found.numbers['largest_px'] < 1.0
    assert found.numbers['needed_px'] == 10.0


def test_only_the_arm_moves(engine):
    assert refused(engine, frames(step=0)).reason == 'only_early_movers'


def test_too_few_frames(engine):
    found = refused(engine, frames()[:4])
    assert found.reason == 'too_short'
    assert found.numbers == {'frames': 4, 'frames_needed': 7}


def test_a_gripper_all_over_the_image(engine, tmp_path):
    path = tmp_path / 'gripper.png'
    cv2.imwrite(str(path), np.full((SIDE, SIDE), 255, np.uint8))
    assert refused(engine, frames(), gripper=path).reason == 'masked_out'


def test_no_motion_of_a_camera_explains_noise(engine):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (10, SIDE, SIDE, 3), dtype=np.uint8)
    assert refused(engine, noise).reason == 'camera_motion'


def test_too_large_a_thing(engine):
    found = refused(engine, frames(square=(10, 30, 76), arm=False))
    assert found.reason == 'large_box'
    assert found.numbers['share_of_image'] > 0.25


def changed(part, **values):
    return replace(CONFIG, **{part: replace(getattr(CONFIG, part), **values)})


@pytest.mark.parametrize(
    ('config', 'reason'),
    [
        (changed('detection', min_movers=400), 'no_object'),
        (changed('detection', min_points=5000), 'tracks_lost'),
        (replace(CONFIG, lifting=LiftingConfig(min_points=5000)), 'tracks_lost'),
        (replace(CONFIG, lifting=LiftingConfig(max_speed=1e-3)), 'jump'),
    ],
)
def test_limits_that_are_not_met(context, config, reason):
    assert refused(ClipEngine(config, context), frames(arm=False)).reason == reason


def test_a_sensor_that_sees_no_depth(engine):
    clip = clip_of(frames())
    blind = np.full(clip.video.depth.shape, np.nan, np.float32)
    clip = replace(clip, measured=True, video=replace(clip.video, depth=blind))
    with pytest.raises(ClipRejectedError) as caught:
        engine.sample(clip, ClipNotes('blind'), Findings())
    assert caught.value.rejection.reason == 'no_depth'


def test_reasons_are_a_fixed_list_and_faults_of_the_set_up_are_none():
    with pytest.raises(InvalidInputError, match='known: unreadable'):
        Rejection('boring')
    assert rejection_of(BackendError('no model')) is None
    assert rejection_of(ConfigurationError('wrong')) is None
    assert rejection_of(InvalidInputError('damaged')).reason == 'unreadable'
    assert 'still' in REASONS


@pytest.mark.parametrize(
    ('make', 'why'),
    [
        (lambda: DetectionConfig(early_frame=0), 'early_frame 0'),
        (lambda: DetectionConfig(max_box=1.5), 'max_box is 1.5'),
        (lambda: GripperConfig(source='guess'), "gripper 'guess'"),
        (lambda: EngineConfig(fov_degrees=200), 'field of view 200'),
    ],
)
def test_parameters_without_meaning_are_refused(make, why):
    with pytest.raises(ConfigurationError, match=why):
        make()


# ---------------------------------------------------------------- a run


@pytest.fixture(scope='module')
def footage(tmp_path_factory):
    """Two folders of pictures, one of them still, and a file that is no video."""
    folder = tmp_path_factory.mktemp('footage')
    for name, images in (('moves', frames()), ('rests', np.stack([picture()] * 9))):
        (folder / name).mkdir()
        for k, image in enumerate(images):
            cv2.imwrite(str(folder / name / f'{k:03d}.png'), image[..., ::-1])
    (folder / 'broken.mp4').write_text('no video')
    return folder


def test_a_run_ends_every_clip_as_sample_or_rejection_with_a_sheet(footage, tmp_path):
    sources = find_sources([footage], InputOptions(rate=10.0, instruction='push the square'))
    told = []
    report = run_engine(sources, tmp_path / 'out', PLAN, on_progress=told.append)
    assert report.outcomes == {'sample': 1, 'unreadable': 1, 'still': 1}
    assert [p.done for p in told] == [1, 2, 3]
    assert told[-1].total == 3
    assert told[-1].rate > 0
    assert check_dataset(tmp_path / 'out' / 'dataset') == []
    (sample,) = read_samples(tmp_path / 'out' / 'dataset')
    assert sample.instruction == 'push the square'
    assert sample.licence == 'CC0-1.0'
    for source in sources:
        assert cv2.imread(str(tmp_path / 'out' / 'sheets' / f'{source.key}.jpg')) is not None
    lines = (tmp_path / 'out' / 'journal.jsonl').read_text().splitlines()
    still = next(e for e in map(json.loads, lines) if e['outcome'] == 'still')
    assert still['numbers']['needed_px'] == 10.0


def test_a_run_is_taken_up_where_it_was_killed(footage, tmp_path):
    sources = find_sources([footage], InputOptions(rate=10.0))
    out = tmp_path / 'out'
    first = run_engine(sources[:2], out, PLAN)
    assert first.skipped == 0
    with (out / 'journal.jsonl').open('a') as file:
        file.write('{"key": "half a li')
    second = run_engine(sources, out, PLAN)
    assert second.skipped == 2
    assert sum(second.outcomes.values()) == 3
    third = run_engine(sources, out, PLAN)
    assert (third.skipped, third.outcomes) == (3, second.outcomes)


def test_another_recipe_does_not_go_into_the_same_dataset(footage, tmp_path):
    sources = find_sources([footage / 'rests'], InputOptions())
    run_engine(sources, tmp_path / 'out', PLAN)
    other = replace(PLAN, config=replace(CONFIG, distance=2.0))
    with pytest.raises(InvalidInputError, match='another card'):
        run_engine(sources, tmp_path / 'out', other)


@pytest.mark.slow
def test_processes_find_what_one_process_finds(footage, tmp_path):
    sources = find_sources([footage], InputOptions(rate=10.0))
    alone = run_engine(sources, tmp_path / 'alone', PLAN)
    shared = run_engine(sources, tmp_path / 'shared', PLAN, workers=2)
    assert alone.outcomes == shared.outcomes
    (a,), (b,) = (read_samples(tmp_path / name / 'dataset') for name in ('alone', 'shared'))
    np.testing.assert_array_equal(a.flow.points, b.flow.points)


def test_without_ray_the_command_that_installs_it_is_said(footage, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'ray', None)
    sources = find_sources([footage / 'rests'], InputOptions())
    with pytest.raises(BackendError, match='pip install'):
        run_engine(sources, tmp_path / 'out', PLAN, ray_address='auto')
