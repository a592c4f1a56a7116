# SPDX-License-Identifier: Apache-2.0
"""The `moveit` backend against a recorded contract of moveit_py; nothing of MoveIt runs here."""

from itertools import pairwise
from pathlib import Path
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow_manip_core.config import load_yaml
from flow_manip_core.errors import (
    BackendError,
    CancelledError,
    ConfigurationError,
    FlowManipError,
    InCollisionError,
    LimitsError,
    NoPathError,
    StageTimeoutError,
    UnreachableError,
)
from flow_manip_core.transforms import make_transform, rotation_about
from flow_manip_planning.collision_world import CollisionWorld
from flow_manip_planning.contacts import voxel_cells
from flow_manip_planning.inverse_kinematics import random_starts, solve_ik_multistart
from flow_manip_planning.motion_planner import create_motion_planner, MOTION_PLANNERS
from flow_manip_planning.motion_planner.escape import first_worse
from flow_manip_planning.motion_planner.roboplan_planner import RoboplanConfig, RoboplanPlanner
from flow_manip_planning.robot_model import RobotModel
from flow_manip_planning.surroundings import fill_columns, Surroundings

VOXEL, WIDTH = 0.008, 0.04
CONFIG = Path(__file__).parents[4] / 'config'
OURS = ('flow_manip_planning.ros.moveit', 'moveit', 'octomap_msgs', 'recorded_messages')


def forget():
    for name in [name for name in sys.modules if name.startswith(OURS)]:
        del sys.modules[name]


@pytest.fixture
def contract(monkeypatch):
    """Let `moveit` and its messages be the recorded contract; give its script to the test."""
    pytest.importorskip('geometry_msgs.msg')
    forget()
    monkeypatch.setenv('FLOW_MANIP_CONFIG', str(CONFIG))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / 'moveit_contract'))
    import moveit.planning

    yield moveit.planning.SCRIPT
    forget()


def planner_of(context, **parameters):
    return create_motion_planner({'backend': 'moveit', 'moveit': parameters}, context)


def block(x, y, size, height):
    side = np.arange(-size / 2, size / 2, 0.003)
    grid = np.stack(np.meshgrid(x + side, y + side, [height]), axis=-1).reshape(-1, 3)
    return fill_columns(grid, 0.0, VOXEL)


def world_with(robot, *obstacles, slope=(0.0, 0.0)):
    cloud = np.concatenate(obstacles) if obstacles else np.empty((0, 3))
    return CollisionWorld(robot, Surroundings(0.0, cloud, np.empty((0, 3)), VOXEL, slope))


def hand_down_at(robot, x, y, z):
    target = robot.T_world_base @ make_transform([x, y, z], np.diag([1.0, -1.0, -1.0]))
    seeds = np.concatenate(
        [robot.home[None], random_starts(robot.chain, 5, np.random.default_rng(0))]
    )
    q, solved = solve_ik_multistart(robot.chain, target[None], seeds, robot.home)
    return q[0][solved[0]][0]


def straight(request, count=30):
    """Answer with a straight line."""
    begin, end = request.start.joint_positions, request.goal.joint_positions
    return 1, [
        {name: begin[name] + share * (end[name] - begin[name]) for name in begin}
        for share in np.linspace(0, 1, count)
    ]


def densely(corners, step=0.01):
    parts = [corners[:1]]
    for a, b in pairwise(corners):
        parts.append(np.linspace(a, b, int(np.abs(b - a).max() / step) + 2)[1:])
    return np.concatenate(parts)


def cells_of_octree(data, resolution):
    """Read OctoMap's binary format as its specification says: two bits per child, depth first."""
    stream, found = iter(bytes(data)), set()

    def read(corner, level):
        bits = next(stream) | next(stream) << 8
        kinds = [(bits >> (2 * child)) & 3 for child in range(8)]
        for child, kind in enumerate(kinds):
            step = 1 << level
            offset = np.array([child & 1, child >> 1 & 1, child >> 2 & 1]) * step
            if kind == 2:
                assert level == 0
                found.add(tuple(corner + offset))
            elif kind == 3:
                read(corner + offset, level - 1)

    read(np.full(3, -(1 << 15)), 15)
    assert next(stream, None) is None
    return np.array(sorted(found))


def frame_of(pose):
    q, p = pose.orientation, pose.position
    R = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    return make_transform([p.x, p.y, p.z], R)


@pytest.fixture(scope='module')
def ends(robot):
    return hand_down_at(robot, 0.5, -0.25, 0.1), hand_down_at(robot, 0.5, 0.25, 0.1)


