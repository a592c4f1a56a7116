# SPDX-License-Identifier: Apache-2.0
"""Executing plans on a robot: checked before, watched during, stopped when anything is wrong."""
