"""Pydantic's errors in our words: a table with a sentence for each type of error that the models can produce.

A text is not repeated where people paste secrets by mistake.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from toolkit.manifest.document import Document, Finding, Path, Place
from toolkit.manifest.grammar import listed, quoted
from toolkit.manifest.model import Manifest

_PRIVATE = frozenset({"credential", "environment_variables", "endpoint", "commands", "verify"})


def findings_of(error: ValidationError, document: Document) -> list[Finding]:
    """Every error of pydantic's as a finding, one for each place."""
    findings: dict[Path, Finding] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # pydantic 2.14 counts the items that were well-formed
        path = _path_of(detail["loc"], document)
        findings.setdefault(path, Finding(path, _sentence(detail, path, document)))
    return list(findings.values())


def _path_of(loc: Sequence[int | str], document: Document) -> Path:
    """`loc` without pydantic's mark for a faulty key."""
    return tuple(loc[:-1]) if loc and loc[-1] == "[key]" and tuple(loc) not in document.places else tuple(loc)


def _sentence(detail: ErrorDetails, path: Path, document: Document) -> str:
    kind = detail["type"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    place = document.place(path)
    if detail["input"] is None:
        return "is empty: fill it in or remove it"
    if path == ("version",):
        shown = _kind_of(detail["input"]) if place.text is None else quoted(place.text)
        shown = f"the text {shown}" if place.text == "1" else shown
        return f"is {shown}: this toolkit reads version 1, written `version: 1`"
    is_private = not _PRIVATE.isdisjoint(path)
    if kind == "string_type":
        return _not_text(detail["input"], place, is_private=is_private)
    shown = _kind_of(detail["input"]) if place.text is None or is_private else quoted(place.text)
    return _SENTENCES[kind](detail.get("ctx", {}), shown)


_SENTENCES: dict[str, Callable[[dict[str, Any], str], str]] = {
    "bool_type": lambda _, shown: f"must be `true` or `false`, not {shown}",
    "int_type": lambda _, shown: f"must be a whole number, not {shown}",
    "tuple_type": lambda _, shown: f"must be a list, not {shown}",
    "dict_type": lambda _, shown: f"must be a mapping, not {shown}",
    "model_type": lambda _, shown: f"must be a mapping, not {shown}",
    "literal_error": lambda context, shown: _not_one_of(context["expected"], shown),
    "too_short": lambda _, __: "must have at least one entry",
    "too_long": lambda context, _: f"has more than {context['max_length']} entries",
    "string_too_short": lambda _, __: "is empty: fill it in or remove it",
    "string_too_long": lambda context, _: f"is longer than {context['max_length']} characters",
    "greater_than_equal": lambda context, shown: f"must be {context['ge']} or more, not {shown}",
    "less_than_equal": lambda context, shown: f"must be {context['le']} or less, not {shown}",
}


def _not_text(value: object, place: Place, *, is_private: bool) -> str:
    if place.text is None or not isinstance(value, bool | int | float):
        return f"must be text, not {_kind_of(value)}"
    if is_private or quoted(place.text) != f"`{place.text}`":
        return f"must be text: put it in quotes, or YAML reads {_kind_of(value)}"
    reading = _kind_of(value) if isinstance(value, bool) or str(value) == place.text else f"the number {value}"
    return f'must be text: write `"{place.text}"`; without the quotes YAML reads {reading}'


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _not_one_of(expected: str, shown: str) -> str:
    choices = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(shown.strip("`").lower(), [choice.lower() for choice in choices], n=1)
    if close:
        choice = next(choice for choice in choices if choice.lower() == close[0])
        return f"is {shown}; did you mean `{choice}`?"
    return f"is {shown}, but must be {listed(choices, 'or')}"


def _unknown_key(path: Path) -> str:
    key = str(path[-1])
    known = _fields_at(path[:-1])
    close = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    if close:
        return f"is not a field here; did you mean `{close[0]}`?"
    return f"is not a field here; there {'is only' if len(known) == 1 else 'are'} {listed(known)}"


def _fields_at(path: Path) -> list[str]:
    """The fields of the model at `path`."""
    model: type[BaseModel] = Manifest
    parts = iter(path)
    for part in parts:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        if get_origin(annotation) is dict:
            next(parts)
        model = _model_in(annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
