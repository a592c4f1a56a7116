# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass, replace
import threading
import time

from action_msgs.msg import GoalStatus
from dream_fakes import make_observation
from flow_manip_msgs.action import GenerateFlow
from flow_manip_msgs.srv import GetSimulationState, RankFlows
import numpy as np
import pytest
from rclpy.action import ActionClient
from visualization_msgs.msg import Marker, MarkerArray

from flow_manip_core.errors import CancelledError
from flow_manip_core.flow import ObjectFlow
from flow_manip_core.robot import Context, load_rig, load_robot
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    flow_from_msg,
    make_header,
    msg_from_flow,
    msg_from_mask,
    msg_from_observation,
)
from flow_manip_world_model.flow import FLOW_GENERATORS
from flow_manip_world_model.flow.rule_based import RuleBasedFlow
from flow_manip_world_model.ros.world_model_node import WorldModelNode

pytestmark = pytest.mark.ros

RELEASE = threading.Event()  # lets `SlowFlow` end


class SlowFlow:
    """A generator that works until it is cancelled or released."""

    @dataclass(frozen=True)
    class Config:
        """Nothing to set."""

    def __init__(self, config, context):
        pass

    def generate(self, observation, instruction, masks, *, on_progress, cancelled, **_):
        on_progress('imagining candidate 3 of 4', 0.7)
        while not RELEASE.wait(0.01):
            if cancelled():
                raise CancelledError('cancelled while imagining')
        raise RuntimeError('a bug')


@pytest.fixture
def slow():
    """Register the slow generator as a backend."""
    RELEASE.clear()
    name = 'slow_for_tests'
    FLOW_GENERATORS.paths[name] = 'slow:SlowFlow'
    load = FLOW_GENERATORS.load
    FLOW_GENERATORS.load = lambda chosen: SlowFlow if chosen == name else load(chosen)
    yield name
    RELEASE.set()
    del FLOW_GENERATORS.paths[name], FLOW_GENERATORS.load


def make_goal(scene, **fields):
    observation, masks, instruction = scene
    header = make_header(observation.frame_id, observation.stamp)
    goal = GenerateFlow.Goal(
        observation=msg_from_observation(observation),
        instruction=instruction,
        masks=[msg_from_mask(mask, header) for mask in masks],
    )
    for name, value in fields.items():
        setattr(goal, name, value)
    return goal


def send(ros, goal, feedback=None):
    client = ActionClient(ros.node, GenerateFlow, 'generate_flow')
    ros.wait_until(client.server_is_ready)
    on_feedback = (
        (lambda message: feedback.append(message.feedback)) if feedback is not None else None
    )
    future = client.send_goal_async(goal, feedback_callback=on_feedback)
    ros.wait_until(future.done)
    return future.result()


def finish(ros, handle):
    future = handle.get_result_async()
    ros.wait_until(future.done, timeout=30.0)
    return future.result()


def make_request(scene, flows):
    observation, masks, instruction = scene
    header = make_header(observation.frame_id, observation.stamp)
    return RankFlows.Request(
        observation=msg_from_observation(observation),
        instruction=instruction,
        mask=msg_from_mask(masks[0], header),
        candidates=[msg_from_flow(flow) for flow in flows],
    )


def imagine(scene, count=2):
    context = Context(load_robot('franka'), load_rig('tabletop'))
    generator = RuleBasedFlow(RuleBasedFlow.Config(), context)
    observation, masks, instruction = scene
    return generator.generate(observation, instruction, masks, num_candidates=count, seed=3)


