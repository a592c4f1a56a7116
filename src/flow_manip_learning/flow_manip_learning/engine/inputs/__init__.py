# SPDX-License-Identifier: Apache-2.0
"""Where clips come from: files, folders, recordings, datasets of episodes."""

from flow_manip_learning.engine.inputs.finding import find_sources
from flow_manip_learning.engine.inputs.source import ClipSource, InputOptions

__all__ = ['ClipSource', 'InputOptions', 'find_sources']
