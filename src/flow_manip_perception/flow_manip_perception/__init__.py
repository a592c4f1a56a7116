# SPDX-License-Identifier: Apache-2.0
"""Finding objects in RGB-D images by words."""
