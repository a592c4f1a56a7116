# SPDX-License-Identifier: Apache-2.0
"""Messages as rosidl makes them for Python: unknown names and wrong types fail.

Recorded from the definitions of moveit_msgs 2.6 and octomap_msgs 2.0 for ROS 2 Jazzy.
"""

from array import array
from typing import ClassVar


class Field:
    """A field's type: `kind` is a class, `many` says that it is a sequence."""

    def __init__(self, kind, default, many=False):
        self.kind, self.default, self.many = kind, default, many

    def check(self, name, value):
        if self.many and self.kind is int:
            assert isinstance(value, array), f'{name}: expected an array, got {type(value)}'
            assert value.typecode == 'b', f'{name}: int8 is expected'
        elif self.many:
            assert isinstance(value, list), f'{name}: expected a list, got {type(value)}'
            assert all(isinstance(item, self.kind) for item in value), name
        else:
            assert isinstance(value, self.kind), f'{name}: {value!r} is no {self.kind}'
            if self.kind is bytes:
                assert len(value) == 1, f'{name}: a byte has length 1'


class Message:
    FIELDS: ClassVar = {}

    def __init__(self, **values):
        unknown = set(values) - set(self.FIELDS)
        assert not unknown, f'Invalid arguments passed to constructor: {sorted(unknown)}'
        for name, field in self.FIELDS.items():
            setattr(self, name, values.get(name, field.default()))

    def __setattr__(self, name, value):
        if name not in self.FIELDS:
            raise AttributeError(f'{type(self).__name__} has no field {name}')
        self.FIELDS[name].check(f'{type(self).__name__}.{name}', value)
        super().__setattr__(name, value)

    def validate(self):
        """Check what was appended since, as serialisation does."""
        for name, field in self.FIELDS.items():
            value = getattr(self, name)
            field.check(name, value)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Message):
                    item.validate()


def text():
    return Field(str, str)


def flag():
    return Field(bool, bool)


def number():
    return Field(float, float)


def integer():
    return Field(int, int)


def one(cls):
    return Field(cls, cls)


def many(cls):
    return Field(cls, list, many=True)
