# SPDX-License-Identifier: Apache-2.0
"""A process with one of everything that the ros2 command line looks at."""

from contextlib import suppress
import sys

import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool


class Peer(Node):
    """Publishes, serves, and prints what it hears."""

    def __init__(self):
        super().__init__('talker', namespace='/ns')
        self.declare_parameter('speed', 1.5)
        self.declare_parameter('names', ['a', 'b'])
        self.declare_parameter('arm.joint.limit', 3)
        self.count = 0
        self.chatter = self.create_publisher(String, '/chatter', 10)
        self.hidden = self.create_publisher(String, '/_hidden', 10)
        self.header = self.create_publisher(Header, '/header', 10)
        self.image = self.create_publisher(Image, '/image', 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.latched = self.create_publisher(String, '/latched', latched)
        self.latched.publish(String(data='kept'))
        self.large = Image(height=480, width=640, encoding='rgb8', data=bytes(480 * 640 * 3))
        self.large.header.frame_id = 'camera'
        self.create_timer(0.05, self.publish)
        self.create_service(SetBool, 'set', self.on_set)
        self.create_subscription(
            String, '/heard', lambda m: print(f'heard {m.data}', flush=True), 10
        )

    def publish(self):
        self.count += 1
        self.chatter.publish(String(data=f'Hello World: {self.count}'))
        self.header.publish(Header(stamp=self.get_clock().now().to_msg(), frame_id='map'))
        self.large.header.stamp = self.get_clock().now().to_msg()
        self.image.publish(self.large)

    def on_set(self, request, response):
        response.success, response.message = request.data, 'done'
        return response


def serve_action(node):
    """Serve a goal that counts its steps; 'wait' in the instruction waits for a cancel."""
    from flow_manip_msgs.action import Manipulate

    waiting = []

    async def execute(handle):
        handle.publish_feedback(Manipulate.Feedback(progress=0.5))
        if 'wait' in handle.request.instruction:
            waiting.append(Future())
            await waiting[-1]
            print('canceled', flush=True)
            handle.canceled()
        else:
            handle.succeed()
        return Manipulate.Result(error_msg=handle.request.instruction)

    def cancel(_):
        waiting.pop().set_result(None)
        return CancelResponse.ACCEPT

    return ActionServer(node, Manipulate, '/manipulate', execute, cancel_callback=cancel)


def main():
    rclpy.init()
    nodes = [Peer(), LifecycleNode('managed'), Node('_shy')]
    if '--action' in sys.argv:
        nodes[0].action = serve_action(nodes[0])
    executor = rclpy.get_global_executor()
    for node in nodes:
        executor.add_node(node)
    print('ready', flush=True)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()


if __name__ == '__main__':
    main()
