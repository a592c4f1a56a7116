# SPDX-License-Identifier: Apache-2.0
"""Library code logs through `logging`; this brings it to rosout."""

from __future__ import annotations

import logging

from rclpy.node import Node


class _RosoutHandler(logging.Handler):
    """Hands records to a node's logger."""

    def __init__(self, node: Node) -> None:
        super().__init__(level=logging.INFO)
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def bridge_logging(node: Node) -> None:
    """Send what the workspace's libraries log to `node`'s logger, and so to /rosout."""
    logger = logging.getLogger('flow_manip')
    for name in logging.root.manager.loggerDict:
        if name.startswith('flow_manip_'):
            logging.getLogger(name).parent = logger
    logger.handlers = [_RosoutHandler(node)]
    logger.setLevel(logging.INFO)
    logger.propagate = False
