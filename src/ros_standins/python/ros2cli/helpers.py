# SPDX-License-Identifier: Apache-2.0
"""Small things that several commands share."""

import argparse
from collections.abc import Callable
import os
import sys
import time


def get_ros_domain_id() -> int:
    """Return the domain that this process is in."""
    return int(os.environ.get('ROS_DOMAIN_ID', 0))


def wait_for(predicate: Callable[[], bool], timeout: float, period: float = 0.1) -> bool:
    """Poll a condition; False where it does not hold within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(period)
    return True


def collect_stdin() -> str:
    """Return everything that is piped into this process."""
    return sys.stdin.read()


def unsigned_int(text: str) -> int:
    """Read a whole number of zero or more, for argparse."""
    return _number(text, int, lambda n: n >= 0, 'value must be non-negative integer')


def positive_int(text: str) -> int:
    """Read a whole number above zero, for argparse."""
    return _number(text, int, lambda n: n > 0, 'value must be a positive integer')


def positive_float(text: str) -> float:
    """Read a number above zero, for argparse."""
    return _number(text, float, lambda n: n > 0, 'value must be a positive number')


def unsigned_float(text: str) -> float:
    """Read a number of zero or more, for argparse."""
    return _number(text, float, lambda n: n >= 0, 'value must be a non-negative number')


def _number(text: str, kind: Callable, accept: Callable, complaint: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{complaint}, not {text!r}') from None
    if not accept(number):
        raise argparse.ArgumentTypeError(f'{complaint}, not {text!r}')
    return number
