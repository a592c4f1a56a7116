# SPDX-License-Identifier: Apache-2.0
"""Samples of 3D object flow: one type, written to shards and read back checked."""

from flow_manip_learning.dataset.checking import check_dataset
from flow_manip_learning.dataset.contact_sheet import contact_sheet, write_contact_sheet
from flow_manip_learning.dataset.encoding import decode_sample, encode_sample, EncodedSample
from flow_manip_learning.dataset.index import DatasetCard, DatasetIndex
from flow_manip_learning.dataset.reader import read_samples
from flow_manip_learning.dataset.sample import FlowSample
from flow_manip_learning.dataset.writer import ShardWriter

__all__ = [
    'DatasetCard',
    'DatasetIndex',
    'EncodedSample',
    'FlowSample',
    'ShardWriter',
    'check_dataset',
    'contact_sheet',
    'decode_sample',
    'encode_sample',
    'read_samples',
    'write_contact_sheet',
]
