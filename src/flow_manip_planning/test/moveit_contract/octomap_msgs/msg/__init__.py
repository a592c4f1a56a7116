# SPDX-License-Identifier: Apache-2.0
from array import array
from typing import ClassVar

from recorded_messages import Field, flag, Message, number, one, text
from std_msgs.msg import Header


class Octomap(Message):
    FIELDS: ClassVar = {
        'header': one(Header),
        'binary': flag(),
        'id': text(),
        'resolution': number(),
        'data': Field(int, lambda: array('b'), many=True),
    }