def test_both_ends_and_the_fingers_reach_moveit(contract, context, robot, ends):
    contract.answer = straight
    start, goal = ends
    path = planner_of(context).plan(start, goal, world_with(robot), width=WIDTH)
    np.testing.assert_array_equal(path, [start, goal])
    (request,) = contract.requests
    for state, q in ((request.start, start), (request.goal, goal)):
        np.testing.assert_allclose(state.get_joint_group_positions('panda_arm'), q)
        assert state.joint_positions['panda_finger_joint1'] == pytest.approx(0.02)


def test_parameters_of_the_request_are_those_of_the_backend(contract, context, robot, ends):
    contract.answer = straight
    planner = planner_of(context, seconds=2.5, planner='BiTRRTkConfigDefault')
    planner.plan(*ends, world_with(robot), width=WIDTH)
    parameters = contract.requests[0].parameters
    assert parameters.planning_time == 2.5
    assert parameters.planner_id == 'BiTRRTkConfigDefault'
    assert parameters.planning_pipeline == 'ompl'


def test_obstacles_are_an_octomap_of_the_same_voxels(contract, context, ends):
    contract.answer = straight
    turned = RobotModel(
        context.robot, make_transform([-0.1, 0.3, 0.05], rotation_about([0, 0, 1], 0.6))
    )
    world = world_with(turned, block(0.5, 0.8, 0.1, 0.2), block(-0.4, -0.2, 0.03, 0.4))
    planner_of(context).plan(turned.home, turned.home + 0.05, world, width=WIDTH)
    octomap = contract.requests[0].octomap
    assert octomap.binary
    assert octomap.resolution == VOXEL
    assert octomap.header.frame_id == 'panda_link0'
    expected = voxel_cells(turned.to_base(world.surroundings.obstacles), VOXEL)
    np.testing.assert_array_equal(cells_of_octree(octomap.data, VOXEL), expected)


def test_the_table_and_the_object_are_boxes_in_the_base(contract, context, robot, ends):
    contract.answer = straight
    world = world_with(robot, slope=(0.05, -0.02))
    world.set_object(block(0.6, 0.0, 0.05, 0.05))
    planner_of(context).plan(*ends, world, width=WIDTH)
    request = contract.requests[0]
    table, thing = request.objects['table'], request.objects['object']
    np.testing.assert_allclose(frame_of(table.pose), world.T_base_table, atol=1e-12)
    assert list(table.primitives[0].dimensions) == [4.0, 4.0, 0.1]
    centers = np.array(
        [frame_of(thing.pose) @ [p.position.x, p.position.y, p.position.z, 1.0]
         for p in thing.primitive_poses]
    )[:, :3]  # fmt: skip
    points = robot.to_base(world.object_points)
    # The very boxes that the arm is kept from elsewhere: every point is in one, none is empty.
    np.testing.assert_allclose(centers, (voxel_cells(points, VOXEL) + 0.5) * VOXEL, atol=1e-9)
    assert all(list(box.dimensions) == [VOXEL] * 3 for box in thing.primitives)
    assert request.matrix.get_entry('table', 'panda_link0')[0]
    assert request.matrix.get_entry('<octomap>', 'panda_link0')[0]


def test_what_is_held_is_attached_to_the_tool_of_the_start_state(contract, context, robot, ends):
    contract.answer = straight
    planner, world = planner_of(context), world_with(robot)
    cube = np.stack(np.meshgrid(*[np.arange(-0.02, 0.02, 0.004)] * 3), -1).reshape(-1, 3)
    world.hold_object(cube)
    planner.plan(*ends, world, width=WIDTH)
    held = contract.requests[0].attached['held object']
    assert held.link_name == held.object.header.frame_id == 'panda_hand_tcp'
    assert {'panda_hand', 'panda_leftfinger', 'panda_rightfinger'} <= set(held.touch_links)
    assert 'panda_link5' not in held.touch_links
    middle = np.mean(
        [[p.position.x, p.position.y, p.position.z] for p in held.object.primitive_poses], axis=0
    )
    np.testing.assert_allclose(middle, cube.mean(axis=0), atol=VOXEL / 2)
    world.hold_object(None)
    planner.plan(*ends, world, width=WIDTH)
    assert contract.requests[1].attached == {}


