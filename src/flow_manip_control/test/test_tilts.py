# SPDX-License-Identifier: Apache-2.0
"""Pouring: the object is tilted and comes upright again, and nobody sees it at the end."""

from dataclasses import replace

from control_motions import carrying_plan
import numpy as np
import pytest

from flow_manip_control.monitoring import MonitorConfig, ObjectMonitor
from flow_manip_control.tilts import TiltWatch
from flow_manip_core.errors import ConfigurationError, SlipError
from flow_manip_core.tracking import TrackedPose
from flow_manip_core.transforms import make_transform, rotation_about

HOLD = 3
SECONDS = np.linspace(0.0, 5.0, 51)
POURED = np.radians(50.0)


def tilted(seconds, largest, about=(0.0, 0.0, 0.0)):
    """Up to the largest tilt within two seconds, held for one, and back; a yaw all the way."""
    share = np.interp(seconds, [0.0, 2.0, 3.0, 5.0], [0.0, 1.0, 1.0, 0.0])
    turn = rotation_about((0, 1, 0), largest * share) @ rotation_about((0, 0, 1), 0.5 * share)
    return make_transform(np.array(about) - turn @ about, turn)


@pytest.fixture
def plan(context):
    plan = carrying_plan(context)[0]
    held_at = plan.grasp.T_world_tcp[:3, 3]
    poses = np.array([tilted(s, POURED, held_at) for s in SECONDS])
    return replace(plan, object_poses=poses, times=SECONDS)


class Course:
    """The hand is where its joints, here one number, say: at that second of the flow."""

    times = flow_times = SECONDS

    def nearest(self, joints, earliest, latest):
        return int(np.abs(SECONDS - joints[0]).argmin())


def follow(plan, largest, config=None, unseen=(9.0, 9.0)):
    """Watch an object that tilts by `largest` at most, where the plan has 50 degrees."""
    now = [0.0]

    class Tracker:
        def pose(self, clock):
            if unseen[0] < now[0] < unseen[1]:
                return None
            turned = tilted(now[0], largest, plan.grasp.T_world_tcp[:3, 3])
            return TrackedPose(now[0], turned @ make_transform((0.5, 0, 0.1)))

    monitor = ObjectMonitor(Tracker(), lambda: now[0], config)
    monitor.begin(plan, {HOLD: Course()})
    monitor.grasped()
    for seconds in np.arange(0.05, 5.0, 0.05):
        now[0] = float(seconds)
        error = monitor.look(HOLD, np.array([seconds]))
        if error is not None:
            raise error
    return monitor


def test_a_tilt_that_the_flow_undoes_is_found_with_when_it_is_held(plan):
    watch = TiltWatch.of(plan)
    assert watch.wanted == pytest.approx(POURED)
    assert watch.begin == pytest.approx(1.8, abs=0.11)
    assert watch.end == pytest.approx(3.2, abs=0.11)


def test_a_tilt_that_stays_and_one_that_is_slight_are_not_watched(plan):
    lasting = replace(plan, object_poses=plan.object_poses[:31], times=plan.times[:31])
    slight = replace(plan, object_poses=np.array([tilted(s, 0.3) for s in SECONDS]))
    assert TiltWatch.of(lasting) is None
    assert TiltWatch.of(slight) is None


@pytest.mark.parametrize('degrees', [50.0, 42.0, 60.0])
def test_an_object_that_was_tilted_nearly_as_far_as_its_flow_says_stops_nothing(plan, degrees):
    assert follow(plan, np.radians(degrees)).looks > 50


def test_a_tilt_that_fell_short_is_no_success_and_says_by_how_much(plan):
    text = r'red cube was tilted by 33 degrees where its flow tilts it by 50; the limit is 38'
    with pytest.raises(SlipError, match=text):
        follow(plan, np.radians(33.0))


def test_without_a_look_at_the_held_tilt_nothing_is_claimed(plan):
    follow(plan, np.radians(33.0), unseen=(1.6, 3.4))


def test_the_share_of_the_tilt_is_a_parameter(plan):
    follow(plan, np.radians(33.0), MonitorConfig(min_tilt_share=0.6))
    with pytest.raises(ConfigurationError, match=r'min_tilt_share is 1\.2'):
        MonitorConfig(min_tilt_share=1.2)
