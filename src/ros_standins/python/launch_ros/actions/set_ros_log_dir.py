# SPDX-License-Identifier: Apache-2.0
"""The folder of the nodes' log files."""

from __future__ import annotations

import os
import pathlib
from typing import Any, TYPE_CHECKING

from launch import logging as launch_logging
from launch.action import Action
from launch.frontend import expose_action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


@expose_action('set_ros_log_dir')
class SetROSLogDir(Action):
    """Sets where the nodes that follow write their log files."""

    def __init__(self, new_log_dir: SomeSubstitutionsType, **kwargs: Any) -> None:
        """Stores the path; a relative one is below the folder that is set."""
        super().__init__(**kwargs)
        self.__log_dir = normalize_to_list_of_substitutions(new_log_dir)

    @property
    def log_dir(self) -> list[Substitution]:
        """The path."""
        return self.__log_dir

    def execute(self, context: LaunchContext) -> None:
        """Sets it in the nodes' environment."""
        path = perform_substitutions(context, self.log_dir)
        before = os.environ.get('ROS_LOG_DIR') or launch_logging._get_logging_directory()
        context.environment['ROS_LOG_DIR'] = str(pathlib.PurePath(before, path))


SetRosLogDir = SetROSLogDir
