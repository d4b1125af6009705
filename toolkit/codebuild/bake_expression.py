"""The expressions of a bake file: what HCL's operators, templates and the usual functions make of known values.

What is not read, such as `list[0]`, a `for` that makes a mapping or a regular expression, has no known value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from posixpath import basename, dirname
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<quote>\")|(?P<name>[A-Za-z_][\w-]*)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||=>|\.\.\.|[-!?:(),.<>+*/%=\[\]{}]))"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_LONGEST = 4000
"""Characters of one expression."""
_MOST_MADE = 8 * 1024 * 1024
"""Characters and items that all expressions of a file may come to. A few lines can double a value many times."""
_COST = 8
"""What each value costs besides."""
_WRONG = (ArithmeticError, AttributeError, LookupError, RecursionError, StopIteration, TypeError, ValueError)

Value = Any
"""Text, a number, a boolean, None for `null`, a list or a mapping."""


class NotKnown(Exception):
    """The value needs `name`, a variable or an expression that is not known; `text` is what is known of it."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.text = text


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the file: the names of its parameters, of the list of the further ones, and its result."""

    parameters: tuple[str, ...]
    others: str | None
    result: Value


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression sees; `find` raises NotKnown. `left` is what may still be made."""

    find: Callable[[str], Value]
    functions: Mapping[str, Function] = field(default_factory=dict)
    left: list[int] = field(default_factory=lambda: [_MOST_MADE])

    def within(self, own: Mapping[str, Value]) -> Scope:
        """The scope with variables of its own."""
        return Scope(lambda name: own[name] if name in own else self.find(name), self.functions, self.left)

    def made(self, value: Value) -> Value:
        """`value`, unless there is too much of it."""
        self.left[0] -= _COST + (len(value) if isinstance(value, str | list | dict) else 0)
        if self.left[0] < 0:
            raise NotKnown("a value that is too long")
        return value


_Expression = Callable[[Scope], Value]


def unescaped(text: str) -> str:
    """The content of an HCL string."""
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)


