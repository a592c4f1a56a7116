# SPDX-License-Identifier: Apache-2.0
class AllowedCollisionMatrix:
    def __init__(self, names, default_entry=False):
        self._entries = {}

    def set_entry(self, name1, name2, allowed):
        if not (isinstance(name1, str) and isinstance(name2, str) and isinstance(allowed, bool)):
            raise TypeError('set_entry(name1: str, name2: str, allowed: bool)')
        self._entries[frozenset((name1, name2))] = allowed

    def get_entry(self, name1, name2):
        return self._entries.get(frozenset((name1, name2)), False), 'ALWAYS'

    def remove_entry(self, name1, name2):
        self._entries.pop(frozenset((name1, name2)), None)

    def clear(self):
        self._entries.clear()