def test_candidates_are_those_of_the_library_and_are_shown(ros, scene):
    ros.start(WorldModelNode)
    shown = ros.collect(MarkerArray, 'world_model/candidates', qos.LATCHED)
    feedback = []
    handle = send(ros, make_goal(scene, num_candidates=2, seed=3), feedback)
    answer = finish(ros, handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.error_code == GenerateFlow.Result.NONE
    expected = imagine(scene)
    assert len(answer.result.candidates) == 2
    for message, flow in zip(answer.result.candidates, expected):
        np.testing.assert_allclose(flow_from_msg(message).points, flow.points, atol=1e-6)
    ros.wait_until(lambda: shown and feedback and feedback[-1].progress == 1.0)
    assert [f.progress for f in feedback] == sorted(f.progress for f in feedback)
    assert max(f.candidate for f in feedback) >= 1
    kinds = [marker.type for marker in shown[-1].markers if marker.action == Marker.ADD]
    assert kinds.count(Marker.LINE_LIST) == 2


def test_a_cancel_is_acknowledged_at_once_and_the_next_goal_is_taken(ros, scene, slow):
    ros.start(WorldModelNode, {'backend': slow})
    feedback = []
    handle = send(ros, make_goal(scene), feedback)
    ros.wait_until(lambda: feedback)
    assert feedback[0].candidate == 2
    begin = time.monotonic()
    cancel = handle.cancel_goal_async()
    ros.wait_until(cancel.done)
    # 50 ms is promised; a busy machine that runs the tests gets more.
    assert time.monotonic() - begin < 0.5
    answer = finish(ros, handle)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == GenerateFlow.Result.CANCELLED
    again = send(ros, make_goal(scene))
    assert again.accepted
    ros.wait_until(again.cancel_goal_async().done)


def test_a_second_goal_is_rejected_while_one_runs(ros, scene, slow):
    ros.start(WorldModelNode, {'backend': slow})
    first = send(ros, make_goal(scene))
    assert first.accepted
    assert not send(ros, make_goal(scene)).accepted
    first.cancel_goal_async()
    assert finish(ros, first).status == GoalStatus.STATUS_CANCELED


def test_a_bug_does_not_look_like_success(ros, scene, slow):
    ros.start(WorldModelNode, {'backend': slow})
    handle = send(ros, make_goal(scene))
    RELEASE.set()
    answer = finish(ros, handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == GenerateFlow.Result.UNKNOWN
    assert 'a bug' in answer.result.error_msg


def test_failures_carry_their_code_and_sentence(ros, scene):
    ros.start(WorldModelNode)
    _, masks, _ = scene
    tiny = np.zeros_like(masks[0].pixels)
    tiny[np.nonzero(masks[0].pixels)[0][:1], np.nonzero(masks[0].pixels)[1][:1]] = True
    header = make_header('world', 0.0)
    speck = msg_from_mask(replace(masks[0], pixels=tiny), header)
    whole = make_goal(scene).masks
    cases = [
        ({'masks': []}, 5, 'masks'),
        ({'masks': whole[:1]}, 5, 'needs 2 masks'),
        ({'masks': [speck, whole[1]]}, GenerateFlow.Result.TOO_FEW_POINTS, 'are needed'),
        ({'instruction': 'turn the cube upright', 'masks': whole[:1]}, 101, 'no long axis'),
        (
            {'instruction': 'put the plate on the cube', 'masks': whole[::-1]},
            GenerateFlow.Result.NO_FREE_PLACE,
            'mm',
        ),
        ({'instruction': ''}, 401, ''),
    ]
    for fields, code, words in cases:
        answer = finish(ros, send(ros, make_goal(scene, **fields)))
        assert answer.status == GoalStatus.STATUS_ABORTED
        assert answer.result.error_code == code, answer.result.error_msg
        assert words in answer.result.error_msg
        assert not answer.result.candidates


def test_ranking_puts_the_good_before_the_still_and_shows_scores(ros, scene):
    ros.start(WorldModelNode)
    shown = ros.collect(MarkerArray, 'world_model/candidates', qos.LATCHED)
    good = imagine(scene)[0]
    still = replace(good, points=np.repeat(good.points[:1], good.num_steps, axis=0))
    response = ros.call(RankFlows, 'rank_flows', make_request(scene, [still, good]))
    assert response.error_code == RankFlows.Response.NONE
    assert list(response.order) == [1]
    assert 'stands still' in response.vetoes[0]
    assert response.vetoes[1] == ''
    assert response.scores[1] > 0.8
    ros.wait_until(lambda: shown)
    texts = [m.text for m in shown[-1].markers if m.type == Marker.TEXT_VIEW_FACING]
    assert texts[0].startswith('vetoed: stands still')
    assert texts[1].startswith('#1: 0.')


def test_ranking_only_bad_ones_fails_with_its_code(ros, scene):
    ros.start(WorldModelNode)
    flow = ObjectFlow(np.zeros((3, 4, 3)), np.ones((3, 4)), np.arange(3.0))
    response = ros.call(RankFlows, 'rank_flows', make_request(scene, [flow]))
    assert response.error_code == RankFlows.Response.NO_ACCEPTABLE_FLOW
    assert 'all 1 candidates are vetoed' in response.error_msg
    response = ros.call(RankFlows, 'rank_flows', make_request(scene, []))
    assert response.error_code == 5


def dream_parameters(*kinds, **dream):
    return {
        'backend': 'dream',
        'dream.num_candidates': len(kinds),
        'dream.lifter': 'dream_fakes:ScriptedLifter',
        'video.backend': 'dream_fakes:ScriptedVideo',
        'video.dream_fakes:ScriptedVideo.kinds': list(kinds),
        'video.wan.steps': 40,
        'depth.backend': 'dream_fakes:NoPart',
        'tracking.backend': 'dream_fakes:NoPart',
        'lifting.distance': 0.2,
        **{f'dream.{name}': value for name, value in dream.items()},
    }


@pytest.fixture
def block():
    observation, mask = make_observation()
    return observation, [mask], 'put the red block on the right'


def test_a_dream_gives_candidates_and_says_what_was_dropped(ros, block):
    ros.start(WorldModelNode, dream_parameters('good', 'cut', 'tracks', 'good'))
    feedback = []
    answer = finish(ros, send(ros, make_goal(block, seed=4), feedback))
    assert answer.result.error_code == GenerateFlow.Result.NONE, answer.result.error_msg
    assert len(answer.result.candidates) == 2
    assert [text.split(':')[0] for text in answer.result.dropped] == [
        '107 IMPLAUSIBLE_VIDEO',
        '109 TRACKS_LOST',
    ]
    assert 'cuts at frame' in answer.result.dropped[0]
    ros.wait_until(lambda: feedback and feedback[-1].progress == 1.0)
    assert any('video 1, tracking' in f.stage for f in feedback)
    counts = [f.candidate for f in feedback]
    assert counts == sorted(counts)
    assert counts[-1] == 3


def test_a_dream_of_which_nothing_is_left_says_all_reasons(ros, block):
    ros.start(WorldModelNode, dream_parameters('cut', 'tracks', 'calibration'))
    answer = finish(ros, send(ros, make_goal(block)))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == GenerateFlow.Result.TRACKS_LOST
    assert 'none of 3 videos' in answer.result.error_msg
    assert len(answer.result.dropped) == 3


def test_a_cancel_inside_a_lifters_process_is_acknowledged_at_once(ros, block):
    ros.start(WorldModelNode, dream_parameters('hang', 'hang', processes=2))
    feedback = []
    handle = send(ros, make_goal(block), feedback)
    ros.wait_until(lambda: any('tracking' in f.stage for f in feedback), timeout=30.0)
    begin = time.monotonic()
    cancel = handle.cancel_goal_async()
    ros.wait_until(cancel.done)
    assert time.monotonic() - begin < 0.5
    answer = finish(ros, handle)
    assert time.monotonic() - begin < 2.0
    assert answer.status == GoalStatus.STATUS_CANCELED


def test_the_simulators_state_is_asked_for_when_it_is_needed(ros):
    node = ros.start(WorldModelNode)

    def answer(request, response):
        response.state, response.error_code = '{"seed": 3}', 0
        return response

    ros.node.create_service(GetSimulationState, 'simulation_node/get_simulation_state', answer)
    assert node._simulation_state() == '{"seed": 3}'


def test_a_misspelt_parameter_of_a_part_is_refused(ros):
    with pytest.raises(AssertionError, match="did you mean 'distance'"):
        ros.start(WorldModelNode, dream_parameters('good') | {'lifting.distanc': 0.1})


def test_the_node_can_be_deactivated_and_activated_again(ros, scene):
    node = ros.start(WorldModelNode)
    node.trigger_deactivate()
    client = ActionClient(ros.node, GenerateFlow, 'generate_flow')
    ros.wait_until(lambda: not client.server_is_ready())
    node.trigger_activate()
    answer = finish(ros, send(ros, make_goal(scene, num_candidates=1)))
    assert answer.result.error_code == GenerateFlow.Result.NONE


def test_a_misspelt_parameter_is_refused(ros):
    with pytest.raises(AssertionError, match='num_candidats'):
        ros.start(WorldModelNode, {'rule_based.num_candidats': 3})
