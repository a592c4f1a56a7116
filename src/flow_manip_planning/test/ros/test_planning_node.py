# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass, replace
import threading

from flow_manip_msgs.action import PlanFromFlow
from flow_manip_msgs.msg import Plan as PlanMsg
from flow_manip_msgs.srv import ProposeGrasps
import numpy as np
import pytest
from rclpy.action import ActionClient

from flow_manip_core.errors import (
    CancelledError,
    ConfigurationError,
    DegenerateFlowError,
    InCollisionError,
    InvalidInputError,
    LimitsError,
    NoGraspError,
    NoPathError,
    UnreachableError,
)
from flow_manip_core.plan import Grasp
from flow_manip_core.transforms import make_transform
from flow_manip_planning.cancelling import stop_if
from flow_manip_planning.ros.planning_node import PlanningNode
from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    msg_from_flow,
    msg_from_mask,
    msg_from_observation,
    plan_from_msg,
)

pytestmark = pytest.mark.ros

SUCCEEDED, CANCELED, ABORTED = 4, 5, 6


@pytest.fixture(scope='module')
def request_parts(tabletop, scenes):
    can = scenes.thing(0.5, -0.1, (0.033, 0.1))
    observation, (mask,) = tabletop.look(can)
    flow = scenes.flow(observation, mask, can.pose[:3, 3], (0, 0, 0.12), lift=0.0)
    return observation, mask, flow


def goal_of(observation, mask, flow, **fields):
    message = msg_from_observation(observation)
    return PlanFromFlow.Goal(
        observation=message,
        mask=msg_from_mask(mask, message.header),
        flow=msg_from_flow(flow),
        **fields,
    )


class Goal:
    """A goal on its way."""

    def __init__(self, ros, goal):
        self.ros, self.feedback = ros, []
        self.client = ActionClient(ros.node, PlanFromFlow, 'plan_from_flow')
        ros.wait_until(self.client.server_is_ready)
        sent = self.client.send_goal_async(goal, lambda m: self.feedback.append(m.feedback))
        ros.wait_until(sent.done)
        self.handle = sent.result()

    def finish(self):
        """Return status and result."""
        result = self.handle.get_result_async()
        self.ros.wait_until(result.done, 30.0)
        self.client.destroy()
        return result.result().status, result.result().result


def run(ros, goal):
    return Goal(ros, goal).finish()


def test_a_goal_is_answered_with_a_plan(ros, request_parts, planner):
    ros.start(PlanningNode)
    published = ros.collect(PlanMsg, 'planning/plan', qos.LATCHED)
    goal = Goal(ros, goal_of(*request_parts, seed=3))
    status, result = goal.finish()
    assert (status, result.error_code) == (SUCCEEDED, PlanFromFlow.Result.NONE)
    plan, local = plan_from_msg(result.plan), planner.plan(*request_parts, seed=3)
    assert [s.name for s in plan.segments] == [s.name for s in local.segments]
    for one, other in zip(plan.segments, local.segments):
        if other.trajectory is not None:
            np.testing.assert_allclose(
                one.trajectory.positions, other.trajectory.positions, atol=1e-6
            )
    assert len(result.grasps.grasps) == len(local.considered)
    ros.wait_until(lambda: published)
    assert published[0].object == local.object
    ros.wait_until(lambda: goal.feedback and goal.feedback[-1].progress == 1.0)
    assert {f.stage for f in goal.feedback} == {0, 1, 2, 3}


def test_grasps_are_proposed_on_request(ros, request_parts):
    ros.start(PlanningNode)
    observation, mask, _ = request_parts
    message = msg_from_observation(observation)
    request = ProposeGrasps.Request(
        observation=message, mask=msg_from_mask(mask, message.header), max_grasps=6
    )
    response = ros.call(ProposeGrasps, 'propose_grasps', request)
    assert response.error_code == ProposeGrasps.Response.NONE
    assert len(response.grasps.grasps) == 6
    assert response.grasps.header.frame_id == 'world'
    request.observation = msg_from_observation(
        replace(observation, depth=np.full_like(observation.depth, np.nan))
    )
    response = ros.call(ProposeGrasps, 'propose_grasps', request)
    assert response.error_code == ProposeGrasps.Response.NO_GRASP
    assert '0 points' in response.error_msg


