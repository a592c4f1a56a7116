# SPDX-License-Identifier: Apache-2.0
import sys
import threading
import time
from types import SimpleNamespace

from dream_fakes import make_observation, make_video, ScriptedLifter, ScriptedVideo
import numpy as np
import pytest

from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    DepthCalibrationError,
    FlowManipError,
    ImplausibleVideoError,
    InvalidInputError,
    PeerLostError,
    StageTimeoutError,
    TracksLostError,
    VideoFailedError,
)
from flow_manip_world_model.flow import create_flow_generator
from flow_manip_world_model.flow.lifting import FlowAlone, LiftJob
from flow_manip_world_model.flow.workers import lift
from flow_manip_world_model.progress import finished_candidates

TEXT = 'put the red block on the right'


def parameters(*kinds, **dream):
    """Return the world model node's parameters for videos of these kinds."""
    return {
        'backend': 'dream',
        'dream': {
            'num_candidates': len(kinds),
            'lifter': 'dream_fakes:ScriptedLifter',
            **dream,
        },
        'video': {
            'backend': 'dream_fakes:ScriptedVideo',
            'dream_fakes:ScriptedVideo': {'kinds': list(kinds)},
        },
        'depth': {'backend': 'dream_fakes:NoPart'},
        'tracking': {'backend': 'dream_fakes:NoPart'},
        'lifting': {'distance': 0.2},
    }


@pytest.fixture(scope='module')
def seen():
    return make_observation()


@pytest.fixture
def dream(context, seen):
    """Return a function that dreams of these kinds and gives flows and what was dropped."""
    built = []

    def run(*kinds, seed=10, on_progress=None, cancelled=None, on_dream=None, **config):
        generator = create_flow_generator(parameters(*kinds, **config), context)
        built.append(generator)
        generator.on_dream = on_dream
        dropped = {}
        flows = generator.generate(
            seen[0],
            TEXT,
            [seen[1]],
            seed=seed,
            on_dropped=dropped.__setitem__,
            on_progress=on_progress or (lambda stage, progress: None),
            cancelled=cancelled or (lambda: False),
        )
        return flows, dropped

    yield run
    for generator in built:
        generator.close()


def test_every_video_becomes_a_candidate_that_says_where_it_came_from(dream):
    flows, dropped = dream('good', 'good', 'good')
    assert not dropped
    assert [flow.source for flow in flows] == [
        f'dream of scripted, seed {seed}' for seed in (10, 11, 12)
    ]
    for flow in flows:
        assert flow.object == 'red block'
        assert flow.stamp == 3.0
        assert flow.frame_id == 'world'
        np.testing.assert_allclose(np.ptp(flow.points[:, :, 0], axis=0), 0.2, atol=1e-6)


def test_candidates_that_fail_are_dropped_with_their_number_and_reason(dream):
    flows, dropped = dream('good', 'cut', 'stranger', 'tracks', 'refused', 'good', 'calibration')
    assert [flow.source[-2:] for flow in flows] == ['10', '15']
    assert {number: type(error) for number, error in dropped.items()} == {
        1: ImplausibleVideoError,
        2: ImplausibleVideoError,
        3: TracksLostError,
        4: VideoFailedError,
        6: DepthCalibrationError,
    }
    assert 'cuts at frame 4 of 9' in str(dropped[1])
    assert 'correlation' in str(dropped[2])


def test_all_dropped_is_the_error_of_the_largest_class_with_the_counts(dream):
    with pytest.raises(TracksLostError) as failure:
        dream('cut', 'tracks', 'refused', 'calibration', 'tracks')
    text = str(failure.value)
    assert 'none of 5 videos' in text
    assert '2 VIDEO (1 IMPLAUSIBLE_VIDEO, 1 VIDEO_FAILED)' in text
    assert '3 TRACKING (2 TRACKS_LOST, 1 DEPTH_CALIBRATION)' in text
    assert 'first: 3 of 200 points were left' in text


def test_of_equal_classes_the_earlier_stage_is_named(dream):
    with pytest.raises(VideoFailedError, match=r'1 VIDEO .* 1 TRACKING'):
        dream('tracks', 'refused')


