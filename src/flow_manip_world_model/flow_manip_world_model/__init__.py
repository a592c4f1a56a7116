# SPDX-License-Identifier: Apache-2.0
"""Imagining how an object should move, and choosing among what was imagined."""
