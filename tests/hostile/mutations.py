"""Texts that are nearly right: edits of good ones, by letters and, for JSON, by values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.hostile.readers import CORPUS, Reader

MOST_TEXT = 20_000
# What Python's or JSON's readers know, and the reader of a document may not think of.
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1.5, float("inf"), float("nan")),
    *("", "a", "\ud800", "\x00\x1b[31m", "9" * 5000, "a" * 5000, "١", "..", "/", "sha256:" + "0" * 64),
    *([], {}, [None], [[]], [1, "a"], {"a": None}, {"": {}}),
)

Edit = tuple[str, int, int, int, str]
Place = tuple[Any, Any]


def texts(name: str, reader: Reader) -> st.SearchStrategy[str]:
    """Mutations of the reader's seeds and findings, and texts of its words alone."""
    seeds = st.sampled_from([*reader.seeds, *corpus(name), ""])
    numbers = st.integers(0, MOST_TEXT)
    kinds = st.sampled_from(("insert", "insert", "delete", "replace", "repeat", "splice"))
    edits = st.lists(st.tuples(kinds, numbers, numbers, numbers, st.sampled_from(reader.pieces)), max_size=5)
    edited = st.builds(edit_text, seeds, edits)
    words = st.lists(st.sampled_from(reader.pieces), max_size=25).map("".join)
    if not reader.is_json:
        return edited | words
    changes = st.lists(st.tuples(st.integers(0, 200), st.sampled_from(CHANGES), st.sampled_from(ODD)), max_size=4)
    values = st.builds(edit_values, st.sampled_from(reader.seeds), changes)
    return values | edited | words


@dataclass(frozen=True)
class Shape:
    """A text of any length: `repeated` stands again and again in a good text, or in one of its JSON values."""

    how: str
    before: str
    repeated: str
    after: str
    place: int

    def text(self, size: int) -> str:
        """About `size` letters of it."""
        times = max(1, size // len(self.repeated))
        if self.how == "text":
            return self.before + self.repeated * times + self.after
        root = [json.loads(self.before)]
        places = list(_places(root))
        container, key = places[self.place % len(places)]
        value = container[key]
        match self.how:
            case "string":
                container[key] = self.repeated * times
            case "list":
                container[key] = [value] * max(1, size // len(json.dumps(value)))
            case _:
                entry = len(self.repeated) + len(json.dumps(value)) + 10
                container[key] = {f"{self.repeated}{number}": value for number in range(max(1, size // entry))}
        return json.dumps(root[0], ensure_ascii=False)


def shapes(reader: Reader) -> st.SearchStrategy[Shape]:
    """Texts that grow."""
    words = st.lists(st.sampled_from(reader.pieces), min_size=1, max_size=4).map("".join)
    seeds = st.sampled_from([*reader.seeds, ""])
    places = st.integers(0, 200)
    sliced = st.builds(lambda seed, at, length: seed[at : at + length] or "a", seeds, places, st.integers(1, 80))
    cut = st.builds(lambda seed, at: (seed[:at], seed[at:]), seeds, st.integers(0, 400))
    framed = cut | st.tuples(words | st.just(""), words | st.just(""))
    plain = st.builds(lambda frame, repeated: Shape("text", frame[0], repeated, frame[1], 0), framed, words | sliced)
    if not reader.is_json:
        return plain
    hows = st.sampled_from(("string", "list", "keys"))
    return plain | st.builds(Shape, hows, st.sampled_from(reader.seeds), words, st.just(""), places)


def corpus(name: str) -> list[str]:
    """What was found to break this reader once."""
    return [
        file.read_bytes().decode(errors="surrogateescape")
        for file in sorted((CORPUS / name.replace(" ", "-")).glob("*"))
    ]


def edit_text(text: str, edits: list[Edit]) -> str:
    """`text` after `edits`, whose numbers are taken modulo what is there."""
    for kind, first, second, third, piece in edits:
        at = first % (len(text) + 1)
        length = second % 40
        match kind:
            case "insert":
                text = text[:at] + piece + text[at:]
            case "delete":
                text = text[:at] + text[at + length :]
            case "replace":
                text = text[:at] + piece + text[at + length :]
            case "repeat":
                text = text[:at] + text[at : at + length] * (third % 60) + text[at + length :]
            case _:
                other = third % (len(text) + 1)
                text = text[:at] + text[other : other + length] + text[at:]
    return text[:MOST_TEXT]


def edit_values(text: str, changes: list[tuple[int, Callable[[Any, Any, Any], None], Any]]) -> str:
    """The JSON document `text` after changes of its values, each at a place counted modulo those that there are."""
    root = [json.loads(text)]
    for number, change, odd in changes:
        places = list(_places(root))
        container, key = places[number % len(places)]
        change(container, key, odd)
        if not root:
            return ""
    return json.dumps(root[0], ensure_ascii=False)


def _places(container: Any) -> Iterator[Place]:
    keys = list(container) if isinstance(container, dict) else range(len(container))
    for key in keys:
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])


def _replace(container: Any, key: Any, odd: Any) -> None:
    container[key] = json.loads(json.dumps(odd))


def _remove(container: Any, key: Any, odd: Any) -> None:
    del container[key]


def _wrap(container: Any, key: Any, odd: Any) -> None:
    container[key] = [container[key]]


def _deepen(container: Any, key: Any, odd: Any) -> None:
    for _ in range(40):
        container[key] = {"a": container[key]}


def _rename(container: Any, key: Any, odd: Any) -> None:
    if isinstance(container, dict):
        container[str(odd)] = container.pop(key)
    else:
        container.append(container[key])


CHANGES = (_replace, _replace, _replace, _remove, _wrap, _deepen, _rename)
