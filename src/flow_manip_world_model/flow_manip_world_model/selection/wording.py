# SPDX-License-Identifier: Apache-2.0
"""What an instruction says about a motion's end, as far as its words do.

`parse_instruction` knows the default generator's verbs; dreams may be about others (hang, pour,
open). What nobody understands is checked for less, never refused.
"""

from __future__ import annotations

from dataclasses import dataclass
import re

from flow_manip_core.errors import FlowManipError
from flow_manip_core.instruction import MAX_LENGTH, parse_instruction

HANG = frozenset(('hang', 'hook'))
HANGERS = frozenset(('tree', 'rack', 'hook', 'peg', 'hanger', 'bar', 'rail', 'nail'))
POUR = frozenset(('pour', 'water', 'empty', 'tip'))
OPEN = frozenset(('open', 'opened', 'unlatch'))
CLOSE = frozenset(('close', 'closed', 'shut'))
INSERT = frozenset(('insert', 'plug', 'stick', 'stand'))
TABLES = frozenset(('table', 'tabletop', 'desk', 'floor', 'ground', 'surface', 'counter'))


@dataclass(frozen=True)
class Wording:
    """What is said about the motion.

    Attributes:
        action: 'put', 'lift', 'push', 'turn_upright', 'hang', 'pour', 'open', 'close', 'insert';
            '' where it was not understood.
        relation: of a put or a push, as `Instruction.relation`.
        onto_thing: the end is on or in something that is not the support itself.
    """

    action: str = ''
    relation: str = ''
    onto_thing: bool = False


def read_wording(instruction: str) -> Wording:
    """Read what the words say about the motion; all empty where nothing is understood."""
    words = re.findall(r'\w+', instruction[:MAX_LENGTH].casefold())
    # The first verb decides: 'open the toolbox and put ...' is about the lid first.
    for word in words[:8]:
        for action, verbs in (
            ('hang', HANG), ('pour', POUR), ('open', OPEN), ('close', CLOSE), ('insert', INSERT),
        ):  # fmt: skip
            if word in verbs and not (word == 'stand' and not {'in', 'into'} & set(words)):
                return Wording(action)
        if word in ('put', 'place', 'lift', 'push'):
            break
    try:
        parsed = parse_instruction(instruction)
    except FlowManipError:
        return Wording()
    target = set(' '.join(parsed.references).split())
    onto = parsed.action == 'put' and parsed.relation in ('on', 'in') and not target & TABLES
    if parsed.action == 'put' and parsed.relation == 'on' and target & HANGERS:
        return Wording('hang')
    return Wording(parsed.action, parsed.relation, onto and bool(target))
