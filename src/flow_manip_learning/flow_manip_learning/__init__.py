# SPDX-License-Identifier: Apache-2.0
"""Datasets of 3D object flow, the engines that make them, training and reports."""
