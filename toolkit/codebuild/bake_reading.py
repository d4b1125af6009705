"""The builds of bake files, in HCL, JSON or compose's format: each target with what it inherits.

`docker buildx bake` reads all of its files as one, compose files first. A target that several files or blocks have is
merged, a later variable or group replaces an earlier one. `bake_expression` says which of HCL's expressions are
understood. A target that needs more is reported as not understood.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from toolkit.codebuild.bake_expression import (
    Function,
    NotKnown,
    Scope,
    evaluate_template,
    evaluated,
    text_of,
    unescaped,
)
from toolkit.codebuild.build_fields import attested_scanner, cache_image, is_elsewhere, listed, spelled
from toolkit.codebuild.compose_model import CannotRead, Tree
from toolkit.codebuild.compose_reading import read_compose
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, Follow, NamedImage, Reading, Trouble
from toolkit.codebuild.variables import Values, Word

_MAPPINGS = frozenset({"args", "contexts", "labels"})
_LISTS = frozenset({"attest", "cache-from"})
"""Fields whose lists are joined; the others are replaced."""
_MOST_VARIANTS = 200
_SAY_WHAT = frozenset({"context", "dockerfile", "dockerfile-inline", "target", "tags", "output"})
"""Fields by which a target is one that is built, and not only what others inherit."""
_LONGEST_HCL = 256 * 1024
"""Characters. The HCL parser is slow: this many take a minute."""
_NO_TYPE = re.compile(r"^$|(^|,)type=(,|$)")
_UNKNOWN = "${?}"
"""An expression that no scope knows."""


def read_bake(
    files: Sequence[str],
    tree: Tree,
    values: Values | None = None,
    asked: Follow | None = None,
    *,
    compose_values: Values | None = None,
) -> Reading:
    """The builds of all targets, changed as `asked` says. `values` go before the defaults of the variables.

    Paths are from the folder where the command runs.
    """
    asked = asked or Follow(0, "", "bake")
    reader = _Reader(values or {}, asked)
    composed = [file for file in files if file.endswith((".yml", ".yaml"))]
    if composed:
        reader.add_compose(read_compose(composed, tree, compose_values or values))
    for file in files:
        if file not in composed:
            reader.add(file, tree)
    reader.read()
    # The targets are built in parallel, so no build finds the image of another.
    tags = tuple(tag for build in reader.builds for tag in build.tags)
    makers = {tag: build.file for build in reader.builds for tag in build.tags}
    return Reading(
        tuple(reader.images), tuple(reader.builds), tuple(reader.troubles), tags, makers=makers, files=tuple(files)
    )


class _Unreadable(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(slots=True)
class _Blocks:
    """What one file has, in its order; `values` are attributes outside of blocks."""

    blocks: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


_KINDS = ("variable", "function", "target", "group")


def _read_json(text: str) -> _Blocks:
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
    found = _Blocks()
    for kind in _KINDS:
        for bodies in listed(document.get(kind)):
            if not isinstance(bodies, dict):
                raise _Unreadable(f"a {kind} is not a mapping", 1)
            for name, body in bodies.items():
                for one in listed(body):
                    if not isinstance(one, dict) and kind == "target":
                        raise _Unreadable("a target is not a mapping", 1)
                    found.blocks.append((kind, name, _mapping(one)))
    found.values = {key: value for key, value in document.items() if key not in _KINDS}
    return found


@lru_cache(maxsize=4)  # each command that uses the file with other values reads it again
def _read_hcl(text: str) -> _Blocks:
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
    except (RecursionError, ValueError, TypeError) as error:
        # TypeError: python-hcl2 8 cannot print `{for key in list : key => 1}`.
        raise _Unreadable("it is not HCL that can be read", 1) from error
    found = _Blocks()
    for kind in _KINDS:
        for block in document.get(kind) or []:
            for name, body in _mapping(block).items():
                found.blocks.append((kind, str(name).strip('"'), _mapping(_from_hcl(body))))
    found.values = {str(key): _from_hcl(value) for key, value in document.items() if key not in _KINDS}
    return found


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


def _literal(text: str | None) -> str:
    """A text that no expression is in; an unknown one for None."""
    return _UNKNOWN if text is None else text.replace("${", "$${").replace("%{", "%%{")


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a target is written, and its fields: one mapping for each block, the later ones over the first."""

    file: str
    line: int
    layers: tuple[dict[str, Any], ...]


