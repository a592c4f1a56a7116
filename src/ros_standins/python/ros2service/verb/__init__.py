# SPDX-License-Identifier: Apache-2.0
"""The verbs of `ros2 service`."""

from ros2cli.verb import VerbExtension

__all__ = ['VerbExtension']