def test_the_same_seed_gives_the_same_candidates(dream):
    one, two, other = dream('good')[0], dream('good')[0], dream('good', seed=99)[0]
    np.testing.assert_array_equal(one[0].points, two[0].points)
    assert np.abs(one[0].points - other[0].points).max() > 0.001


def test_what_is_wrong_for_all_candidates_is_not_dropped_one_by_one(dream):
    with pytest.raises(BackendError, match='no such model'):
        dream('good', 'broken')


def test_a_bug_in_a_lifter_is_no_dropped_candidate(dream):
    with pytest.raises(RuntimeError, match='ZeroDivisionError: a bug'):
        dream('good', 'bug')


def test_progress_names_candidates_and_never_goes_back(dream):
    heard = []
    dream('good', 'tracks', 'good', on_progress=lambda *report: heard.append(report))
    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    finished = [finished_candidates(stage) for stage, _ in heard]
    assert finished == sorted(finished)
    assert any('video 2, tracking' in stage for stage, _ in heard)
    assert any('dropped: TRACKS_LOST' in stage for stage, _ in heard)


def test_whoever_listens_sees_every_video_and_what_became_of_it(dream):
    heard = {}
    dream(
        'good', 'cut', 'tracks', on_dream=lambda n, video, what: heard.update({n: (video, what)})
    )
    assert {number: video.prompt for number, (video, _) in heard.items()} == {
        0: 'good',
        1: 'cut',
        2: 'tracks',
    }
    assert heard[0][1].flow.num_points == 20
    assert isinstance(heard[1][1], ImplausibleVideoError)
    assert isinstance(heard[2][1], TracksLostError)


def test_only_who_listens_gets_more_than_the_flow_back_from_a_process(dream):
    heard = {}
    dream('good', processes=2, on_dream=lambda n, video, what: heard.update({n: what}))
    assert type(heard[0]).__name__ == 'Lifted'
    job = LiftJob(0, make_video(make_observation()[0]), *make_observation())
    lifter = ScriptedLifter(ScriptedLifter.Config(), None, None, None)
    assert isinstance(lift(lifter, job, lambda event: None).lifted, FlowAlone)


def test_a_cancel_while_a_video_is_lifted_ends_the_goal_at_once(dream):
    cancel, asked = threading.Event(), []

    def tracking(stage, share):
        if 'tracking' in stage and not cancel.is_set():
            asked.append(time.monotonic())
            cancel.set()

    with pytest.raises(CancelledError):
        dream('hang', on_progress=tracking, cancelled=cancel.is_set)
    assert time.monotonic() - asked[0] < 0.5  # 50 ms are promised; tests share their machine


def test_requests_that_make_no_sense_are_refused(context, seen):
    generator = create_flow_generator(parameters('good'), context)
    with pytest.raises(InvalidInputError, match='65 candidates'):
        generator.generate(seen[0], TEXT, [seen[1]], num_candidates=65)
    with pytest.raises(InvalidInputError, match='mask'):
        generator.generate(seen[0], TEXT, [])


@pytest.mark.parametrize(
    ('block', 'values', 'words'),
    [
        ('dream', {'num_candidates': 0}, '1..64'),
        ('dream', {'processes': 0}, '1..64'),
        ('dream', {'candidates': 3}, 'unknown key'),
        ('lifting', {'distanc': 1.0}, "did you mean 'distance'"),
    ],
)
def test_wrong_parameters_are_refused_when_the_generator_is_built(context, block, values, words):
    wrong = parameters('good')
    wrong[block] = wrong[block] | values
    with pytest.raises(ConfigurationError, match=words):
        create_flow_generator(wrong, context)


def test_parts_that_do_not_exist_are_refused_when_the_generator_is_built(context):
    with pytest.raises(BackendError, match='no_such_module'):
        create_flow_generator(parameters('good', lifter='no_such_module:Lifter'), context)
    with pytest.raises(BackendError, match="did you mean 'simulated'"):
        create_flow_generator(parameters('good') | {'video': {'backend': 'simulate'}}, context)


