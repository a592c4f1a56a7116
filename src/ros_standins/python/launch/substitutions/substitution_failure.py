# SPDX-License-Identifier: Apache-2.0
"""The error of substitutions."""


class SubstitutionFailure(RuntimeError):
    """A substitution could not be performed."""