def text_of(value: Value) -> str:
    """A value in a text. Raises NotKnown for `null`, lists and mappings, which have no place there."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise NotKnown("null" if value is None else "a list")


def evaluated(raw: Value, scope: Scope) -> Value:
    """A value of the file with its expressions evaluated. Raises NotKnown."""
    if isinstance(raw, str):
        return evaluate_template(raw, scope)
    if isinstance(raw, list):
        return [evaluated(one, scope) for one in raw]
    if isinstance(raw, dict):
        return {key: evaluated(one, scope) for key, one in raw.items()}
    return raw


def evaluate_template(text: str, scope: Scope) -> Value:
    """A text with its `${...}` and `%{ if ... }` replaced; the value itself if it is one expression."""
    try:
        parts = _parts(text)
    except IndexError as error:
        raise NotKnown(text[:80]) from error
    if len(parts) == 1 and parts[0][0] == "$":
        return evaluate(parts[0][1], scope)
    found: list[str] = []
    unknown: list[str] = []
    branches: list[bool] = []
    for kind, part in parts:
        try:
            if kind == "%":
                _take_directive(part, branches, scope)
            elif all(branches):
                found.append(scope.made(part if kind == "" else text_of(evaluate(part, scope))))
        except NotKnown as error:
            unknown.append(error.name)
            if kind == "%" or scope.left[0] < 0:
                break
    if branches and not unknown:
        unknown.append("an `if` without its end")
    if unknown:
        raise NotKnown(unknown[0], "".join(found))
    return "".join(found)


def _take_directive(text: str, branches: list[bool], scope: Scope) -> None:
    """Follow `if`, `else` and `endif`; `branches` says which of the open ones are taken."""
    word, _, rest = text.strip().partition(" ")
    if word == "if":
        branches.append(all(branches) and _is_true(evaluate(rest, scope)))
    elif word == "else" and branches:
        branches[-1] = all(branches[:-1]) and not branches[-1]
    elif word == "endif" and branches:
        branches.pop()
    else:
        raise NotKnown(f"%{{{text}}}")


def _parts(text: str) -> list[tuple[str, str]]:
    """The literals, expressions (`$`) and directives (`%`) of a template. Raises IndexError if one has no end."""
    parts: list[tuple[str, str]] = []
    literal, at = "", 0
    for sign in re.finditer(r"\$\$\{|%%\{|[$%]\{", text):
        if sign.start() < at:
            continue
        literal += text[at : sign.start()]
        at = sign.end()
        if len(sign[0]) == 3:
            literal += sign[0][1:]
            continue
        end = _end_of_braces(text, at)
        if literal:
            parts.append(("", literal))
        parts.append((sign[0][0], text[at:end]))
        literal, at = "", end + 1
    literal += text[at:]
    return [*parts, ("", literal)] if literal or not parts else parts


def _end_of_braces(text: str, at: int) -> int:
    """The place of the `}` that closes what begins at `at`."""
    depth = 0
    while text[at] != "}" or depth:
        depth += (text[at] == "{") - (text[at] == "}")
        at = _end_of_quote(text, at + 1) if text[at] == '"' else at
        at += 1
    return at


def _end_of_quote(text: str, at: int) -> int:
    while text[at] != '"':
        if text[at] == "\\" or text.startswith(("$${", "%%{"), at):
            at += 2
        elif text.startswith(("${", "%{"), at):
            at = _end_of_braces(text, at + 2) + 1
        else:
            at += 1
    return at


def evaluate(expression: str, scope: Scope) -> Value:
    """The value of an expression. The side of a condition that is not chosen need not be known."""
    expression = expression.strip()
    shown = expression if len(expression) <= 80 else f"{expression[:77]}..."
    if len(expression) > _LONGEST:
        raise NotKnown(shown)
    try:
        parser = _Parser(_tokens(expression))
        parsed = parser.condition()
        if parser.is_left:
            raise NotKnown(shown)
        return scope.made(parsed(scope))
    except _WRONG as error:
        raise NotKnown(shown) from error


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(expression: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if found is None:
            raise ValueError
        kind, at = found.lastgroup or "", found.end()
        text = found[kind]
        if kind == "quote":
            end = _end_of_quote(expression, at)
            text, at = expression[at:end], end + 1
        tokens.append(_Token(kind, text))
    return tokens


def _is_equal(left: Value, right: Value) -> bool:
    """Values of different types are never equal."""
    kinds = [
        bool if isinstance(one, bool) else float if isinstance(one, int | float) else type(one) for one in (left, right)
    ]
    return kinds[0] is kinds[1] and bool(left == right)


_LEVELS: Sequence[Mapping[str, Callable[[Value, Value], Value]]] = (
    {"||": operator.or_},
    {"&&": operator.and_},
    {"==": _is_equal, "!=": lambda left, right: not _is_equal(left, right)},
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv, "%": operator.mod},
)
"""Binary operators, those that bind least first."""
_LITERALS: Mapping[str, Value] = {"null": None, "true": True, "false": False}


class _Parser:
    """Parses by descent; each method returns the function that gives the value."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def is_left(self) -> bool:
        return self._place < len(self._tokens)

    def condition(self) -> _Expression:
        test = self._operators(0)
        if not self._takes("?"):
            return test
        chosen = self.condition()
        self._expect(":")
        other = self.condition()
        return lambda scope: chosen(scope) if _is_true(test(scope)) else other(scope)

    def _operators(self, level: int) -> _Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._operators(level + 1)
        while self.is_left and self._next.kind == "sign" and self._next.text in _LEVELS[level]:
            left = _joined(self._take().text, level, left, self._operators(level + 1))
        return left

    def _unary(self) -> _Expression:
        if self._takes("!"):
            inner = self._unary()
            return lambda scope: not _is_true(inner(scope))
        if self._takes("-"):
            inner = self._unary()
            return lambda scope: -_number(inner(scope))
        found = self._single()
        while self._takes("."):
            found = _field(found, self._take().text)
        return found

    def _single(self) -> _Expression:
        if self._takes("("):
            inner = self.condition()
            self._expect(")")
            return inner
        if self._takes("["):
            return self._loop() if self._is_for else self._list("]")
        if self._takes("{"):
            return self._mapping()
        token = self._take()
        if token.kind == "quote":
            text = unescaped(token.text)
            return lambda scope: evaluate_template(text, scope)
        if token.kind == "number":
            number = float(token.text) if "." in token.text else int(token.text)
            return lambda _: number
        if token.kind != "name":
            raise ValueError
        if self._takes("("):
            return _call(token.text, self._list(")"))
        if token.text in _LITERALS:
            return lambda _: _LITERALS[token.text]
        return lambda scope: scope.find(token.text)

    @property
    def _is_for(self) -> bool:
        return self._next == _Token("name", "for")

    def _list(self, end: str) -> _Expression:
        items: list[_Expression] = []
        while not self._takes(end):
            items.append(self.condition())
            if not self._takes(","):
                self._expect(end)
                break
        return lambda scope: [item(scope) for item in items]

    def _mapping(self) -> _Expression:
        if self._is_for:
            raise ValueError
        pairs: list[tuple[_Expression, _Expression]] = []
        while not self._takes("}"):
            key = self._take()
            name: _Expression = lambda _, key=key: key.text  # type: ignore[misc]  # noqa: E731
            if key.kind == "quote":
                name = lambda scope, key=key: evaluate_template(unescaped(key.text), scope)  # type: ignore[misc]  # noqa: E731
            elif key.kind == "sign":
                raise ValueError
            if not self._takes("="):
                self._expect(":")
            pairs.append((name, self.condition()))
            self._takes(",")
        return lambda scope: {text_of(key(scope)): value(scope) for key, value in pairs}

    def _loop(self) -> _Expression:
        """`[for item in list : value if condition]`."""
        self._take()
        names = [self._take().text]
        if self._takes(","):
            names.append(self._take().text)
        if self._take() != _Token("name", "in"):
            raise ValueError
        source = self.condition()
        self._expect(":")
        value = self.condition()
        test: _Expression = lambda _: True  # noqa: E731
        if self.is_left and self._next == _Token("name", "if"):
            self._take()
            test = self.condition()
        self._expect("]")

        def run(scope: Scope) -> Value:
            found = source(scope)
            if not isinstance(found, dict | list):
                raise TypeError
            pairs = found.items() if isinstance(found, dict) else enumerate(found)
            scopes = (scope.within(dict(zip(names[::-1], (one, key), strict=False))) for key, one in pairs)
            return [scope.made(value(own)) for own in scopes if scope.made(_is_true(test(own)))]

        return run

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _takes(self, sign: str) -> bool:
        is_next = self.is_left and self._next == _Token("sign", sign)
        self._place += is_next
        return is_next

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise ValueError


