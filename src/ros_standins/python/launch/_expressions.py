# SPDX-License-Identifier: Apache-2.0
"""A reader of Python expressions that does nothing but what is listed here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
import operator
import types
from typing import Any

from ._stand_in import refuse

_BUILTINS: dict[str, Any] = {
    function.__name__: function
    for function in (
        abs, all, any, ascii, bin, bool, chr, dict, divmod, enumerate, float, frozenset, hex,
        int, isinstance, len, list, max, min, oct, ord, range, repr, reversed, round, set,
        sorted, str, sum, tuple, zip,
    )
}  # fmt: skip
_BUILTINS.update({'True': True, 'False': False, 'None': None})

_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
# Methods of these types are harmless, but for those that format: they read attributes.
_PLAIN = (str, bytes, int, float, complex, bool, list, tuple, dict, set, frozenset)
_FORMATTING = frozenset({'format', 'format_map'})
_MAX_EXPONENT = 10_000


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """Returns the value of an expression.

    Args:
        text: The expression.
        names: What it may use beside the built-ins listed in this module.

    Raises:
        NameError: A name is not known.
        SyntaxError: The text is no expression.
        NotInStandInError: The expression does what is not listed in this module.
    """
    tree = ast.parse(text.strip(), mode='eval')
    return _Evaluator(names).value(tree.body)


class _Evaluator:
    """Walks the tree of one expression."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = dict(names)

    def value(self, node: ast.AST) -> Any:
        method = getattr(self, '_' + type(node).__name__.lower(), None)
        if method is None:
            raise refuse('launch', f"'{ast.unparse(node)}' in a PythonExpression")
        return method(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._names:
            return self._names[node.id]
        if node.id in _BUILTINS:
            return _BUILTINS[node.id]
        raise NameError(f"name '{node.id}' is not defined")

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self.value(node.operand))

    def _binop(self, node: ast.BinOp) -> Any:
        function = _BINARY.get(type(node.op))
        if function is None:
            raise refuse('launch', f"'{ast.unparse(node)}' in a PythonExpression")
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, (ast.Pow, ast.LShift)) and abs(right) > _MAX_EXPONENT:
            raise ValueError(f'the exponent {right} is beyond {_MAX_EXPONENT}')
        return function(left, right)

    def _boolop(self, node: ast.BoolOp) -> Any:
        stop_at = isinstance(node.op, ast.Or)
        result: Any = None
        for part in node.values:
            result = self.value(part)
            if bool(result) is stop_at:
                break
        return result

    def _compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        result: Any = True
        for op, comparator in zip(node.ops, node.comparators):
            right = self.value(comparator)
            result = _COMPARE[type(op)](left, right)
            if not result:
                break
            left = right
        return result

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._items(node.elts))

    def _list(self, node: ast.List) -> Any:
        return self._items(node.elts)

    def _set(self, node: ast.Set) -> Any:
        return set(self._items(node.elts))

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items.extend(self.value(node.value))
            else:
                items.append(self.value(node))
        return items

    def _dict(self, node: ast.Dict) -> Any:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values):
            if key is None:
                result.update(self.value(value))
            else:
                result[self.value(key)] = self.value(value)
        return result

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value)[self.value(node.slice)]

    def _slice(self, node: ast.Slice) -> slice:
        bounds = (node.lower, node.upper, node.step)
        return slice(*(None if bound is None else self.value(bound) for bound in bounds))

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        allowed = isinstance(owner, (*_PLAIN, types.ModuleType)) or owner in _PLAIN
        if node.attr.startswith('_') or not allowed or node.attr in _FORMATTING:
            raise refuse('launch', f"'{ast.unparse(node)}' in a PythonExpression")
        return getattr(owner, node.attr)

    def _call(self, node: ast.Call) -> Any:
        function = self.value(node.func)
        args = self._items(node.args)
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                kwargs.update(self.value(keyword.value))
            else:
                kwargs[keyword.arg] = self.value(keyword.value)
        return function(*args, **kwargs)

    def _joinedstr(self, node: ast.JoinedStr) -> str:
        return ''.join(str(self.value(part)) for part in node.values)

    def _formattedvalue(self, node: ast.FormattedValue) -> str:
        value = self.value(node.value)
        conversion = {115: str, 114: repr, 97: ascii}.get(node.conversion)
        if conversion is not None:
            value = conversion(value)
        return format(value, '' if node.format_spec is None else self.value(node.format_spec))

    def _listcomp(self, node: ast.ListComp) -> Any:
        return [self.value(node.elt) for _ in self._iterate(node.generators)]

    def _setcomp(self, node: ast.SetComp) -> Any:
        return {self.value(node.elt) for _ in self._iterate(node.generators)}

    def _generatorexp(self, node: ast.GeneratorExp) -> Any:
        return iter(self._listcomp(node))  # type: ignore[arg-type]

    def _dictcomp(self, node: ast.DictComp) -> Any:
        return {
            self.value(node.key): self.value(node.value) for _ in self._iterate(node.generators)
        }

    def _iterate(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *others = generators
        outer = dict(self._names)
        for item in self.value(first.iter):
            self._assign(first.target, item)
            if all(self.value(test) for test in first.ifs):
                yield from self._iterate(others)
        self._names = outer

    def _assign(self, target: ast.expr, item: Any) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = item
            return
        if not isinstance(target, (ast.Tuple, ast.List)):
            raise refuse('launch', f"'{ast.unparse(target)}' in a PythonExpression")
        parts = list(item)
        if len(parts) != len(target.elts):
            raise ValueError(f'{len(parts)} values for {len(target.elts)} names')
        for part_target, part in zip(target.elts, parts):
            self._assign(part_target, part)
