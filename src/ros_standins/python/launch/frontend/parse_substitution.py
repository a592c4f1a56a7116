# SPDX-License-Identifier: Apache-2.0
"""Substitutions from text such as ``$(var name)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions
from .expose import substitution_parse_methods

_ESCAPABLE = '\\$()"\''


def parse_substitution(string_value: str) -> list[Substitution]:
    """Returns a text as substitutions.

    ``$(name arguments)`` is a substitution; arguments are separated by spaces, may be quoted
    and may hold further substitutions. A backslash takes the meaning of the next character.

    Args:
        string_value: The text.

    Raises:
        RuntimeError: A substitution is not known.
        ValueError: A bracket or quote is not closed.
    """
    from ..substitutions import TextSubstitution

    parsed = _Reader(string_value).top()
    return parsed or [TextSubstitution(text='')]


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def top(self) -> list[Substitution]:
        return self._template(None, quoted=False)

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _template(self, ends: Optional[str], quoted: bool) -> list[Substitution]:
        """Reads text and substitutions up to a character of ``ends``, or to the end."""
        from ..substitutions import TextSubstitution

        parts: list[Substitution] = []
        plain = ''
        while self._at < len(self._text):
            char = self._peek()
            if ends is not None and char in ends:
                break
            if self._peek(2) == '$(':
                if plain:
                    parts.append(TextSubstitution(text=plain))
                    plain = ''
                parts.append(self._substitution(quoted))
                continue
            if char == '\\' and self._peek(2)[1:] in _escapable(ends is None):
                self._at += 1
                char = self._peek()
            plain += char
            self._at += 1
        if plain:
            parts.append(TextSubstitution(text=plain))
        return parts

    def _substitution(self, quoted: bool) -> Substitution:
        start = self._at
        self._at += 2
        arguments: list[list[Substitution]] = []
        while True:
            while self._peek().isspace():
                self._at += 1
            if not self._peek():
                raise ValueError(f"'{self._text[start:]}' has no closing bracket")
            if self._peek() == ')':
                self._at += 1
                return _build(arguments, self._text[start : self._at])
            arguments.append(self._argument(quoted))

    def _argument(self, quoted: bool) -> list[Substitution]:
        from ..substitutions import TextSubstitution

        quote = self._peek()
        # Within quotes, a quote is a character like any other.
        if quote not in ('"', "'") or quoted:
            return self._template(') \t\n', quoted)
        start = self._at
        self._at += 1
        parts = self._template(quote, quoted=True)
        if not self._peek():
            raise ValueError(f"'{self._text[start:]}' has no closing quote")
        self._at += 1
        return parts or [TextSubstitution(text='')]


def _escapable(top: bool) -> Sequence[str]:
    return ('$', '\\') if top else tuple(_ESCAPABLE)


def _build(arguments: list[list[Substitution]], text: str) -> Substitution:
    from ..substitutions import TextSubstitution

    if not arguments or not all(isinstance(part, TextSubstitution) for part in arguments[0]):
        raise RuntimeError(f"'{text}' does not begin with the name of a substitution")
    name = ''.join(part.text for part in arguments[0] if isinstance(part, TextSubstitution))
    if name not in substitution_parse_methods:
        raise RuntimeError(f'Unknown substitution: {name}')
    subst_class, kwargs = substitution_parse_methods[name](arguments[1:])
    kwargs = dict(kwargs)
    positional = kwargs.pop('args', ())
    built: Substitution = subst_class(*positional, **kwargs)
    return built


def parse_if_substitutions(value: Any) -> Any:
    """Returns texts with substitutions as lists of them, and everything else as it is.

    Args:
        value: A scalar or a list of scalars.

    Raises:
        ValueError: The items that hold no substitutions differ in type.
    """
    if isinstance(value, str):
        return _parse_one(value)
    if not isinstance(value, (list, tuple)):
        return value
    output = [_parse_one(item) if isinstance(item, str) else item for item in value]
    types = {type(item) for item in output if not isinstance(item, list)}
    if len(types) > 1:
        raise ValueError(
            f"the items of '{value}' that hold no substitutions are of {len(types)} types"
        )
    return output


def _parse_one(value: str) -> Any:
    from ..substitutions import TextSubstitution

    parsed = parse_substitution(value)
    if all(isinstance(part, TextSubstitution) for part in parsed):
        return value
    return normalize_to_list_of_substitutions(parsed)
