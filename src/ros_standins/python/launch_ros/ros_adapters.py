# SPDX-License-Identifier: Apache-2.0
"""The launch's own ROS node."""

from __future__ import annotations

import os
import threading
from typing import Any, Optional, TYPE_CHECKING

from launch.event_handlers import OnShutdown

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext
    import rclpy.context
    import rclpy.executors
    import rclpy.node


class ROSAdapter:
    """A ROS node with a context of its own that spins in a thread."""

    def __init__(self, *, argv: Optional[list[str]] = None, autostart: bool = True) -> None:
        """Prepares the node.

        Args:
            argv: Arguments for ROS.
            autostart: Starts the node right away.
        """
        self.__argv = argv
        self.__ros_context: Optional[rclpy.context.Context] = None
        self.__ros_node: Optional[rclpy.node.Node] = None
        self.__ros_executor: Optional[rclpy.executors.Executor] = None
        self.__thread: Optional[threading.Thread] = None
        self.__stop = threading.Event()
        if autostart:
            self.start()

    def start(self) -> None:
        """Starts the node.

        Raises:
            RuntimeError: It is started already.
        """
        if self.__thread is not None:
            raise RuntimeError('Cannot start a ROS adapter that is already running')
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor

        self.__ros_context = Context()
        rclpy.init(args=self.__argv, context=self.__ros_context)
        self.__ros_node = rclpy.create_node(
            f'launch_ros_{os.getpid()}', context=self.__ros_context
        )
        self.__ros_executor = SingleThreadedExecutor(context=self.__ros_context)
        self.__ros_executor.add_node(self.__ros_node)
        self.__stop.clear()
        self.__thread = threading.Thread(target=self._run, daemon=True)
        self.__thread.start()

    def _run(self) -> None:
        from rclpy.executors import ExternalShutdownException, ShutdownException

        assert self.__ros_executor is not None
        try:
            while not self.__stop.is_set():
                self.__ros_executor.spin_once(timeout_sec=1.0)
        except (ExternalShutdownException, ShutdownException):
            pass

    def shutdown(self) -> None:
        """Ends the node.

        Raises:
            RuntimeError: It is not started.
        """
        if self.__thread is None or self.__ros_executor is None or self.__ros_node is None:
            raise RuntimeError('Cannot shutdown a ROS adapter that is not running')
        import rclpy

        self.__stop.set()
        # The end of the context is what makes a spinning executor return at once.
        rclpy.shutdown(context=self.__ros_context)
        self.__thread.join()
        self.__thread = None
        self.__ros_executor.shutdown()
        self.__ros_node.destroy_node()
        self.__ros_node = None

    @property
    def argv(self) -> Optional[list[str]]:
        """Arguments for ROS."""
        return self.__argv

    @property
    def ros_context(self) -> Any:
        """The node's ROS context."""
        return self.__ros_context

    @property
    def ros_node(self) -> Any:
        """The node, None while it is not started."""
        return self.__ros_node

    @property
    def ros_executor(self) -> Any:
        """What spins the node."""
        return self.__ros_executor


def get_ros_adapter(context: LaunchContext) -> ROSAdapter:
    """Returns the ROS adapter of a launch, which ends with the launch."""
    adapter: Optional[ROSAdapter] = getattr(context.locals, 'ros_adapter', None)
    if adapter is None:
        adapter = ROSAdapter(argv=list(context.argv))
        context.extend_globals({'ros_adapter': adapter})

        def end(*_: Any) -> None:
            if adapter.ros_node is not None:
                adapter.shutdown()

        context.register_event_handler(OnShutdown(on_shutdown=end), append=True)
    return adapter


def get_ros_node(context: LaunchContext) -> Any:
    """Returns the ROS node of a launch."""
    return get_ros_adapter(context).ros_node