def _joined(sign: str, level: int, left: _Expression, right: _Expression) -> _Expression:
    function = _LEVELS[level][sign]
    if sign == "||":  # the second side need not be known where the first decides
        return lambda scope: _is_true(left(scope)) or _is_true(right(scope))
    if sign == "&&":
        return lambda scope: _is_true(left(scope)) and _is_true(right(scope))
    if level == 2:
        return lambda scope: function(left(scope), right(scope))
    return lambda scope: function(_number(left(scope)), _number(right(scope)))


def _field(found: _Expression, name: str) -> _Expression:
    return lambda scope: found(scope)[name]


def _call(name: str, arguments: _Expression) -> _Expression:
    def run(scope: Scope) -> Value:
        own = scope.functions.get(name)
        values = arguments(scope)
        if own is None:
            return scope.made(_FUNCTIONS[name](*values))
        scope.made(name)  # a function that calls itself comes to an end
        given = dict(zip(own.parameters, values, strict=own.others is None))
        others = {own.others: values[len(own.parameters) :]} if own.others else {}
        return evaluated(own.result, scope.within({**given, **others}))

    return run


def _is_true(value: Value) -> bool:
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Value) -> int | float:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        return float(value) if "." in value else int(value)
    if not isinstance(value, int | float):
        raise TypeError
    return value


def _formatted(form: str, *values: Value) -> str:
    remaining = iter(values)

    def replace(found: re.Match[str]) -> str:
        if found[1] == "%":
            return "%"
        if found[1] not in ("s", "d", "v"):
            raise ValueError
        return text_of(next(remaining))

    return re.sub(r"%(.?)", replace, form)


def _flattened(value: Value) -> list[Value]:
    return [inner for one in value for inner in _flattened(one)] if isinstance(value, list) else [value]


def _replaced(text: str, old: str, new: str) -> str:
    if len(text) * max(len(new), 1) > _MOST_MADE:
        raise ValueError
    return text.replace(old, new)


def _joined_texts(between: str, *lists: list[Value]) -> str:
    texts = [text_of(one) for found in lists for one in found]
    if len(between) * len(texts) > _MOST_MADE:
        raise ValueError
    return between.join(texts)


_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "equal": _is_equal,
    "notequal": lambda left, right: not _is_equal(left, right),
    "and": lambda left, right: _is_true(left) and _is_true(right),
    "or": lambda left, right: _is_true(left) or _is_true(right),
    "not": lambda value: not _is_true(value),
    "add": lambda left, right: _number(left) + _number(right),
    "subtract": lambda left, right: _number(left) - _number(right),
    "upper": lambda text: text_of(text).upper(),
    "lower": lambda text: text_of(text).lower(),
    "trimspace": lambda text: text_of(text).strip(),
    "trim": lambda text, letters: text_of(text).strip(letters),
    "trimprefix": lambda text, start: text_of(text).removeprefix(start),
    "trimsuffix": lambda text, end: text_of(text).removesuffix(end),
    "chomp": lambda text: text_of(text).rstrip("\r\n"),
    "replace": lambda text, old, new: _replaced(text_of(text), old, new),
    "sanitize": lambda text: re.sub(r"[^a-zA-Z0-9_-]", "_", text_of(text)),
    "strlen": lambda text: len(text_of(text)),
    "basename": basename,
    "dirname": lambda path: dirname(path) or ".",
    "format": _formatted,
    "join": _joined_texts,
    "split": lambda between, text: text_of(text).split(between),
    "concat": lambda *lists: [one for found in lists for one in (*found,)],
    "flatten": _flattened,
    "compact": lambda found: [one for one in found if one not in ("", None)],
    "distinct": lambda found: list(dict.fromkeys(found)),
    "contains": lambda found, wanted: any(_is_equal(one, wanted) for one in found),
    "element": lambda found, number: found[int(number) % len(found)],
    "slice": lambda found, start, end: list(islice(found, int(start), int(end))),
    "sort": lambda found: sorted(map(text_of, found)),
    "reverselist": lambda found: found[::-1],
    "length": len,
    "coalesce": lambda *values: next(one for one in values if one is not None),
    "coalescelist": lambda *lists: next(one for one in lists if one),
    "merge": lambda *found: {key: value for one in found for key, value in one.items()},
    "keys": sorted,
    "values": lambda found: [found[key] for key in sorted(found)],
    "lookup": lambda found, key, other: found.get(key, other),
    "try": lambda first, *_: first,
}
