# SPDX-License-Identifier: Apache-2.0
from dataclasses import fields

import numpy as np
import pytest
from task_scene import mask_of, observe, put_flow, put_motion

from flow_manip_core.errors import InvalidInputError, ObjectAbsentError, TooFewPointsError
from flow_manip_core.flow import flow_from_transforms
from flow_manip_core.observation import Mask
from flow_manip_core.transforms import make_transform
from flow_manip_mujoco.tasks import ReferenceMotion, TaskStep
from flow_manip_task.evaluation.flow_sources import disturb, lost_spells, SourceSpec, unit_errors
from flow_manip_task.evaluation.truth import (
    body_named,
    reference_flow,
    surface_points,
    TruthSource,
)
from flow_manip_task.stages import Stages

TIMES = np.linspace(0.0, 4.0, 41)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ('text', 'spec'),
    [
        ('oracle', SourceSpec('oracle')),
        ('generated', SourceSpec('generated')),
        ('noisy:0.01', SourceSpec('noisy', 0.01)),
        (' noisy:0.010:0.3 ', SourceSpec('noisy', 0.01, 0.3)),
        ('dream', SourceSpec('dream', good=1.0, candidates=8)),
        ('dream:0.46', SourceSpec('dream', good=0.46, candidates=8)),
        ('dream:0.46:1', SourceSpec('dream', good=0.46, candidates=1)),
        ('dream:0.15:8:goal', SourceSpec('dream', good=0.15, candidates=8, goal_image=True)),
    ],
)
def test_a_source_is_read_from_text_and_written_in_one_way(text, spec):
    assert SourceSpec.parse(text) == spec
    assert SourceSpec.parse(spec.text) == spec
    assert ' ' not in spec.text
    assert '0.010' not in spec.text


@pytest.mark.parametrize(
    'text', ['', 'truth', 'noisy', 'noisy:a', 'noisy:nan', 'noisy:-0.1', 'noisy:0.01:0.9',
             'noisy:1', 'oracle:0.1', 'noisy:0.01:0.1:1', 'dream:2', 'dream:0.5:0',
             'dream:nan', 'dream:0.5:1.5', 'dream:0.5:8:picture', 'dream:0.5:8:goal:1'],
)  # fmt: skip
def test_a_source_that_cannot_be_is_refused_with_what_there_is(text):
    with pytest.raises(InvalidInputError, match=r'no flow|not within|flow '):
        SourceSpec.parse(text)


def test_errors_have_the_asked_deviation_at_every_step_and_axis():
    errors = 0.01 * unit_errors(TIMES, 4000, rng())
    assert errors.mean(axis=(1)) == pytest.approx(np.zeros((41, 3)), abs=0.001)
    assert errors.std(axis=1) == pytest.approx(np.full((41, 3), 0.01), rel=0.06)


def test_errors_are_half_drift_that_lasts_a_second():
    errors = unit_errors(TIMES, 4000, rng())
    for lag in (1, 10, 30):
        measured = (errors[:-lag] * errors[lag:]).mean()
        assert measured == pytest.approx(0.5 * np.exp(-lag * 0.1), abs=0.02)


def test_lost_points_have_the_asked_share_come_in_spells_and_never_first():
    lost = lost_spells(200, 500, 0.3, rng())
    assert not lost[0].any()
    assert lost[1:].mean() == pytest.approx(0.3, abs=0.01)
    begins = (~lost[1:-1] & lost[2:]).sum()
    assert lost[2:].sum() / begins == pytest.approx(5.0, rel=0.1)
    assert not lost_spells(200, 500, 0.0, rng()).any()


