# SPDX-License-Identifier: Apache-2.0
"""The data engine: raw video to samples of 3D flow, by finding what moves."""
