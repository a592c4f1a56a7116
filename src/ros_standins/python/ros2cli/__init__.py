# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the ros2 command line: the same commands, options and output, without a daemon."""
