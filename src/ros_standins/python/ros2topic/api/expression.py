# SPDX-License-Identifier: Apache-2.0
"""Conditions on messages, as the option `--filter` takes them.

The real command line hands the text to Python. This one walks the expression's tree and knows
only values, comparisons, arithmetic and a few functions, so that no text can do anything else.
"""

import ast
from collections.abc import Callable
import math
import operator
from typing import Any

OPERATORS: dict[type, Callable] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
FUNCTIONS: dict[str, Callable] = {
    function.__name__: function
    for function in (abs, all, any, bool, float, int, len, max, min, round, set, sorted, str, sum)
}
FUNCTIONS['isnan'] = math.isnan


def compile_filter(expression: str) -> Callable[[Any], bool]:
    """Return a condition on a message `m` from its text.

    Raises:
        RuntimeError: it is not a Python expression, or uses more than this stand-in knows.
    """
    try:
        tree = ast.parse(expression, mode='eval').body
    except SyntaxError as error:
        raise RuntimeError(f"Invalid filter expression '{expression}': {error}") from None
    _check(tree, expression)
    return lambda m: bool(_value(tree, m))


def _check(tree: ast.AST, expression: str) -> None:
    for node in ast.walk(tree):
        known = isinstance(
            node,
            (
                ast.Attribute, ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.Constant,
                ast.Name, ast.Subscript, ast.Tuple, ast.List, ast.UnaryOp, ast.expr_context,
                ast.boolop, *OPERATORS,
            ),
        )  # fmt: skip
        if isinstance(node, ast.Attribute):
            known = not node.attr.startswith('_')
        elif isinstance(node, ast.Name):
            known = node.id == 'm' or node.id in FUNCTIONS
        elif isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id != 'm' and not node.keywords
        if not known:
            raise RuntimeError(
                f"Invalid filter expression '{expression}': '{ast.unparse(node) or node}' is more "
                "than this stand-in evaluates. The package 'ros2topic' of a full ROS 2 "
                'installation takes any Python expression'
            )


def _value(node: ast.AST, m: Any) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return m if node.id == 'm' else FUNCTIONS[node.id]
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, m), node.attr)
    if isinstance(node, ast.Subscript):
        return _value(node.value, m)[_value(node.slice, m)]
    if isinstance(node, (ast.Tuple, ast.List)):
        return [_value(element, m) for element in node.elts]
    if isinstance(node, ast.Call):
        return _value(node.func, m)(*[_value(argument, m) for argument in node.args])
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](_value(node.operand, m))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_value(node.left, m), _value(node.right, m))
    if isinstance(node, ast.BoolOp):
        choose = all if isinstance(node.op, ast.And) else any
        return choose(_value(value, m) for value in node.values)
    assert isinstance(node, ast.Compare)
    return _compare(node, m)


def _compare(node: ast.Compare, m: Any) -> bool:
    left = _value(node.left, m)
    for operation, right_node in zip(node.ops, node.comparators):
        right = _value(right_node, m)
        if not OPERATORS[type(operation)](left, right):
            return False
        left = right
    return True