@pytest.mark.parametrize(
    'error',
    [
        NoGraspError,
        UnreachableError,
        InCollisionError,
        NoPathError,
        LimitsError,
        DegenerateFlowError,
        InvalidInputError,
    ],
)
def test_every_failure_has_its_code(ros, request_parts, monkeypatch, error):
    node = ros.start(PlanningNode)

    def fail(*args, **kwargs):
        raise error('because 3 of 4')

    monkeypatch.setattr(node._planner, 'plan', fail)
    status, result = run(ros, goal_of(*request_parts))
    assert (status, result.error_code, result.error_msg) == (ABORTED, error.code, 'because 3 of 4')
    assert getattr(PlanFromFlow.Result, error.name) == error.code


def test_a_bug_is_unknown_and_the_next_goal_is_served(ros, request_parts, monkeypatch):
    node = ros.start(PlanningNode)
    monkeypatch.setattr(node._planner, 'plan', lambda *a, **k: 1 / 0)
    status, result = run(ros, goal_of(*request_parts))
    assert (status, result.error_code) == (ABORTED, PlanFromFlow.Result.UNKNOWN)
    monkeypatch.undo()
    assert run(ros, goal_of(*request_parts))[0] == SUCCEEDED


def test_a_cancelled_goal_ends_and_a_second_one_meanwhile_is_rejected(
    ros, request_parts, monkeypatch
):
    node, begun = ros.start(PlanningNode), threading.Event()

    def wait(*args, cancelled, **kwargs):
        begun.set()
        while True:
            stop_if(cancelled)

    monkeypatch.setattr(node._planner, 'plan', wait)
    goal = Goal(ros, goal_of(*request_parts))
    assert begun.wait(5.0)
    assert not Goal(ros, goal_of(*request_parts)).handle.accepted
    goal.handle.cancel_goal_async()
    status, result = goal.finish()
    assert (status, result.error_code) == (CANCELED, CancelledError.code)


@pytest.mark.parametrize('wrong', ['arm', 'frame', 'mask'])
def test_requests_that_make_no_sense_are_invalid_input(ros, request_parts, wrong):
    ros.start(PlanningNode)
    goal = goal_of(*request_parts)
    if wrong == 'arm':
        goal.arm = 'left_arm'
    elif wrong == 'frame':
        goal.flow.header.frame_id = 'moon'
    else:
        goal.mask.mask.data = goal.mask.mask.data[:100]
    status, result = run(ros, goal)
    assert (status, result.error_code) == (ABORTED, PlanFromFlow.Result.INVALID_INPUT)


def test_a_misspelt_parameter_is_refused_at_start(ros):
    with pytest.raises(ConfigurationError, match="did you mean 'approach_distance'"):
        ros.start(PlanningNode, {'rigid_path.aproach_distance': 0.1})
    with pytest.raises(ConfigurationError, match="unknown parameter 'backnd'"):
        ros.start(PlanningNode, {'backnd': 'rigid_path'})
    with pytest.raises(ConfigurationError, match="did you mean 'samples'"):
        ros.start(PlanningNode, {'motion_planner.roboplan.sampels': 100})
    with pytest.raises(ConfigurationError, match=r"unknown parameter 'motion_planner\.backnd'"):
        ros.start(PlanningNode, {'motion_planner.backnd': 'roboplan'})


def test_free_motion_is_planned_by_the_chosen_motion_planner(ros, request_parts):
    ros.start(PlanningNode, {'motion_planner.backend': f'{__name__}:NoWay'})
    status, result = run(ros, goal_of(*request_parts))
    assert (status, result.error_code) == (ABORTED, PlanFromFlow.Result.NO_PATH)
    assert 'the doors are shut' in result.error_msg


class NoWay:
    """Finds no way."""

    @dataclass(frozen=True)
    class Config:
        pass

    def __init__(self, config, context):
        pass

    def plan(self, start, goal, world, **kwargs):
        raise NoPathError('the doors are shut')


def test_another_proposer_can_be_chosen_by_its_path(ros, request_parts):
    ros.start(PlanningNode, {'grasp.backend': f'{__name__}:Stubborn'})
    status, result = run(ros, goal_of(*request_parts))
    assert (status, result.error_code) == (ABORTED, PlanFromFlow.Result.UNREACHABLE)


class Stubborn:
    """Proposes one grasp that nobody reaches."""

    @dataclass(frozen=True)
    class Config:
        pass

    def __init__(self, config, context):
        pass

    def propose(self, observation, mask, **kwargs):
        return [Grasp(make_transform([0.7, 0.3, 0.6]), 0.03, 1.0)]
