# SPDX-License-Identifier: Apache-2.0
"""The command `flow_manip`."""

from flow_manip_task.cli.main import main

__all__ = ['main']
