# SPDX-License-Identifier: Apache-2.0
"""Entry point of the workspace: what its launch files share."""
