# SPDX-License-Identifier: Apache-2.0
"""Quality of service from the command line, and to suit what others offer."""

import argparse
from typing import Any, Optional

from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    QoSReliabilityPolicy,
)

from ros2cli.helpers import unsigned_float, unsigned_int

POLICIES = {
    'history': QoSHistoryPolicy,
    'reliability': QoSReliabilityPolicy,
    'durability': QoSDurabilityPolicy,
    'liveliness': QoSLivelinessPolicy,
}
OPTIONS = (*POLICIES, 'depth', 'liveliness_lease_duration_seconds')


def add_qos_arguments(
    parser: argparse.ArgumentParser, subscribe_or_publish: str, default_profile_str: str
) -> None:
    """Add the options `--qos-*`.

    Args:
        parser: gets the options.
        subscribe_or_publish: a word for the help.
        default_profile_str: short name of the profile that is used where none is named.
    """
    profiles = [key for key in QoSPresetProfiles.short_keys() if key != 'unknown']
    parser.add_argument(
        '--qos-profile',
        choices=profiles,
        default=default_profile_str,
        help=f'Quality of service preset profile to {subscribe_or_publish} with '
        f'(default: {default_profile_str})',
    )
    parser.add_argument(
        '--qos-depth',
        metavar='N',
        type=unsigned_int,
        help=f'Queue size setting to {subscribe_or_publish} with '
        '(overrides depth value of --qos-profile option)',
    )
    for name, policy in POLICIES.items():
        parser.add_argument(
            f'--qos-{name}',
            choices=[key for key in policy.short_keys() if key != 'unknown'],
            help=f'Quality of service {name} setting to {subscribe_or_publish} with '
            f'(overrides {name} value of --qos-profile option)',
        )
    parser.add_argument(
        '--qos-liveliness-lease-duration-seconds',
        metavar='SECONDS',
        type=unsigned_float,
        help=f'Liveliness lease duration to {subscribe_or_publish} with '
        '(overrides the value of --qos-profile option)',
    )


def has_qos_options(args: argparse.Namespace) -> bool:
    """Tell whether the user chose more than a profile."""
    return any(getattr(args, f'qos_{name}') is not None for name in OPTIONS)


def qos_profile_from_args(args: argparse.Namespace) -> QoSProfile:
    """Return the profile that the options `--qos-*` describe."""
    return qos_profile_from_short_keys(
        args.qos_profile,
        reliability=args.qos_reliability,
        durability=args.qos_durability,
        depth=args.qos_depth,
        history=args.qos_history,
        liveliness=args.qos_liveliness,
        liveliness_lease_duration_s=args.qos_liveliness_lease_duration_seconds,
    )


def qos_profile_from_short_keys(
    preset_profile: str,
    reliability: Optional[str] = None,
    durability: Optional[str] = None,
    depth: Optional[int] = None,
    history: Optional[str] = None,
    liveliness: Optional[str] = None,
    liveliness_lease_duration_s: Optional[float] = None,
) -> QoSProfile:
    """Return a copy of a preset profile with some policies changed, all by their short names."""
    preset = QoSPresetProfiles.get_from_short_key(preset_profile)
    profile = QoSProfile(**{slot[1:]: getattr(preset, slot[1:]) for slot in preset.__slots__})
    given = {
        'reliability': reliability,
        'durability': durability,
        'history': history,
        'liveliness': liveliness,
    }
    for name, key in given.items():
        if key:
            setattr(profile, name, POLICIES[name].get_from_short_key(key))
    if liveliness_lease_duration_s is not None and liveliness_lease_duration_s >= 0:
        profile.liveliness_lease_duration = Duration(seconds=liveliness_lease_duration_s)
    if depth is not None and depth >= 0:
        profile.depth = depth
    elif profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL and profile.depth == 0:
        # Kept samples need room.
        profile.depth = 1
    return profile


def choose_qos(node: Any, topic_name: str, args: argparse.Namespace) -> QoSProfile:
    """Return a profile for a subscription: the user's, or one that suits every publisher."""
    profile = qos_profile_from_args(args)
    if has_qos_options(args):
        return profile
    offered = [info.qos_profile for info in node.get_publishers_info_by_topic(topic_name)]
    if not offered:
        return profile
    profile.reliability = _common(
        [qos.reliability for qos in offered],
        QoSReliabilityPolicy.RELIABLE,
        QoSReliabilityPolicy.BEST_EFFORT,
    )
    profile.durability = _common(
        [qos.durability for qos in offered],
        QoSDurabilityPolicy.TRANSIENT_LOCAL,
        QoSDurabilityPolicy.VOLATILE,
    )
    return profile


def _common(offered: list[Any], strong: Any, weak: Any) -> Any:
    """Return the strong policy where all offer it."""
    if all(policy == strong for policy in offered):
        return strong
    if strong in offered:
        kind = type(strong).__name__
        kind = kind if kind.startswith('QoS') else f'QoS{kind}'
        print(
            f'Some, but not all, publishers are offering {kind}.{strong.name}. Falling back to '
            f'{kind}.{weak.name} as it will connect to all publishers'
        )
    return weak
