# SPDX-License-Identifier: Apache-2.0
"""A flow world model: a video diffusion network that draws 3D flow instead of pictures."""