def test_processes_give_the_same_candidates_as_one(dream):
    kinds = ('good', 'tracks', 'good', 'cut', 'good')
    heard = []
    alone, _ = dream(*kinds)
    together, dropped = dream(
        *kinds, processes=2, on_progress=lambda *report: heard.append(report)
    )
    assert [flow.source for flow in together] == [flow.source for flow in alone]
    for one, two in zip(alone, together):
        np.testing.assert_array_equal(one.points, two.points)
    assert {number: type(error) for number, error in dropped.items()} == {
        1: TracksLostError,
        3: ImplausibleVideoError,
    }
    assert any('tracking' in stage for stage, _ in heard)


def test_a_process_that_dies_or_hangs_costs_only_its_candidate(dream):
    flows, dropped = dream('good', 'crash', 'hang', 'good', processes=2, lift_timeout=1.0)
    assert len(flows) == 2
    assert isinstance(dropped[1], PeerLostError)
    assert 'exit code 41' in str(dropped[1])
    assert isinstance(dropped[2], StageTimeoutError)


def test_a_cancel_kills_the_processes_and_the_next_goal_works(context, seen):
    generator = create_flow_generator(parameters('hang', 'hang', processes=2), context)
    cancel, asked = threading.Event(), []

    def tracking(stage, share):
        if 'tracking' in stage and not cancel.is_set():
            asked.append(time.monotonic())
            cancel.set()

    with pytest.raises(CancelledError):
        generator.generate(seen[0], TEXT, [seen[1]], on_progress=tracking, cancelled=cancel.is_set)
    assert time.monotonic() - asked[0] < 0.5
    generator._videos.config = ScriptedVideo.Config(('good',))
    assert len(generator.generate(seen[0], TEXT, [seen[1]], num_candidates=1)) == 1
    generator.close()


def test_a_process_that_dies_while_it_waits_costs_nothing(context, seen):
    generator = create_flow_generator(parameters('good', processes=2), context)
    assert len(generator.generate(seen[0], TEXT, [seen[1]])) == 1
    (idle,) = generator._workers._free
    idle._process.kill()
    idle._process.join()
    dropped = {}
    flows = generator.generate(seen[0], TEXT, [seen[1]], on_dropped=dropped.__setitem__)
    assert len(flows) == 1
    assert not dropped
    generator.close()


class FakeRay(SimpleNamespace):
    """Ray's calls as its documentation has them, in this process."""

    def __init__(self):
        class RayError(Exception):
            pass

        super().__init__(
            exceptions=SimpleNamespace(RayError=RayError), cancelled=[], address=None, tasks={}
        )

    def is_initialized(self):
        return self.address is not None

    def init(self, address, log_to_driver):
        self.address = address

    def put(self, value):
        return value

    def remote(self, function):
        def submit(*args):
            task = object()
            self.tasks[task] = (function, args)
            return task

        return SimpleNamespace(remote=submit)

    def wait(self, tasks, timeout):
        ready = [t for t in tasks if self.tasks[t][1][1].video.prompt != 'hang']
        return ready, [t for t in tasks if t not in ready]

    def get(self, task):
        function, args = self.tasks[task]
        if args[1].video.prompt == 'crash':
            raise self.exceptions.RayError('worker died')
        return function(*args)

    def cancel(self, task, force):
        self.cancelled.append((task, force))


def test_a_ray_cluster_lifts_with_the_same_function(dream, monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, 'ray', ray)
    flows, dropped = dream('good', 'tracks', 'crash', 'good', ray_address='auto')
    assert ray.address == 'auto'
    assert [flow.source[-2:] for flow in flows] == ['10', '13']
    assert {n: type(error) for n, error in dropped.items()} == {
        1: TracksLostError,
        2: PeerLostError,
    }
    cancel = iter([False] * 12 + [True] * 1000)
    with pytest.raises(CancelledError):
        dream('hang', ray_address='auto', cancelled=lambda: next(cancel))
    assert ray.cancelled
    assert ray.cancelled[0][1] is True


def test_without_ray_its_address_is_refused_with_what_to_install(context, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(BackendError, match='pip install ray'):
        create_flow_generator(parameters('good', ray_address='auto'), context)


def test_errors_survive_the_way_between_processes():
    import pickle

    for error in (TracksLostError('5 of 200'), FlowManipError('x')):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)


def test_the_fakes_fulfil_what_the_dream_asks_for(seen):
    assert make_video(seen[0]).size == (seen[0].camera.width, seen[0].camera.height)
    assert ScriptedLifter.Config().distance > 0
