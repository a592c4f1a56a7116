# SPDX-License-Identifier: Apache-2.0
"""Bases of the workspace's nodes and the one way to run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import faulthandler
import logging
import os
import signal
import sys
import traceback
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from flow_manip_core.errors import FlowManipError
from flow_manip_ros.executor import ThreadedExecutor
from flow_manip_ros.logging import bridge_logging
from flow_manip_ros.parameters import Parameters
from flow_manip_ros.watchdog import Heartbeat

# Goals and stage calls block one thread each; cancels, feedback and heartbeats need others.
NUM_THREADS = 6
LONGEST_END = 4.0  # [s] a node that takes longer to end shows where it hangs and is gone


class PlainNode(Node):
    """A node that works from its constructor on: planning, control, task.

    Attributes:
        parameters: declare everything through it, then call ``parameters.check()``.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Create the node and its heartbeat; `kwargs` go to `rclpy.node.Node`."""
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self.parameters = Parameters(self)
        self.heartbeat = Heartbeat(self)


class ManagedNode(LifecycleNode):
    """A lifecycle node: one that holds a device or a model.

    Subclasses fill `set_up` (configure), `start` (activate), `stop` (deactivate), `tear_down`
    (clean up). rclpy swallows what
    a transition callback raises; here it is logged, kept in `failure`, and the transition fails.

    Attributes:
        parameters: declare everything through it in the constructor or in `set_up`.
        failure: what the last failed transition raised.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Create the node, its heartbeat and the parameter `autostart`."""
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self.parameters = Parameters(self)
        self.autostart = self.parameters.value(
            'autostart', True, 'Configure and activate without being asked'
        )
        self.heartbeat = Heartbeat(self)
        self.failure: Exception | None = None

    def set_up(self) -> None:
        """Build what the node holds."""

    def start(self) -> None:
        """Begin to work."""

    def stop(self) -> None:
        """Stop working; `start` may follow."""

    def tear_down(self) -> None:
        """Give everything back."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `set_up`."""
        return super().on_configure(state) if self._done(self.set_up) else _FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `start`."""
        return super().on_activate(state) if self._done(self.start) else _FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `stop`."""
        return super().on_deactivate(state) if self._done(self.stop) else _FAILURE

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `tear_down`."""
        return super().on_cleanup(state) if self._done(self.tear_down) else _FAILURE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `tear_down` on the way out."""
        return super().on_shutdown(state) if self._done(self.tear_down) else _FAILURE

    def _done(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except FlowManipError as error:
            self.failure = error
            self.get_logger().error(f'{step.__name__} failed: {error.name} {error}')
            return False
        except Exception as error:  # rclpy would drop it without a word
            self.failure = error
            self.get_logger().error(f'{step.__name__} failed\n{traceback.format_exc()}')
            return False
        return True


_FAILURE = TransitionCallbackReturn.FAILURE


def run_node(create: Callable[[], Node], args: Sequence[str] | None = None) -> None:
    """Run one node until it is told to stop; the body of every executable.

    Exits with 0 after SIGINT or SIGTERM, with 1 when the node cannot start or breaks.
    """
    rclpy.init(args=args)
    node = None
    code = 0
    try:
        node = create()
        bridge_logging(node)
        executor = ThreadedExecutor(NUM_THREADS)
        executor.add_node(node)
        if not isinstance(node, ManagedNode) or not node.autostart or _activate(node):
            # rclpy can miss the wake-up of a signal that comes just before it waits.
            while rclpy.ok():
                executor.spin_once(timeout_sec=0.5)
        else:
            code = 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except FlowManipError as error:
        print(f'{error.name} ({error.code}): {error}', file=sys.stderr)
        code = 1
    except Exception:
        # Told to stop while it was starting: what it was doing then fails for want of a context.
        if rclpy.ok():
            raise
    finally:
        # Ctrl-C reaches a node twice, from the terminal and from launch; it is ending already.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        faulthandler.dump_traceback_later(LONGEST_END, exit=True)
        if node is not None:
            if isinstance(node, ManagedNode):
                node._done(node.stop)
                node._done(node.tear_down)
            node.destroy_node()
        rclpy.try_shutdown()
    # Callbacks that still wait in the executor's threads must not hold up the end.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _activate(node: ManagedNode) -> bool:
    """Configure and activate `node`; say whether both worked."""
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success
