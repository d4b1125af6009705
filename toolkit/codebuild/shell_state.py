"""The state that shell commands leave for those that follow: variables and the current folder.

A value is known only if it is the same on every path through the text. After a branch, a loop or the right side of an
`||`, whatever those changed is unknown: the variable is None, the folder `?`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from posixpath import normpath
from types import MappingProxyType

from toolkit.codebuild.shell_words import Command
from toolkit.codebuild.variables import CannotExpand, Values, Word, interpolate

NOWHERE = "?"
"""A folder that is not known."""

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=(.*)", re.DOTALL)
SOURCE = "/CODEBUILD_SRC_DIR"
"""The root of the source, where CodeBuild starts, as the variables that name folders have it."""

_DECLARING = frozenset({"export", "declare", "typeset", "local", "readonly"})
_OPENS = {"if": "fi", "while": "done", "until": "done", "for": "done", "select": "done", "case": "esac"}
_CLOSES = frozenset({*_OPENS.values(), "}"})
_ALTERNATIVES = frozenset({"elif", "else"})
_PASSED = frozenset({"do", "!", "time"})
_CASE_ENDS = frozenset({";;", ";&", ";;&"})
_ASKING = frozenset({"!", "[", "[[", "test", "grep", "command", "which", "type", "hash", "false"})
"""Commands that test something: the command after their `&&` may not run."""


@dataclass(frozen=True, slots=True)
class _Known:
    values: Mapping[str, str | None]
    exported: frozenset[str]
    folder: str
    folders: tuple[str, ...] = ()
    may_be_exported: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Scope:
    """A construct that is open until the word `end`; `ends` are the states after its earlier branches."""

    end: str
    before: _Known
    chain: _Known | None
    ends: list[_Known] = field(default_factory=list)
    is_total: bool = False
    expects_pattern: bool = False


class ShellState:
    """Follows commands in order; `values` are the variables of the environment.

    `given` are values for variables that would be unknown.
    """

    def __init__(self, values: Values, given: Values = MappingProxyType({})) -> None:
        self._given = given
        self._known = _Known(dict(values), frozenset(values), ".")
        self._scopes: list[_Scope] = []
        self._chain: _Known | None = None
        self._exports_all = False
        self._last: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where the next command runs; `?` if that is not known."""
        return self._known.folder

    def environment(self, own: Values) -> Values:
        """The environment of a program with `own` variables before it."""
        known = self._known
        seen = known.values.keys() & (known.exported | known.may_be_exported)
        values = {name: known.values[name] if name in known.exported else None for name in seen}
        return self._filled({**values, **self._folders, **own})

    @property
    def _folders(self) -> dict[str, str | None]:
        folder = self._known.folder
        return {
            "CODEBUILD_SRC_DIR": SOURCE,
            "PWD": None if folder == NOWHERE else normpath(f"{SOURCE}/{folder}"),
        }

    def path(self, text: str) -> str:
        """An expanded word as a path from the root of the source; `?` if it leads elsewhere or that is not known."""
        if text == SOURCE or text.startswith(f"{SOURCE}/"):
            return f".{text.removeprefix(SOURCE)}"
        is_elsewhere = text.startswith(("/", "~", "+")) or self.folder == NOWHERE
        return NOWHERE if is_elsewhere else f"{self.folder}/{text}"

    def _filled(self, values: Values) -> Values:
        known = {name: value for name, value in self._given.items() if name in values and values[name] is None}
        return {**values, **known} if known else values

    def expanded(self, text: str) -> Word:
        """A word with the values of its variables. Other expansions count as unknown."""
        try:
            word = interpolate(text, self._filled({**self._known.values, **self._folders}))
        except CannotExpand:
            return Word(text, (text,))
        is_left = "$" in word.text or "`" in word.text
        return Word(word.text, (*word.unset, *([text] if is_left and not word.unset else [])))

    def assignment(self, word: str, own: Values = MappingProxyType({})) -> dict[str, str | None]:
        """The variable that a word assigns, if it does; `own` are the assignments before it."""
        match = _ASSIGNMENT.fullmatch(word)
        if match is None:
            return {}
        name, added, text = match.groups()
        found = self.expanded(text)
        value = None if found.unset else found.text
        if added and value is not None:
            before = self._filled({**self._known.values, **own}).get(name, "")
            value = None if before is None else before + value
        return {name: value}

    @contextmanager
    def apart(self, own: Values | None = None) -> Iterator[None]:
        """A separate shell, whose changes end with it.

        With `own` variables it is a new process, which sees exported variables. The others are unknown in it, because
        the outer shell may have replaced them in its text.
        """
        kept = self._known, self._scopes, self._chain, self._last
        self._scopes, self._chain, self._last = [], None, ()
        if own is not None:
            self._known = replace(self._known, values={**dict.fromkeys(self._known.values), **self.environment(own)})
            self._known = replace(self._known, exported=self._known.exported.union(own), folders=())
        yield
        self._known, self._scopes, self._chain, self._last = kept

    def forget(self) -> None:
        """Make every variable unknown, after a script that is not read."""
        self._set(dict.fromkeys(self._known.values))

    def settle(self) -> None:
        """Close what a text has left open."""
        while self._scopes:
            self._close(self._scopes[0].end)
        self._end_chain()

    def come_to(self, command: Command) -> list[str]:
        """Follow the keywords of a command, and return the words after them."""
        if command.operator not in ("&&", "||"):
            self._end_chain()
        if self._is_conditional(command.operator) and self._chain is None:
            self._chain = self._known
        words = self._without_keywords(list(command.words), command.operator)
        keywords = command.words[: len(command.words) - len(words)]
        self._last = ("!",) if "!" in keywords else tuple(words) or keywords
        return words

    def take(self, words: list[str]) -> tuple[list[str], dict[str, str | None]]:
        """The program with its words, none for a builtin that is followed here; and the variables before it."""
        own: dict[str, str | None] = {}
        while words and (words[0] == "env" or _ASSIGNMENT.fullmatch(words[0])):
            own |= self.assignment(words.pop(0), own)
        if not words:
            self._set(own)
        elif words[0] in _DECLARING:
            is_export = words[0] == "export" or "-x" in words
            for word in words[1:]:
                name = word.partition("=")[0].removesuffix("+")
                self._set(self.assignment(word), exported=[name] if is_export else [])
        elif words[0] == "read":
            self._set({word: None for word in words[1:] if word.isidentifier()})
        elif words[0] == "unset":
            values = {name: value for name, value in self._known.values.items() if name not in words[1:]}
            self._known = replace(self._known, values=values, exported=self._known.exported.difference(words[1:]))
        elif words[0] == "set":
            self._exports_all |= "allexport" in words or any(re.fullmatch("-[a-z]*a[a-z]*", one) for one in words)
        elif words[0] in ("cd", "pushd", "popd"):
            self._move(words[0], [word for word in words[1:] if word == "-" or not word.startswith("-")])
        else:
            return words, own
        return [], own

    def _is_conditional(self, operator: str) -> bool:
        return operator == "||" or (operator == "&&" and not _ASKING.isdisjoint(self._last[:1]))

    def _end_chain(self) -> None:
        if self._chain is not None:
            self._known, self._chain = _merged([self._chain, self._known]), None

    def _without_keywords(self, words: list[str], operator: str) -> list[str]:
        top = self._scopes[-1] if self._scopes else None
        if top and top.end == "esac" and operator in _CASE_ENDS:
            self._end_branch(top)
            top.expects_pattern = True
        if top and top.expects_pattern and words[0] != "esac":
            top.is_total |= words == ["*"]
            top.expects_pattern = words != [")"]
            return []
        is_function = self._last == (")",)
        while words:
            first = words.pop(0)
            if first in ("(", ")"):
                self._open(")") if first == "(" else self._close(")")
            elif first in _OPENS:
                self._open(_OPENS[first])
                if first in ("while", "until", "if"):
                    continue
                self._scopes[-1].expects_pattern = first == "case"
                if first != "case" and words:
                    self._set({words[0]: None})
                return []
            elif first == "function":
                words, is_function = words[1:], True
            elif first == "{":
                self._open("}")
                # The body of a function runs later or never.
                self._scopes[-1].is_total = not is_function
            elif first in _CLOSES:
                self._close(first)
            elif first == "then" and self._scopes:
                self._scopes[-1].before = self._known  # the condition runs on both paths
            elif first in _ALTERNATIVES and self._scopes:
                self._end_branch(self._scopes[-1])
                self._scopes[-1].is_total = first == "else"
            elif first not in _PASSED:
                return [first, *words]
        return []

    def _open(self, end: str) -> None:
        self._scopes.append(_Scope(end, self._known, self._chain))
        self._chain = None

    def _close(self, end: str) -> None:
        """Close the innermost scope with this end, and all that was left open in it."""
        if not any(scope.end == end for scope in self._scopes):
            return
        while True:
            scope = self._scopes.pop()
            ends = scope.ends if scope.expects_pattern else [*scope.ends, self._known]
            is_certain = scope.is_total and ends
            self._known = scope.before if scope.end == ")" else _merged(ends if is_certain else [*ends, scope.before])
            if scope.end == end:
                self._chain = scope.chain
                return

    def _end_branch(self, scope: _Scope) -> None:
        scope.ends.append(self._known)
        self._known = scope.before

    def _set(self, values: Mapping[str, str | None], *, exported: Iterable[str] = ()) -> None:
        known = self._known
        names = known.exported.union(exported, values if self._exports_all else ())
        self._known = replace(known, values={**known.values, **values}, exported=names)

    def _move(self, command: str, targets: list[str]) -> None:
        known = self._known
        folders = known.folders
        if command == "popd":
            folder, folders = (folders[-1], folders[:-1]) if folders and not targets else (NOWHERE, ())
        else:
            folder = self._moved(targets[0]) if len(targets) == 1 else NOWHERE
            folders = (*folders, known.folder) if command == "pushd" else folders
        self._known = replace(known, folder=folder, folders=folders)

    def _moved(self, target: str) -> str:
        found = self.expanded(target)
        return NOWHERE if found.unset or target == "-" else self.path(found.text)


def _merged(ways: list[_Known]) -> _Known:
    """What is known on every path."""
    first = ways[0]
    names = {name for way in ways for name in way.values}
    known = {name for name in names if len({(name in way.values, way.values.get(name)) for way in ways}) == 1}
    is_one_folder = len({normpath(way.folder) for way in ways}) == 1
    return _Known(
        values={name: first.values.get(name) if name in known else None for name in names},
        exported=frozenset.intersection(*(way.exported for way in ways)),
        may_be_exported=frozenset.union(*(way.exported | way.may_be_exported for way in ways)),
        folder=first.folder if is_one_folder else NOWHERE,
        folders=first.folders if len({way.folders for way in ways}) == 1 else (),
    )
