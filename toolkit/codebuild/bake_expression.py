"""The expressions of a bake file whose values are known from its variables: comparisons, conditions and `equal`.

Of HCL's other functions and operators none is read: what they come to is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Known = Mapping[str, str | None]
"""Variables by name, None for `null`. The value of an absent one is not known."""

_TEMPLATE = re.compile(r"\$\$\{|\$\{(?P<expression>(?:[^{}]|\$\{[^{}]*\})*)\}")
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\$\{[^{}]*\}|\\.|[^"\\])*")|(?P<name>[A-Za-z_][\w.-]*)|(?P<number>\d+(?:\.\d+)?)"""
    r"""|(?P<sign>==|!=|&&|\|\||[!?:(),]))\s*"""
)
_LITERALS: Known = {"null": None, "true": "true", "false": "false"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_LONGEST = 1000
"""Characters of one expression."""
_LONGEST_TEXT = 1024 * 1024

_Value = Callable[[], str | None]


class NotKnown(Exception):
    """The value needs `name`, a variable or an expression that is not known; `text` is what is known of it."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.text = text


def unescaped(text: str) -> str:
    """The content of an HCL string."""
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)


def evaluate_template(text: str, values: Known) -> str | None:
    """A text with its `${...}` replaced; `null` if it is one expression with that value. Raises NotKnown."""
    whole = _TEMPLATE.fullmatch(text)
    if whole and whole["expression"] is not None:
        return evaluate(whole["expression"], values)
    if text.count("${") * max((len(one or "") for one in values.values()), default=0) > _LONGEST_TEXT:
        raise NotKnown(f"{text[:20]}...")

    unknown: list[str] = []

    def replace(found: re.Match[str]) -> str:
        if found["expression"] is None:
            return "${"
        try:
            value = evaluate(found["expression"], values)
        except NotKnown as error:
            unknown.append(error.name)
            return ""
        if value is None:
            unknown.append(found["expression"].strip())
        return value or ""

    known = _TEMPLATE.sub(replace, text)
    if unknown:
        raise NotKnown(unknown[0], known)
    return known


def evaluate(expression: str, values: Known) -> str | None:
    """The value as text, None for `null`. The side of a condition that is not chosen need not be known."""
    expression = expression.strip()
    shown = expression if len(expression) <= 80 else f"{expression[:77]}..."
    if len(expression) > _LONGEST:
        raise NotKnown(shown)
    tokens: list[re.Match[str]] = []
    position = 0
    while position < len(expression):
        token = _TOKEN.match(expression, position)
        if token is None:
            raise NotKnown(shown)
        tokens.append(token)
        position = token.end()
    parser = _Parser(tokens, values)
    try:
        value = parser.condition()
        if parser.sign() is not None or parser.is_left:
            raise NotKnown(shown)
        return value()
    except (IndexError, RecursionError) as error:
        raise NotKnown(shown) from error


class _Parser:
    """Parses by descent; each method returns the function that gives the value."""

    def __init__(self, tokens: list[re.Match[str]], values: Known) -> None:
        self._tokens = tokens
        self._values = values
        self._place = 0

    @property
    def is_left(self) -> bool:
        return self._place < len(self._tokens)

    def sign(self) -> str | None:
        """The next token, if it is an operator or a bracket."""
        return self._tokens[self._place]["sign"] if self.is_left else None

    def condition(self) -> _Value:
        test = self._operators(0)
        if not self._takes("?"):
            return test
        chosen = self.condition()
        self._expect(":")
        other = self.condition()
        return lambda: chosen() if _is_true(test()) else other()

    def _operators(self, level: int) -> _Value:
        """`||` binds least, then `&&`, then comparisons."""
        if level == 3:
            return self._single()
        left = self._operators(level + 1)
        while (sign := self.sign()) in (("||",), ("&&",), ("==", "!="))[level]:
            self._place += 1
            left = _joined(sign or "", left, self._operators(level + 1))
        return left

    def _single(self) -> _Value:
        if self._takes("!"):
            inner = self._single()
            return lambda: _text_of(not _is_true(inner()))
        if self._takes("("):
            inner = self.condition()
            self._expect(")")
            return inner
        token = self._tokens[self._place]
        self._place += 1
        if token["text"] is not None:
            text = unescaped(token["text"][1:-1])
            return lambda: evaluate_template(text, self._values)
        if token["number"] is not None:
            return lambda: token["number"]
        name = token["name"]
        if name is None:
            raise IndexError
        if self._takes("("):
            return self._call(name)
        return lambda: self._variable(name)

    def _call(self, name: str) -> _Value:
        first = self.condition()
        self._expect(",")
        second = self.condition()
        self._expect(")")
        if name not in ("equal", "notequal"):
            raise IndexError
        return _joined("==" if name == "equal" else "!=", first, second)

    def _variable(self, name: str) -> str | None:
        if name in _LITERALS:
            return _LITERALS[name]
        if name not in self._values:
            raise NotKnown(name)
        return self._values[name]

    def _takes(self, sign: str) -> bool:
        is_next = self.sign() == sign
        self._place += is_next
        return is_next

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise IndexError


def _joined(sign: str, left: _Value, right: _Value) -> _Value:
    match sign:
        case "||":
            return lambda: _text_of(_is_true(left()) or _is_true(right()))
        case "&&":
            return lambda: _text_of(_is_true(left()) and _is_true(right()))
        case "==":
            return lambda: _text_of(left() == right())
        case _:
            return lambda: _text_of(left() != right())


def _is_true(value: str | None) -> bool:
    if value not in ("true", "false"):
        raise NotKnown("a condition")
    return value == "true"


def _text_of(value: bool) -> str:
    return str(value).lower()