class _Reader:
    def __init__(self, values: Values, asked: Follow) -> None:
        self._given = values
        self._asked = asked
        self._targets: dict[str, _Target] = {}
        self._groups: dict[str, list[str]] = {}
        self._variables: dict[str, dict[str, Any]] = {}
        self._attributes: dict[str, Any] = {}
        self._functions: dict[str, Function] = {}
        self._known: dict[str, Any] = {"BAKE_LOCAL_PLATFORM": "local"}
        self._in_progress: set[str] = set()
        self._scope = Scope(self._find, self._functions)
        self._merged: dict[str, dict[str, Any] | None] = {}
        self._inherited: frozenset[str] = frozenset()
        self._is_whole = True
        self._file = ""
        self.images: list[NamedImage] = []
        self.builds: list[Build] = []
        self.troubles: list[Trouble] = []

    def add(self, file: str, tree: Tree) -> None:
        """Read one file."""
        self._file = self._file or file
        try:
            text = tree.read(file)
            if text is None:
                self._is_whole = False
                return
            found = _read_json(text) if file.endswith(".json") else _read_hcl(text)
        except _Unreadable as error:
            self._is_whole = False
            self.troubles.append(Trouble(error.line, error.message, is_fault=True, file=file))
            return
        except CannotRead as error:
            self._is_whole = False
            self.troubles.append(Trouble(1, str(error), is_fault=True, file=file))
            return
        lines = text.split("\n")
        self._attributes |= found.values
        for kind, name, body in found.blocks:
            match kind:
                case "variable":
                    self._variables[name] = body
                case "function":
                    names = [spelled(one).removeprefix("${").removesuffix("}") for one in listed(body.get("params"))]
                    others = str(body.get("variadic_params", "")).removeprefix("${").removesuffix("}")
                    self._functions[name] = Function(tuple(names), others or None, body.get("result"))
                case "group":
                    self._groups[name] = [str(one) for one in listed(body.get("targets"))]
                case _:
                    self._add_layer(name, file, _line_of(name, lines), body)

    def add_compose(self, reading: Reading) -> None:
        """Add the builds of compose files as targets."""
        self.troubles += reading.troubles
        self.images += (image for image in reading.images if image.kind is not Kind.COMPOSE_IMAGE)
        for build in reading.builds:
            body = {
                "context": None if build.is_partial else _literal(build.context),
                "dockerfile": None if build.dockerfile is None else _literal(build.dockerfile),
                "dockerfile-inline": None if build.inline is None else _literal(build.inline),
                "args": {key: _literal(value) for key, value in build.args.items()},
                "contexts": {key: _literal(value) for key, value in build.contexts.items()},
                "target": None if not build.target else _literal(build.target),
                "platforms": [_literal(one) for one in build.platforms] or None,
                "tags": [_literal(one) for one in build.tags] or None,
                "pull": build.pulls_always or None,
            }
            if not build.is_target_known:
                body["target"] = _UNKNOWN
            self._add_layer(build.name, build.file, build.line, body)
        self._groups["default"] = [build.name for build in reading.builds]

    def _add_layer(self, name: str, file: str, line: int, body: dict[str, Any]) -> None:
        known = self._targets.get(name, _Target(file, line, ()))
        self._targets[name] = replace(known, layers=(*known.layers, body))

    def read(self) -> None:
        """Read all targets."""
        if not self._targets and self._is_whole:
            self.troubles.append(Trouble(1, "it has no targets, so it builds nothing", file=self._file))
        bodies = [layer for target in self._targets.values() for layer in target.layers]
        contexts = {str(value) for body in bodies for value in _mapping(body.get("contexts")).values()}
        parents = {str(name) for body in bodies for name in listed(body.get("inherits"))}
        grouped = {name for targets in self._groups.values() for name in targets}
        self._inherited = frozenset(
            parents - grouped - {"default"} - {value.removeprefix("target:") for value in contexts}
        )
        names = {*self._targets, *self._groups}
        for name, target in self._targets.items():
            fields = self._merged_fields(name, target)
            is_parent = name in self._inherited
            variants = list(self._variants(name, target, fields))
            names |= {own for scope in variants if (own := self._text(fields.get("name"), scope))}
            if is_parent and (name.startswith("_") or _SAY_WHAT.isdisjoint(fields)):
                continue  # nobody builds it
            for scope in variants:
                self._read_target(name, target, fields, scope, is_parent=is_parent)
        for pattern in self._asked.targets if self._is_whole else ():
            if not any(fnmatchcase(name, pattern.replace(".", "_")) or name == pattern for name in names):
                message = f"it has no target or group `{pattern}`, which a command builds"
                self.troubles.append(Trouble(1, message, is_fault=True, file=self._file))

    def _find(self, name: str) -> Any:
        """The value of a variable."""
        if name not in self._known:
            if name in self._in_progress:
                raise NotKnown(name)
            self._in_progress.add(name)
            try:
                self._known[name] = self._value_of(name)
            finally:
                self._in_progress.discard(name)
        return self._known[name]

    def _value_of(self, name: str) -> Any:
        if name in self._attributes:
            return evaluated(self._attributes[name], self._scope)
        body = self._variables.get(name)
        if body is None:
            raise NotKnown(name)
        kind = str(body.get("type", ""))
        default = None
        if "default" in body and not (name in self._given and kind):
            default = evaluated(body["default"], self._scope)
        if name in self._given:
            return _converted(name, self._given[name], kind, default)
        if kind and "default" not in body:
            raise NotKnown(name)  # one with a type has to be given
        return default if "default" in body else ""

    def _merged_fields(self, name: str, target: _Target) -> dict[str, Any]:
        """The fields of a target laid over those of its parents, with what the command sets."""
        if name not in self._merged:
            self._merged[name] = None  # in progress: a target that is found here inherits itself
            merged: dict[str, Any] = {}
            for parent in dict.fromkeys(str(one) for layer in target.layers for one in listed(layer.get("inherits"))):
                if parent not in self._targets:
                    self._give_up(target, f"`{name}` inherits `{parent}`, which is not in this file")
                else:
                    merged = self._laid_over(merged, self._merged_fields(parent, self._targets[parent]))
            for layer in target.layers:
                merged = self._laid_over(merged, layer)
            self._merged[name] = self._changed(name, merged)
        fields = self._merged[name]
        if fields is None:
            self._give_up(target, f"`{name}` inherits itself")
            return {}
        return fields

    def _changed(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields after the `--set` of the command for this target."""
        changed = dict(fields)
        lists: set[str] = set()
        for key, value in self._asked.changes:
            pattern, _, path = key.removesuffix("+").partition(".")
            if not fnmatchcase(name, pattern):
                continue
            path, _, inner = path.partition(".")
            path = {"platform": "platforms"}.get(path, path)
            if path in _MAPPINGS:
                changed[path] = {**_mapping(changed.get(path)), inner: _literal(value)}
            elif path in ("platforms", "cache-from", "attest", "tags"):
                is_added = path in lists or key.endswith("+")
                changed[path] = [*(listed(changed.get(path)) if is_added else []), _literal(value)]
                lists.add(path)
            else:
                changed[path] = _literal(value)
        return changed

    def _variants(self, name: str, target: _Target, fields: dict[str, Any]) -> Iterator[Scope]:
        """The scope of the file with the variables of each member of the matrix."""
        matrix = next((layer["matrix"] for layer in target.layers if "matrix" in layer), None)
        axes = [
            [(key, member) for member in self._items(value, self._scope)] for key, value in _mapping(matrix).items()
        ]
        if math.prod(map(len, axes)) > _MOST_VARIANTS:
            self._give_up(
                target, f"the matrix of `{name}` has more than {_MOST_VARIANTS} members, which are not all read"
            )
        for members in itertools.islice(itertools.product(*axes), _MOST_VARIANTS):
            yield self._scope.within(_Members(dict(members), self._scope)) if members else self._scope

    def _laid_over(self, below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        """The fields of a target over those of its parent. What is `null` above leaves the parent's value."""
        above = self._without_null(above)
        merged = {**below, **above}
        for key in _MAPPINGS & merged.keys():
            merged[key] = {**_mapping(below.get(key)), **self._without_null(_mapping(above.get(key)))}
        for key in _LISTS & below.keys() & above.keys():
            merged[key] = list({spelled(one): one for one in (*listed(below[key]), *listed(above[key]))}.values())
        return merged

    def _without_null(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {key: one for key, one in fields.items() if not self._is_null(one)}

    def _is_null(self, value: Any) -> bool:
        try:
            return value is None or (isinstance(value, str) and evaluate_template(value, self._scope) is None)
        except NotKnown:
            return False

    def _items(self, value: Any, scope: Scope) -> list[Any]:
        """The items of a field, as they are written; those of an expression that comes to a list are known."""
        items: list[Any] = []
        for one in listed(value):
            try:
                known = evaluate_template(one, scope) if isinstance(one, str) else None
            except NotKnown:
                known = None
            items += map(_written, known) if isinstance(known, list) else [one]
        return items

    def _read_target(
        self, name: str, target: _Target, fields: dict[str, Any], scope: Scope, *, is_parent: bool
    ) -> None:
        context = self._word(fields.get("context"), scope) or Word(".")
        file = self._word(fields.get("dockerfile"), scope)
        inline = self._word(fields.get("dockerfile-inline"), scope)
        unset = (*context.unset, *(file.unset if file else ()), *(inline.unset if inline else ()))
        if unset:
            self._give_up(target, f"which Dockerfile it builds needs `{unset[0]}`")
            return
        if is_elsewhere(context.text):
            self._give_up(target, "its Dockerfile is somewhere else")
            return
        for key, kind, image_of in (
            ("cache-from", Kind.CACHE_FROM, cache_image),
            ("attest", Kind.SBOM, attested_scanner),
        ):
            for value in self._items(fields.get(key), scope):
                self._note(target, kind, spelled(value), image_of, scope)
        stage = self._word(fields.get("target"), scope) or Word("")
        platforms = [self._word(one, scope) for one in self._items(fields.get("platforms"), scope)]
        if any(word and word.unset for word in platforms):
            self._give_up(target, "its platforms are an expression")
        contexts = dict(self._pairs(target, fields.get("contexts"), scope))
        for key in [key for key, value in contexts.items() if value is None]:
            self._give_up(target, f"its context `{key}` is an expression")
        pull = self._word(fields.get("pull"), scope) or Word("")
        tags = [self._word(one, scope) for one in self._items(fields.get("tags"), scope)]
        self.builds.append(
            Build(
                line=target.line,
                file=target.file,
                name=name,
                context=context.text,
                dockerfile=file.text or None if file else None,
                is_beside_context=True,
                is_partial=is_parent,
                asks_buildkit=True,
                inline=inline.text if inline else None,
                args=dict(self._pairs(target, fields.get("args"), scope)),
                contexts=contexts,
                platforms=tuple(word.text for word in platforms if word and not word.unset),
                target=stage.text or None,
                is_target_known=not stage.unset,
                pulls_always=self._asked.pulls_always or pull.text == "true" or bool(pull.unset),
                tags=tuple(word.text for word in tags if word and not word.unset),
            )
        )

    def _note(
        self, target: _Target, kind: Kind, written: str, image_of: Callable[[str], str | None], scope: Scope
    ) -> None:
        word = self._word(written, scope) or Word("")
        image = image_of(word.text)
        if word.unset and _NO_TYPE.search(word.text):
            self._give_up(target, f"`{written}` has no known value")
        elif image is not None and (image or word.unset):
            shown = written if word.unset else image
            self.images.append(NamedImage(target.line, kind, shown, image, unset=word.unset, file=target.file))

    def _pairs(self, target: _Target, value: Any, scope: Scope) -> Iterator[tuple[str, str | None]]:
        """The values of a mapping, None for an unknown one; `null` is left out."""
        for key, one in _mapping(value).items():
            name = self._text(key, scope) if "{" in key else key
            word = self._word(one, scope)
            if name is None:
                self._give_up(target, f"the key `{key}` has no known value")
            elif word is not None:
                yield name, None if word.unset else word.text

    def _text(self, value: Any, scope: Scope) -> str | None:
        word = self._word(value, scope)
        return word.text if word and not word.unset else None

    def _word(self, value: Any, scope: Scope) -> Word | None:
        """A value with its expressions evaluated; None for `null`."""
        if value is None:
            return None
        try:
            if isinstance(value, dict | list):
                raise NotKnown("a list")
            found = evaluate_template(spelled(value), scope)
            return None if found is None else Word(text_of(found))
        except NotKnown as error:
            return Word(error.text, (error.name,))

    def _give_up(self, target: _Target, why: str) -> None:
        self.troubles.append(Trouble(target.line, f"not understood: {why}", is_fault=True, file=target.file))


class _Members(Mapping[str, Any]):
    """The variables of one member of a matrix, each evaluated when it is asked for."""

    def __init__(self, raw: Mapping[str, Any], scope: Scope) -> None:
        self._raw = raw
        self._scope = scope

    def __getitem__(self, name: str) -> Any:
        return evaluated(self._raw[name], self._scope)

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _converted(name: str, given: str | None, kind: str, default: Any) -> Any:
    """The value that a variable has from outside, of its declared type or else of its default's."""
    if given is None or "object" in kind or "map" in kind or "tuple" in kind or isinstance(default, list | dict):
        raise NotKnown(name)
    if "list" in kind or "set" in kind:
        return given.split(",")
    try:
        if "bool" in kind or isinstance(default, bool):
            return {"1": True, "true": True, "0": False, "false": False}[given.lower()]
        if "number" in kind or isinstance(default, int | float):
            return float(given) if "." in given else int(given)
    except (KeyError, ValueError) as error:
        raise NotKnown(name) from error
    return given


def _written(value: Any) -> Any:
    """A known value as the file would have it."""
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items()}
    return _literal(value) if isinstance(value, str) else value


def _line_of(name: str, lines: Iterable[str]) -> int:
    pattern = re.compile(rf"""^\s*(target\s+)?"?{re.escape(name)}"?\s*[:{{]""")
    return next((number for number, line in enumerate(lines, 1) if pattern.search(line)), 1)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
