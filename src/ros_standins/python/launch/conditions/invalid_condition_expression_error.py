# SPDX-License-Identifier: Apache-2.0
"""The error for texts that are neither true nor false."""


class InvalidConditionExpressionError(Exception):
    """A condition's text is neither true nor false."""