def test_a_scene_is_made_anew_for_every_request(contract, context, robot, ends):
    contract.answer = straight
    planner = planner_of(context)
    first = world_with(robot, block(0.6, 0.6, 0.05, 0.1))
    first.set_object(block(0.6, -0.6, 0.05, 0.05))
    planner.plan(robot.home, robot.home + 0.1, first, width=WIDTH)
    planner.plan(robot.home, robot.home + 0.1, world_with(robot), width=WIDTH)
    assert set(contract.requests[0].objects) == {'table', 'object'}
    assert contract.requests[0].octomap is not None
    assert set(contract.requests[1].objects) == {'table'}
    assert contract.requests[1].octomap is None


def test_a_planner_that_knows_only_the_messages_finds_a_way_that_holds(
    contract, context, robot, ends
):
    """The scene is read back from the messages and planned in; the way is free in the world."""

    def plan_from_messages(request):
        cells = cells_of_octree(request.octomap.data, VOXEL)
        T = robot.T_world_base
        points = ((cells + 0.5) * VOXEL) @ T[:3, :3].T + T[:3, 3]
        table = T @ frame_of(request.objects['table'].pose)
        top = float((table @ [0, 0, 0.05, 1])[2]) + 0.002
        seen = CollisionWorld(robot, Surroundings(top, points, np.empty((0, 3)), VOXEL))
        arm, names = 'panda_arm', context.robot.joint_names
        corners = RoboplanPlanner(RoboplanConfig(), context).plan(
            request.start.get_joint_group_positions(arm),
            request.goal.get_joint_group_positions(arm),
            seen,
            width=2 * request.start.joint_positions['panda_finger_joint1'],
            seed=3,
        )
        return 1, [dict(zip(names, q)) for q in densely(corners, 0.05)]

    contract.answer = plan_from_messages
    wall = [block(0.5, y, 0.02, 0.45) for y in np.arange(-0.06, 0.07, 0.02)]
    world = world_with(robot, *wall)
    path = planner_of(context).plan(*ends, world, width=WIDTH)
    np.testing.assert_allclose(path[[0, -1]], ends)
    assert 2 < len(path) < 30
    assert world.first_collision(densely(path), WIDTH) is None


def test_a_way_through_an_obstacle_is_refused_however_sure_moveit_is(
    contract, context, robot, ends
):
    contract.answer = straight
    wall = [block(0.5, y, 0.02, 0.45) for y in np.arange(-0.06, 0.07, 0.02)]
    with pytest.raises(
        NoPathError,
        match=r'touches something between points \d+ and \d+ of 30: .*mm inside obstacles.*'
        r'attempt 2 of 2',
    ):
        planner_of(context, attempts=2).plan(*ends, world_with(robot, *wall), width=WIDTH)
    assert len(contract.requests) == 2


def test_a_way_that_ends_elsewhere_is_refused(contract, context, robot, ends):
    contract.answer = lambda request: (1, straight(request)[1][:-3])
    with pytest.raises(NoPathError, match=r'ends 0\.\d+ rad away'):
        planner_of(context, attempts=1).plan(*ends, world_with(robot), width=WIDTH)


def test_a_way_of_one_point_or_of_other_joints_is_refused(contract, context, robot, ends):
    contract.answer = lambda request: (1, straight(request)[1][:1])
    with pytest.raises(NoPathError, match='has 1 points'):
        planner_of(context, attempts=1).plan(*ends, world_with(robot), width=WIDTH)


@pytest.mark.parametrize(
    ('code', 'error', 'asked'),
    [
        (-1, NoPathError, 3),
        (99999, NoPathError, 3),
        (-2, NoPathError, 3),
        (-6, StageTimeoutError, 3),
        (-10, InCollisionError, 1),
        (-12, InCollisionError, 1),
        (-26, LimitsError, 1),
        (-27, UnreachableError, 1),
        (-31, UnreachableError, 1),
        (-14, UnreachableError, 1),
        (-15, ConfigurationError, 1),
        (-7, CancelledError, 1),
        (-4711, NoPathError, 1),
    ],
)
def test_error_codes_become_our_errors(contract, context, robot, ends, code, error, asked):
    contract.answer = lambda request: (code, None)
    with pytest.raises(FlowManipError) as caught:
        planner_of(context).plan(*ends, world_with(robot), width=WIDTH)
    assert type(caught.value) is error
    assert 'ompl/RRTConnectkConfigDefault over 1.' in str(caught.value)
    assert f'attempt {asked} of 3' in str(caught.value)
    assert len(contract.requests) == asked