def test_the_same_seed_gives_the_same_noise_and_another_seed_another():
    flow, spec = put_flow(), SourceSpec('noisy', 0.01, 0.2)
    first, again, other = (disturb(flow, spec, rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.confidence, again.confidence)
    assert not np.array_equal(first.points, other.points)
    assert flow.confidence.min() == 1.0
    assert 0.1 < (first.confidence == 0.0)[1:].mean() < 0.3


def test_the_reference_carries_the_seen_points_rigidly_and_certainly():
    motion = put_motion()
    T_world_body = make_transform((0.45, 0.12, 0.0))
    reference = ReferenceMotion(np.linspace(0, 4, len(motion)), motion @ T_world_body)
    points = surface_points(observe(), mask_of('red cube'), rng(), 60)
    flow = reference_flow(points, reference)
    expected = flow_from_transforms(points, motion, reference.times)
    assert flow.points == pytest.approx(expected.points, abs=1e-6)
    assert flow.points[0] == pytest.approx(points, abs=1e-6)
    assert flow.confidence.min() == 1.0


def test_points_are_drawn_from_the_visible_surface_without_repeats():
    observation, mask = observe(), mask_of('red cube')
    seen = {tuple(p) for p in mask.points(observation)}
    points = surface_points(observation, mask, rng(1), 60)
    assert len({tuple(p) for p in points} & seen) == len(points) == 60
    assert len(surface_points(observation, mask, rng(1), 10**6)) == len(seen)


def test_too_little_of_the_surface_is_an_error_with_the_numbers():
    pixels = np.zeros(observe().depth.shape, dtype=bool)
    pixels[0, :3] = True
    with pytest.raises(TooFewPointsError, match=r"[0-3] points of 'dot'"):
        surface_points(observe(), Mask(pixels, 'dot'), rng())


class FakeCell:
    """Knows the masks of two things that are in sight."""

    body_names = ('red_cube', 'white_plate', 'hidden_bowl')

    def true_mask(self, name):
        if name == 'hidden_bowl':
            raise InvalidInputError("mask of 'hidden bowl' is empty")
        return mask_of(name.replace('_', ' '))


@pytest.mark.parametrize(
    ('phrase', 'body'),
    [('the red cube', 'red_cube'), ('plate', 'white_plate'), ('lid', 'box_lid'), ('box', 'box'),
     ('cube', None), ('square hole', None), ('the', None)],
)  # fmt: skip
def test_words_name_a_body_where_they_fit_one_only(phrase, body):
    assert body_named(('red_cube', 'blue_cube', 'white_plate', 'box', 'box_lid'), phrase) == body


def test_of_a_dream_the_source_tells_the_masks_alone():
    stages = Stages(*[None] * len(fields(Stages)))
    own = TruthSource(FakeCell(), SourceSpec.parse('dream:0.5')).in_place_of(stages)
    assert own.segment is not None
    assert own.imagine is None
    assert own.select is None


def test_the_source_answers_for_the_step_from_the_state_and_another_attempt_has_other_noise():
    asked = []

    def motion(cell):
        asked.append(cell)
        return ReferenceMotion(np.linspace(0, 4, 25), put_motion())

    cell = FakeCell()
    bodies = []
    source = TruthSource(cell, SourceSpec.parse('noisy:0.01'), bodies.append)
    with pytest.raises(InvalidInputError, match='no step'):
        source.segment(observe(), 'red cube', cancelled=lambda: False)
    source.take(TaskStep('put it there', 'red cube', 'red_cube', motion))
    mask = source.segment(observe(), 'red cube', cancelled=lambda: False)
    plate = source.segment(observe(), 'white plate', cancelled=lambda: False)
    rest = source.segment(observe(), 'square hole', cancelled=lambda: False)
    assert np.array_equal(mask.pixels, mask_of('red cube').pixels)
    assert np.array_equal(plate.pixels, mask_of('white plate').pixels)
    assert np.array_equal(rest.pixels, ~mask.pixels)
    with pytest.raises(ObjectAbsentError, match='out of sight'):
        source.segment(observe(), 'bowl', cancelled=lambda: False)

    def imagine(seed):
        return source.imagine(
            observe(), 'put it there', [mask], goal_image=None, seed=seed,
            on_progress=lambda text, done: None, on_dropped=None, cancelled=lambda: False,
        )[0]  # fmt: skip

    first, again, second = imagine(5), imagine(5), imagine(6)
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.points, second.points)
    assert asked == [cell] * 3
    assert bodies[-1][:2] == ('red_cube', 'white_plate')
    assert (first.object, first.source, first.stamp) == ('red cube', 'noisy:0.01', 12.5)
    source.take(source.step, 1)
    assert not np.array_equal(imagine(5).points, first.points)
