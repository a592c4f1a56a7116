# SPDX-License-Identifier: Apache-2.0
"""Named QoS profiles: sensors best effort, commands reliable, latest value latched."""

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    qos_profile_sensor_data,
    QoSProfile,
    ReliabilityPolicy,
)

SENSOR = qos_profile_sensor_data
"""Images, joint states: newest wins, losses are fine."""

COMMAND = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)
"""Must arrive, only the newest counts."""

LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""State whose latest value late joiners get."""
