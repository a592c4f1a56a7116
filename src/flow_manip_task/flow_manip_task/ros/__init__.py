# SPDX-License-Identifier: Apache-2.0
"""The nodes and the Python client."""
