# SPDX-License-Identifier: Apache-2.0
import threading

from action_msgs.msg import GoalStatus
from flow_manip_msgs.action import ExecutePlan, GenerateFlow, Manipulate, PlanFromFlow
from flow_manip_msgs.srv import ProposeGrasps, RankFlows, Segment
import pytest
import rclpy
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.node import Node

from flow_manip_core.errors import (
    CancelledError,
    error_classes,
    FlowManipError,
    PeerLostError,
    RejectedError,
    StageTimeoutError,
)
from flow_manip_ros.calls import call_action, call_service
from flow_manip_ros.goals import run_service, SingleGoalServer
from flow_manip_ros.nodes import ManagedNode, PlainNode
from flow_manip_ros.watchdog import Heartbeat, PeerWatch

pytestmark = pytest.mark.ros


def until_cancelled(goal_handle, result, cancelled):
    gate = threading.Event()
    while not cancelled():
        gate.wait(0.005)
    raise CancelledError('asked to stop')


def raising(error):
    def work(goal_handle, result, cancelled):
        raise error

    return work


@pytest.fixture
def serve(ros):
    def start(work):
        node = ros.add(PlainNode('server', context=ros.context))
        server = SingleGoalServer(node, ExecutePlan, 'execute_plan', work)
        client = ActionClient(
            ros.node, ExecutePlan, 'execute_plan', callback_group=ReentrantCallbackGroup()
        )
        ros.wait_until(client.server_is_ready)
        return server, client

    return start


def test_work_that_returns_succeeds_with_code_none(serve):
    _, client = serve(lambda goal_handle, result, cancelled: None)
    result = call_action(client, ExecutePlan.Goal(), timeout=5.0)
    assert (result.error_code, result.error_msg) == (ExecutePlan.Result.NONE, '')


@pytest.mark.parametrize('cls', error_classes().values(), ids=lambda cls: cls.name)
def test_each_error_crosses_the_wire_as_its_own_class(serve, cls):
    _, client = serve(raising(cls('because of 3 m')))
    with pytest.raises(cls, match='because of 3 m'):
        call_action(client, ExecutePlan.Goal(), timeout=5.0)


def test_a_bug_never_looks_like_success(serve):
    _, client = serve(raising(ZeroDivisionError('bug')))
    with pytest.raises(FlowManipError, match='bug') as caught:
        call_action(client, ExecutePlan.Goal(), timeout=5.0)
    assert caught.value.code == ExecutePlan.Result.UNKNOWN


def test_a_second_goal_is_rejected_and_the_server_is_free_after_a_cancel(ros, serve):
    server, client = serve(until_cancelled)
    first = client.send_goal_async(ExecutePlan.Goal())
    ros.wait_until(first.done)
    with pytest.raises(RejectedError, match='execute_plan'):
        call_action(client, ExecutePlan.Goal(), timeout=5.0)
    ended = first.result().get_result_async()
    first.result().cancel_goal_async()
    ros.wait_until(ended.done)
    assert ended.result().status == GoalStatus.STATUS_CANCELED
    assert ended.result().result.error_code == ExecutePlan.Result.CANCELLED
    ros.wait_until(lambda: not server.busy)


def test_a_cancelled_call_cancels_the_goal_over_there(ros, serve):
    server, client = serve(until_cancelled)
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(CancelledError):
        call_action(client, ExecutePlan.Goal(), timeout=10.0, cancelled=cancel.is_set)
    ros.wait_until(lambda: not server.busy)


def test_a_call_that_takes_too_long_times_out_and_stops_the_goal(ros, serve):
    server, client = serve(until_cancelled)
    with pytest.raises(StageTimeoutError, match=r'within 0\.2 s'):
        call_action(client, ExecutePlan.Goal(), timeout=0.2)
    ros.wait_until(lambda: not server.busy)


def test_closing_the_server_ends_the_running_goal(ros, serve):
    server, client = serve(until_cancelled)
    first = client.send_goal_async(ExecutePlan.Goal())
    ros.wait_until(first.done)
    ended = first.result().get_result_async()
    server.close()
    ros.wait_until(ended.done)
    assert ended.result().status == GoalStatus.STATUS_ABORTED
    assert ended.result().result.error_code == ExecutePlan.Result.CANCELLED


def test_a_server_that_is_not_there_is_a_lost_peer(ros):
    client = ActionClient(ros.node, ExecutePlan, 'nobody')
    with pytest.raises(PeerLostError, match='not there'):
        call_action(client, ExecutePlan.Goal(), timeout=1.0, server_timeout=0.1)


def test_a_service_answers_with_the_code_of_its_error(ros):
    def on_segment(request, response):
        def work():
            raise error_classes()[501]('no green ball')

        return run_service(response, work, ros.node.get_logger())

    ros.node.create_service(
        Segment, 'segment', on_segment, callback_group=ReentrantCallbackGroup()
    )
    client = ros.node.create_client(Segment, 'segment', callback_group=ReentrantCallbackGroup())
    with pytest.raises(error_classes()[501], match='green ball'):
        call_service(client, Segment.Request())


def test_a_peer_that_goes_silent_is_noticed(ros):
    # A participant of its own, as another process has.
    context = Context()
    rclpy.init(context=context, domain_id=ros.domain_id)
    peer = Node('peer', context=context)
    Heartbeat(peer)
    watch = PeerWatch(ros.node, 'peer')
    assert watch.wait(10.0)
    peer.destroy_node()
    rclpy.shutdown(context=context)
    ros.wait_until(lambda: not watch.alive, timeout=5.0)


@pytest.mark.parametrize(
    'part',
    [
        Manipulate.Result,
        GenerateFlow.Result,
        PlanFromFlow.Result,
        ExecutePlan.Result,
        Segment.Response,
        ProposeGrasps.Response,
        RankFlows.Response,
    ],
)
def test_interfaces_and_error_classes_agree_on_every_code(part):
    names = {cls.name: code for code, cls in error_classes().items()}
    constants = {
        name: getattr(part, name)
        for name in dir(type(part))
        if name.isupper() and not name.startswith(('FAILURE', '_')) and '__' not in name
    }
    assert constants.pop('NONE') == 0
    unknown = constants.pop('UNKNOWN')
    assert part().error_code == unknown, 'a result nobody filled in must not read as success'
    for name, value in constants.items():
        assert names[name] == value


def test_what_a_transition_raises_is_kept_and_fails_the_transition(ros):
    class Broken(ManagedNode):
        def set_up(self):
            raise ValueError('no device')

    node = ros.add(Broken('broken', context=ros.context))
    assert node.trigger_configure().name in ('FAILURE', 'ERROR')
    assert str(node.failure) == 'no device'