def test_every_documented_code_has_an_error(contract):
    from moveit_msgs.msg import MoveItErrorCodes

    from flow_manip_planning.ros.moveit_errors import ERRORS

    documented = {name for name in vars(MoveItErrorCodes) if name.isupper() and name != 'FIELDS'}
    assert documented - set(ERRORS) == {'SUCCESS', 'UNDEFINED'}


def test_moveits_own_words_are_in_the_error(contract, context, robot, ends):
    from moveit_msgs.msg import MoveItErrorCodes

    said = MoveItErrorCodes(val=-12, message='panda_hand touches <octomap>', source='ompl')
    contract.answer = lambda request: (said, None)
    with pytest.raises(InCollisionError, match=r'GOAL_IN_COLLISION.*\(ompl: panda_hand touches'):
        planner_of(context).plan(*ends, world_with(robot), width=WIDTH)


def test_a_second_attempt_may_succeed(contract, context, robot, ends):
    answers = iter([(-1, None), (-6, None)])
    contract.answer = lambda request: next(answers, None) or straight(request)
    path = planner_of(context).plan(*ends, world_with(robot), width=WIDTH)
    assert len(path) == 2
    assert len(contract.requests) == 3


def test_a_cancel_between_attempts_is_seen(contract, context, robot, ends):
    contract.answer = lambda request: (-1, None)
    with pytest.raises(CancelledError):
        planner_of(context).plan(
            *ends, world_with(robot), width=WIDTH, cancelled=lambda: len(contract.requests) == 2
        )
    assert len(contract.requests) == 2


def test_a_start_in_contact_is_left_before_moveit_is_asked(contract, context, robot):
    contract.answer = straight
    world = world_with(robot, block(0.5, 0.0, 0.1, 0.1))
    start, goal = hand_down_at(robot, 0.5, 0.0, 0.08), hand_down_at(robot, 0.5, 0.0, 0.3)
    path = planner_of(context).plan(start, goal, world, width=WIDTH)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[-1], goal)
    asked = contract.requests[0].start.get_joint_group_positions('panda_arm')
    np.testing.assert_array_equal(asked, path[1])
    assert not world.collides(asked, WIDTH)
    assert first_worse(world, densely(path), WIDTH) is None


def test_a_goal_in_collision_is_not_even_asked_for(contract, context, robot, ends):
    world = world_with(robot, block(0.5, 0.25, 0.1, 0.1))
    with pytest.raises(NoPathError, match=r'goal .* inside obstacles'):
        planner_of(context).plan(*ends, world, width=WIDTH)
    assert contract.requests == []


def test_moveit_that_does_not_start_says_why(contract, context):
    contract.fail_to_start = 'Unable to configure planning scene monitor'
    with pytest.raises(BackendError, match='does not start: Unable to configure'):
        planner_of(context)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, context):
    forget()
    monkeypatch.setitem(sys.modules, 'moveit', None)
    with pytest.raises(BackendError, match=r'apt install ros-jazzy-moveit-py'):
        MOTION_PLANNERS.load('moveit')
    forget()


def test_wrong_parameters_are_refused(contract, context):
    with pytest.raises(ConfigurationError, match="did you mean 'seconds'"):
        planner_of(context, second=1.0)
    with pytest.raises(ConfigurationError, match='attempts 0'):
        planner_of(context, attempts=0)


def test_moveits_files_agree_with_the_robot(context):
    folder = CONFIG / 'robots' / 'franka' / 'moveit'
    files = {path.stem: load_yaml(path) for path in folder.glob('*.yaml')}
    robot = context.robot
    limits = files['joint_limits']['joint_limits']
    assert tuple(limits) == robot.joint_names
    assert tuple(v['max_velocity'] for v in limits.values()) == robot.max_velocity
    assert tuple(v['max_acceleration'] for v in limits.values()) == robot.max_acceleration
    assert robot.arm_group in files['kinematics']
    planners = files['ompl_planning'][robot.arm_group]['planner_configs']
    assert set(planners) <= set(files['ompl_planning']['planner_configs'])
    request = SimpleNamespace(**files['moveit_cpp']['flow_manip']['plan_request_params'])
    assert request.planner_id in planners
    assert request.planning_pipeline in files['moveit_cpp']['planning_pipelines']['pipeline_names']
    controllers = files['moveit_controllers']['moveit_simple_controller_manager']
    for action, joints in (
        (robot.trajectory_action, robot.joint_names),
        (robot.gripper_action, robot.gripper.joint_names),
    ):
        controller, _, name = action.partition('/')
        assert controller in controllers['controller_names']
        assert controllers[controller]['action_ns'] == name
        assert tuple(controllers[controller]['joints']) == joints
