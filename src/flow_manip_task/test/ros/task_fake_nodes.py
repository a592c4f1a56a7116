# SPDX-License-Identifier: Apache-2.0
"""Nodes in the places of the real stages, doing what a `FakeWorld` does."""

from __future__ import annotations

import sys
import threading

from flow_manip_msgs.action import ExecutePlan, GenerateFlow, PlanFromFlow
from flow_manip_msgs.srv import RankFlows, Segment
from geometry_msgs.msg import TransformStamped
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from sensor_msgs.msg import CameraInfo, Image, JointState
from task_fakes import FakeWorld
import task_scene as scene

from flow_manip_ros import qos
from flow_manip_ros.conversions import (
    image_from_array,
    info_from_camera,
    mask_from_msg,
    msg_from_flow,
    msg_from_grasps,
    msg_from_mask,
    msg_from_observation,
    msg_from_plan,
    msg_from_transform,
    observation_from_msg,
    plan_from_msg,
)
from flow_manip_ros.executor import ThreadedExecutor
from flow_manip_ros.goals import run_service, SingleGoalServer
from flow_manip_ros.nodes import PlainNode
import tf2_ros

FRAME = 'scene_color_optical_frame'


class FakeStage(PlainNode):
    """One of the stages' nodes."""

    def __init__(self, name: str, world: FakeWorld, **kwargs):
        super().__init__(name, **kwargs)
        self.world = world
        self.servers = []
        group = ReentrantCallbackGroup()
        if name == 'segmentation_node':
            self.create_service(Segment, 'segment', self._segment, callback_group=group)
        if name == 'world_model_node':
            self.create_service(RankFlows, 'rank_flows', self._rank, callback_group=group)
            self._serve(GenerateFlow, 'generate_flow', self._generate)
        if name == 'planning_node':
            self._serve(PlanFromFlow, 'plan_from_flow', self._plan)
        if name == 'control_node':
            self._serve(ExecutePlan, 'execute_plan', self._execute)
            # Segments end at once here: what nobody was there to hear yet is said again.
            self._report = None
            self.create_timer(0.1, self._report_again, callback_group=group)

    def _serve(self, kind, name, work):
        self.servers.append(SingleGoalServer(self, kind, name, work))

    def _segment(self, request, response):
        def work():
            observation = observation_from_msg(request.observation)
            mask = self.world.segment(observation, request.phrase, cancelled=lambda: False)
            response.mask = msg_from_mask(mask, request.observation.color.header)

        return run_service(response, work, self.get_logger())

    def _rank(self, request, response):
        def work():
            ranking = self.world.select(
                None, request.instruction, None, request.candidates, cancelled=lambda: False
            )
            response.scores = [float(s) for s in ranking.scores]
            response.vetoes, response.order = list(ranking.vetoes), list(ranking.order)

        return run_service(response, work, self.get_logger())

    def _generate(self, handle, result, cancelled):
        def on_progress(text, done):
            handle.publish_feedback(GenerateFlow.Feedback(stage=text, progress=done))

        dropped: list[str] = []
        flows = self.world.imagine(
            observation_from_msg(handle.request.observation),
            handle.request.instruction,
            [mask_from_msg(m) for m in handle.request.masks],
            goal_image=None,
            seed=handle.request.seed,
            on_progress=on_progress,
            on_dropped=dropped.append,
            cancelled=cancelled,
        )
        result.dropped = dropped
        result.candidates = [msg_from_flow(flow) for flow in flows]

    def _plan(self, handle, result, cancelled):
        plan = self.world.plan(
            None,
            None,
            None,
            seed=handle.request.seed,
            on_stage=lambda text, done: handle.publish_feedback(
                PlanFromFlow.Feedback(stage=PlanFromFlow.Feedback.SOLVING_IK, progress=done)
            ),
            cancelled=cancelled,
        )
        result.plan = msg_from_plan(plan)
        result.grasps = msg_from_grasps(plan.considered, plan.rejections, result.plan.header)

    def _report_again(self):
        if (report := self._report) is not None:
            report()

    def _execute(self, handle, result, cancelled):
        def on_segment(index, name, progress):
            feedback = ExecutePlan.Feedback(segment=index, name=name, progress=progress)
            self._report = lambda: handle.publish_feedback(feedback)
            self._report()

        try:
            outcome = self.world.execute(
                plan_from_msg(handle.request.plan),
                on_segment=on_segment,
                on_frame=lambda image, time: None,
                cancelled=cancelled,
            )
        finally:
            self._report = None
        result.segments_done = outcome.segments_done
        result.final_gripper_width = outcome.final_gripper_width


class FakeCell(PlainNode):
    """Camera, tf and joint states of the scene."""

    def __init__(self, world: FakeWorld, **kwargs):
        super().__init__('simulation_node', **kwargs)
        self.world, self.silent = world, set()
        names = ('color/image_raw', 'depth/image_rect', 'color/camera_info')
        kinds = (Image, Image, CameraInfo)
        self._images = [
            self.create_publisher(kind, f'cameras/scene/{name}', qos.SENSOR)
            for kind, name in zip(kinds, names)
        ]
        self._joints = self.create_publisher(JointState, 'joint_states', qos.SENSOR)
        self._tf = tf2_ros.StaticTransformBroadcaster(self)
        pose = TransformStamped(child_frame_id=FRAME)
        pose.header.frame_id = 'world'
        pose.header.stamp = self.get_clock().now().to_msg()
        pose.transform = msg_from_transform(scene.T_WORLD_CAMERA)
        self._tf.sendTransform(pose)
        self._boxes, self._seen = None, None
        for period, callback in ((0.05, self._look), (0.02, self._feel)):
            self.create_timer(period, callback, callback_group=MutuallyExclusiveCallbackGroup())

    def _look(self):
        if 'camera' in self.silent:
            return
        if self._boxes is not self.world.boxes:
            self._boxes, self._seen = self.world.boxes, scene.observe(self.world.boxes)
        message = msg_from_observation(self._seen)
        header = message.color.header
        header.stamp, header.frame_id = self.get_clock().now().to_msg(), FRAME
        color = image_from_array(self._seen.color, 'rgb8', header)
        depth = image_from_array(self._seen.depth, '32FC1', header)
        info = info_from_camera(self._seen.camera, header)
        for publisher, part in zip(self._images, (color, depth, info)):
            publisher.publish(part)

    def _feel(self):
        if 'joints' in self.silent:
            return
        message = JointState(name=list(scene.JOINTS), position=[0.0] * 7)
        message.header.stamp = self.get_clock().now().to_msg()
        self._joints.publish(message)


STAGES = ('segmentation_node', 'world_model_node', 'planning_node', 'control_node')


def start_world(ros, world: FakeWorld, stages=STAGES):
    """Start the fake nodes; return them by name."""
    nodes = {
        name: ros.start(lambda name=name, **k: FakeStage(name, world, **k)) for name in stages
    }
    nodes['simulation_node'] = ros.start(lambda **k: FakeCell(world, **k))
    return nodes


def main(name, hangs_in):
    """Be one stage in a process of its own, and hang in one of its calls."""
    world = FakeWorld(on_call=lambda call: threading.Event().wait() if call == hangs_in else None)
    rclpy.init()
    executor = ThreadedExecutor(4)
    executor.add_node(FakeStage(name, world))
    executor.spin()


if __name__ == '__main__':
    main(*sys.argv[1:])
