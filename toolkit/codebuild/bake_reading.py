"""The builds of a bake file, in HCL or JSON: each target with what it inherits, variables with their defaults.

`bake_expression` says which of HCL's expressions are understood. A target that needs more is reported as not
understood.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from toolkit.codebuild.bake_expression import NotKnown, evaluate_template, unescaped
from toolkit.codebuild.build_fields import attested_scanner, cache_image, is_elsewhere, listed, spelled
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, NamedImage, Reading, Trouble
from toolkit.codebuild.variables import Values, Word

_VARIABLE = re.compile(r"\$\{\s*([\w.-]+)\s*\}")
_MAPPINGS = frozenset({"args", "contexts", "labels"})
_MOST_VARIANTS = 200
_SAY_WHAT = frozenset({"context", "dockerfile", "dockerfile-inline", "target", "tags", "output"})
"""Fields by which a target is one that is built, and not only what others inherit."""
_LONGEST_HCL = 256 * 1024
"""Characters. The HCL parser is slow: this many take a minute."""


def read_bake(text: str, values: Values | None = None, *, is_json: bool, pulls_always: bool = False) -> Reading:
    """The builds of all targets; `values` go before the defaults of the variables."""
    try:
        blocks = _read_json(text) if is_json else _read_hcl(text)
    except _Unreadable as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    reader = _Reader(text, blocks, values or {}, pulls_always)
    reader.read()
    # The targets are built in parallel, so no build finds the image of another.
    tags = tuple(tag for build in reader.builds for tag in build.tags)
    return Reading(tuple(reader.images), tuple(reader.builds), tuple(reader.troubles), tags)


class _Unreadable(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def _read_json(text: str) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise _Unreadable(f"it is not JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise _Unreadable("it is nested too deeply", 1) from error
    except ValueError as error:
        raise _Unreadable("a number in it is too long", 1) from error
    if not isinstance(document, dict):
        raise _Unreadable("it is not a bake file: it has no targets", 1)
    targets = document.get("target", {})
    if not isinstance(targets, dict) or not all(isinstance(body, dict) for body in targets.values()):
        raise _Unreadable("a target is not a mapping", 1)
    return {
        kind: {name: body for name, body in _mapping(document.get(kind)).items() if isinstance(body, dict)}
        for kind in ("variable", "target", "group")
    }


@lru_cache(maxsize=4)  # each command that uses the file with other values reads it again
def _read_hcl(text: str) -> dict[str, dict[str, Any]]:
    import hcl2  # noqa: PLC0415  a parser generator: 0.2 s, and seconds for its first file
    from lark.exceptions import LarkError  # noqa: PLC0415

    if len(text) > _LONGEST_HCL:
        raise _Unreadable(f"it has more than {_LONGEST_HCL:,} characters", 1)
    options = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, preserve_heredocs=False)
    try:
        document = hcl2.loads(text, serialization_options=options)
    except LarkError as error:
        line = getattr(error, "line", None)
        known = isinstance(line, int) and line > 0
        # The parser's message quotes the file, which may be something else with secrets in it.
        message = "what begins here is none" if known else "a block or a quote is not closed"
        raise _Unreadable(f"it is not HCL: {message}", line if isinstance(line, int) and known else 1) from error
    except (RecursionError, ValueError) as error:
        raise _Unreadable("it is not HCL that can be read", 1) from error
    blocks: dict[str, dict[str, Any]] = {"variable": {}, "target": {}, "group": {}}
    for kind, found in blocks.items():
        for block in document.get(kind) or []:
            found.update({str(name).strip('"'): _mapping(body) for name, body in _mapping(block).items()})
    return {kind: {name: _from_hcl(body) for name, body in found.items()} for kind, found in blocks.items()}


def _from_hcl(value: Any) -> Any:
    """An HCL value as a JSON bake file writes it: text without quotes, an expression as `${…}`."""
    if isinstance(value, dict):
        return {str(key).strip('"'): _from_hcl(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_from_hcl(one) for one in value]
    if not isinstance(value, str):
        return value
    if len(value) > 1 and value[0] == value[-1] == '"':
        return unescaped(value[1:-1])
    return value if value.startswith("${") else f"${{{value}}}"


class _Reader:
    def __init__(self, text: str, blocks: dict[str, dict[str, Any]], values: Values, pulls_always: bool) -> None:
        self._lines = text.split("\n")
        self._targets = blocks["target"]
        self._pulls_always = pulls_always
        self._values: dict[str, str | None] = {"BAKE_LOCAL_PLATFORM": "local"}
        self._lists: dict[str, list[Any]] = {}
        for name, body in blocks["variable"].items():
            # A variable without a default is empty; one with a type has to be given.
            default = body.get("default", "")
            if values.get(name) is not None:
                self._values[name] = values[name]
            elif name in values or ("type" in body and "default" not in body):
                continue
            elif isinstance(default, list):
                self._lists[name] = default
            elif (word := self._word(default, self._values)) is None or not word.unset:
                self._values[name] = word.text if word else None
        contexts = {str(value) for body in self._targets.values() for value in _mapping(body.get("contexts")).values()}
        self._inherited = _names_in(self._targets, "inherits") - _names_in(blocks["group"], "targets") - {"default"}
        self._inherited -= {value.removeprefix("target:") for value in contexts}
        self._merged: dict[str, dict[str, Any] | None] = {}
        self.images: list[NamedImage] = []
        self.builds: list[Build] = []
        self.troubles: list[Trouble] = []

    def read(self) -> None:
        if not self._targets:
            self.troubles.append(Trouble(1, "it has no targets, so it builds nothing"))
        for name in self._targets:
            line = self._line_of(name)
            fields = self._merged_fields(name, line)
            is_parent = name in self._inherited
            if is_parent and (name.startswith("_") or _SAY_WHAT.isdisjoint(fields)):
                continue  # nobody builds it
            for values in self._variants(name, line):
                self._read_target(line, fields, values, is_parent=is_parent)

    def _line_of(self, name: str) -> int:
        pattern = re.compile(rf"""^\s*(target\s+)?"?{re.escape(name)}"?\s*[:{{]""")
        return next((number for number, line in enumerate(self._lines, 1) if pattern.search(line)), 1)

    def _merged_fields(self, name: str, line: int) -> dict[str, Any]:
        """The fields of a target laid over those of its parents; mappings are merged."""
        if name not in self._merged:
            self._merged[name] = None  # in progress: a target that is found here inherits itself
            merged: dict[str, Any] = {}
            for parent in map(str, listed(self._targets[name].get("inherits"))):
                if parent not in self._targets:
                    self._give_up(line, f"`{name}` inherits `{parent}`, which is not in this file")
                else:
                    merged = self._laid_over(merged, self._merged_fields(parent, line))
            self._merged[name] = self._laid_over(merged, self._targets[name])
        fields = self._merged[name]
        if fields is None:
            self._give_up(line, f"`{name}` inherits itself")
            return {}
        return fields

    def _variants(self, name: str, line: int) -> Iterator[Values]:
        """The variables of the file with those of each member of the matrix."""
        matrix = _mapping(self._targets[name].get("matrix"))
        axes = [[self._member(key, one) for one in listed(value)] for key, value in matrix.items()]
        if math.prod(map(len, axes)) > _MOST_VARIANTS:
            self._give_up(
                line, f"the matrix of `{name}` has more than {_MOST_VARIANTS} members, which are not all read"
            )
        for members in itertools.islice(itertools.product(*axes), _MOST_VARIANTS):
            values = dict(self._values)
            for member in members:
                values |= member
            yield values

    def _member(self, key: str, value: Any) -> dict[str, str]:
        """The variables of one member of a matrix, which is a text or a mapping."""
        parts = {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
        words = {name: self._word(one, self._values) for name, one in parts.items()}
        return {name: word.text for name, word in words.items() if word and not word.unset}

    def _laid_over(self, below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        """The fields of a target over those of its parent. What is `null` above leaves the parent's value."""
        merged = {**below, **self._without_null(above)}
        for key in _MAPPINGS & merged.keys():
            merged[key] = {**_mapping(below.get(key)), **self._without_null(_mapping(above.get(key)))}
        return merged

    def _without_null(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {key: one for key, one in fields.items() if self._word(one, self._values) is not None}

    def _items(self, value: Any) -> list[Any]:
        """The items of a field that is a list, one item, or a variable with a list."""
        variable = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
        return listed(self._lists.get(variable[1], value) if variable else value)

    def _read_target(self, line: int, fields: dict[str, Any], values: Values, *, is_parent: bool) -> None:
        context = self._word(fields.get("context"), values) or Word(".")
        file = self._word(fields.get("dockerfile"), values)
        inline = self._word(fields.get("dockerfile-inline"), values)
        unset = (*context.unset, *(file.unset if file else ()), *(inline.unset if inline else ()))
        if unset:
            self._give_up(line, f"which Dockerfile it builds needs `{unset[0]}`")
            return
        if is_elsewhere(context.text):
            self._give_up(line, "its Dockerfile is somewhere else")
            return
        for field, kind, image_of in (
            ("cache-from", Kind.CACHE_FROM, cache_image),
            ("attest", Kind.SBOM, attested_scanner),
        ):
            for value in self._items(fields.get(field)):
                self._note(line, kind, spelled(value), image_of, values)
        target = self._word(fields.get("target"), values) or Word("")
        platforms = [self._word(one, values) for one in self._items(fields.get("platforms"))]
        if any(word and word.unset for word in platforms):
            self._give_up(line, "its platforms are an expression")
        contexts = dict(self._pairs(fields.get("contexts"), values))
        for name in [name for name, value in contexts.items() if value is None]:
            self._give_up(line, f"its context `{name}` is an expression")
        pull = self._word(fields.get("pull"), values) or Word("")
        tags = [self._word(one, values) for one in self._items(fields.get("tags"))]
        self.builds.append(
            Build(
                line=line,
                context=context.text,
                dockerfile=file.text if file else None,
                is_beside_context=True,
                is_partial=is_parent,
                asks_buildkit=True,
                inline=inline.text if inline else None,
                args=dict(self._pairs(fields.get("args"), values)),
                contexts=contexts,
                platforms=tuple(word.text for word in platforms if word and not word.unset),
                target=target.text or None,
                is_target_known=not target.unset,
                pulls_always=self._pulls_always or pull.text == "true" or bool(pull.unset),
                tags=tuple(word.text for word in tags if word and not word.unset),
            )
        )

    def _note(self, line: int, kind: Kind, written: str, image_of: Callable[[str], str | None], values: Values) -> None:
        word = self._word(written, values) or Word("")
        image = image_of(word.text)
        if word.unset and not word.text:
            self._give_up(line, f"`{written}` has no known value")
        elif image is not None and (image or word.unset):
            self.images.append(NamedImage(line, kind, written if word.unset else image, image, unset=word.unset))

    def _pairs(self, value: Any, values: Values) -> Iterator[tuple[str, str | None]]:
        """The values of a mapping, None for an unknown one; `null` is left out."""
        for key, one in _mapping(value).items():
            word = self._word(one, values)
            if word is not None:
                yield key, None if word.unset else word.text

    def _word(self, value: Any, values: Values) -> Word | None:
        """A value with its expressions evaluated; None for `null`."""
        if value is None:
            return None
        try:
            if isinstance(value, dict | list):
                raise NotKnown("a list")
            text = evaluate_template(spelled(value), values)
        except NotKnown as error:
            return Word(error.text, (error.name,))
        return None if text is None else Word(text)

    def _give_up(self, line: int, why: str) -> None:
        self.troubles.append(Trouble(line, f"not understood: {why}", is_fault=True))


def _names_in(blocks: dict[str, dict[str, Any]], field: str) -> set[str]:
    return {str(name) for body in blocks.values() for name in listed(body.get(field))}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
