# SPDX-License-Identifier: Apache-2.0
from flow_manip_ros.testing import ros

__all__ = ['ros']
