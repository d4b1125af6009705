"""The services of compose files, put together as `docker compose` does it.

Each later file is laid over the ones before it: mappings are merged, lists are joined, and anything else is replaced.
What a file includes is a project of its own, with its own folder and variables, and comes before the services of the
file. A service is then laid over the one that it extends. `!reset` removes a value, `!override` replaces it whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from posixpath import dirname, join, normpath
from typing import Protocol

from toolkit.codebuild.build_fields import is_elsewhere, spelled
from toolkit.codebuild.dotenv import read_dotenv
from toolkit.codebuild.findings import Trouble
from toolkit.codebuild.variables import CannotExpand, Values, Word, interpolate
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_RESET, _OVERRIDE = "!reset", "!override"
_OCTAL = re.compile(r"0[0-7]+")
_PAIRS = (("build", "args"), ("build", "additional_contexts"))
"""Fields that are a mapping or a list of `KEY=VALUE`."""
_COMMENTS = re.compile(r"(?:\s*#[^\n]*)+\s*")
_MOST_FILES = 500
"""How often files may be opened, since each may include others twice. No service extends others through more."""


class CannotRead(Exception):
    """A file cannot be read; the message is a clause."""


class Tree(Protocol):
    """The files around a compose file, by their paths from the project's folder."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        ...

    def read(self, path: str) -> str | None:
        """Its text; None if the reason is noted elsewhere. Raises CannotRead."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """The file that a value stands in, the folder where its paths begin, and the variables that it sees."""

    file: str
    folder: str
    values: Values


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place: a scalar, None, or nodes in a list or a mapping."""

    data: object
    scope: Scope
    line: int
    tag: str = ""

    def get(self, key: str) -> Node | None:
        """The value of a mapping's key; None for an absent one and for `null`."""
        found = self.data.get(key) if isinstance(self.data, dict) else None
        return found if isinstance(found, Node) and found.data is not None else None

    @property
    def items(self) -> list[Node]:
        """The items of a field that holds a list or a single item."""
        return self.data if isinstance(self.data, list) else [self]

    @property
    def plain(self) -> object:
        """The value without places."""
        if isinstance(self.data, dict):
            return {key: node.plain for key, node in self.data.items()}
        return [node.plain for node in self.data] if isinstance(self.data, list) else self.data


class ComposeModel:
    """Reads projects; what it does not understand is in `troubles`, with the file."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._documents: dict[str, Document | None] = {}
        self._opened = 0
        self.troubles: list[Trouble] = []

    @property
    def files(self) -> tuple[str, ...]:
        """The compose files that were read."""
        return tuple(file for file, document in self._documents.items() if document)

    def give_up(self, node: Node, why: str) -> None:
        """Note a value that was not understood."""
        self.trouble(node.scope, node.line, f"not understood: {why}")

    def trouble(self, scope: Scope, line: int, message: str) -> None:
        """Note a fault."""
        self.troubles.append(Trouble(line, message, is_fault=True, file=scope.file))

    def word(self, node: Node | None) -> Word | None:
        """A scalar with the values of its variables; None if there is none, or it cannot be read."""
        if node is None:
            return None
        text = spelled(node.plain)
        try:
            return interpolate(text, node.scope.values)
        except CannotExpand as error:
            self.give_up(node, f"`{text}` cannot be read: {error}")
            return None

    def services(
        self, files: Sequence[str], folder: str, values: Values, above: tuple[str, ...] = (), user: Node | None = None
    ) -> dict[str, Node]:
        """The services of a project with these files; `above` are the files that include it, in the entry `user`."""
        services: dict[str, Node] = {}
        for file in files:
            if (root := self._open(Scope(file, folder, values), user)) is not None:
                services = _laid_over(services, self._services_of(root, (*above, file)))
        return services

    def _open(self, scope: Scope, user: Node | None = None) -> Node | None:
        """The root of a file, which `user` names, with the fields that count."""
        self._opened += 1
        if self._opened > _MOST_FILES:
            if self._opened == _MOST_FILES + 1:
                self.trouble(scope, 1, "not understood: it includes or extends too many files")
            return None
        if scope.file not in self._documents:
            self._documents[scope.file] = None
            try:
                text = self._tree.read(scope.file)
                if text is not None:
                    self._documents[scope.file] = read_document(text, frozenset({_RESET, _OVERRIDE}))
                    if not _COMMENTS.fullmatch(text):  # a layer that a fork may fill adds nothing
                        self._check(scope)
            except CannotRead as error:
                self.trouble(user.scope if user else scope, user.line if user else 1, str(error))
            except NotYaml as error:
                self.trouble(scope, error.line, error.message)
        document = self._documents[scope.file]
        root = document.data if document else None
        if document is None or not isinstance(root, dict):
            return None
        return Node({key: _node(document, scope, (key,), root[key]) for key in _FIELDS if key in root}, scope, 1)

    def _check(self, scope: Scope) -> None:
        document = self._documents[scope.file]
        root = document.data if document else None
        for finding in document.findings if document else ():
            if "given twice" in finding.message and document:
                self.trouble(scope, document.place(finding.path).line, finding.message)
        if not isinstance(root, dict) or not (isinstance(root.get("services"), dict) or "include" in root):
            self.trouble(scope, 1, "it is not a compose file: it has no `services`")

    def _services_of(self, root: Node, above: tuple[str, ...]) -> dict[str, Node]:
        """The services of a file, over those that it includes, with what they extend."""
        services: dict[str, Node] = {}
        include = root.get("include")
        for entry in include.items if include else ():
            services = _laid_over(services, self._included(entry, above))
        own = root.get("services")
        found = own.data if own and isinstance(own.data, dict) else {}
        for service in found.values():
            if not (isinstance(service.data, dict) or service.data is None):
                self.give_up(service, "a service is a mapping")
        removed = {name: service for name, service in found.items() if service.tag == _RESET}
        services = _laid_over(services, found)
        return {**{name: self._extended(name, services, ()) for name in services}, **removed}

    def _included(self, entry: Node, above: tuple[str, ...]) -> dict[str, Node]:
        scope = entry.scope
        fields = entry if isinstance(entry.data, dict) else Node({"path": entry}, scope, entry.line)
        files, env_files, folders = (self._paths(fields.get(key)) for key in ("path", "env_file", "project_directory"))
        if cycle := next((file for file in files if file in above), None):
            self.give_up(entry, f"`{cycle}` includes itself")
        if not files or cycle:
            return {}
        folder = next(iter(folders), dirname(files[0]))
        usual = join(folder, ".env")
        values = dict(scope.values)
        try:
            found: dict[str, str | None] = {}
            for file in env_files or filter(self._tree.has, [usual]):
                if file != "/dev/null":
                    found = read_dotenv(self._tree.read(file) or "", values, found)
        except CannotRead as error:
            self.trouble(scope, entry.line, str(error))
        return self.services(files, folder, {**found, **values}, above, entry)

    def _paths(self, node: Node | None) -> list[str]:
        """The paths of a field from the project's folder."""
        found = []
        for item in node.items if node else ():
            word = self.word(item)
            if word is None or word.unset or is_elsewhere(word.text):
                self.give_up(item, "the file that it includes is somewhere else")
            else:
                found.append(normpath(join(item.scope.folder, word.text)))
        return found

    def _extended(self, name: str, services: dict[str, Node], seen: tuple[tuple[str, str], ...]) -> Node:
        """A service over the one that it extends; `seen` are the services that lead here."""
        service = services[name]
        extends = service.get("extends")
        if extends is None:
            return service
        key = (service.scope.file, name)
        if key in seen or len(seen) > _MOST_FILES:
            self.give_up(extends, f"`{name}` extends itself")
            return service
        other = self.word(extends.get("service") if isinstance(extends.data, dict) else extends)
        if file := extends.get("file"):
            path = next(iter(self._paths(file)), None)
            root = self._open(Scope(path, dirname(path), service.scope.values), file) if path else None
            if root is None:
                return service
            found = root.get("services")
            services = found.data if found and isinstance(found.data, dict) else {}
        if other is None or other.text not in services:
            self.give_up(extends, f"there is no service `{other.text if other else ''}`, which `{name}` extends")
            return service
        return _merged(self._extended(other.text, services, (*seen, key)), service, ())


_FIELDS = ("include", "services")


def _node(document: Document, scope: Scope, path: Path, data: object) -> Node:
    place = document.place(path)
    tag = document.tags.get(path, "")
    if tag == _RESET:
        data = None
    elif isinstance(data, dict):
        data = {key: _node(document, scope, (*path, key), one) for key, one in data.items()}
    elif isinstance(data, list):
        data = [_node(document, scope, (*path, number), one) for number, one in enumerate(data)]
    elif isinstance(data, int) and place.text and _OCTAL.fullmatch(place.text):
        data = int(place.text, 8)
    return Node(data, scope, place.line, tag)


def _laid_over(below: dict[str, Node], above: dict[str, Node]) -> dict[str, Node]:
    merged = dict(below)
    for name, service in above.items():
        if service.tag == _RESET:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged[name], service, ()) if name in merged else service
    return merged


def _merged(below: Node, above: Node, path: tuple[str, ...]) -> Node:
    """`above` over `below`; `path` are the keys that lead there in a service.

    A service is that of the file above, from whose folder it starts; what is in it stays where it was written.
    """
    if above.tag == _OVERRIDE:
        return above
    if path in _PAIRS:
        below, above = _as_pairs(below), _as_pairs(above)
    elif path == ("build",):
        below, above = _as_build(below), _as_build(above)
    if above.data is None:
        return below
    if isinstance(below.data, dict) and isinstance(above.data, dict):
        data = dict(below.data)
        for key, node in above.data.items():
            if node.tag == _RESET:
                data.pop(key, None)
            elif key in data and path not in _PAIRS:
                data[key] = _merged(data[key], node, (*path, key))
            else:
                data[key] = node
        return replace(below if path else above, data=data)
    if isinstance(below.data, list) and isinstance(above.data, list):
        return replace(above, data=[*below.data, *above.data])
    return above


def _as_build(node: Node) -> Node:
    return replace(node, data={"context": node}) if isinstance(node.data, str) else node


def _as_pairs(node: Node) -> Node:
    """A mapping for a list of `KEY=VALUE`; a key alone has no value."""
    if not isinstance(node.data, list):
        return node
    pairs = [(one, *spelled(one.plain).partition("=")) for one in node.data]
    return replace(node, data={key: replace(one, data=own if equals else None) for one, key, equals, own in pairs})


def pairs_of(node: Node | None) -> dict[str, Node]:
    """The values of a field that is a mapping or a list of `KEY=VALUE`."""
    pairs = _as_pairs(node).data if node else None
    return pairs if isinstance(pairs, dict) else {}


def fields_of_build(node: Node) -> Node | None:
    """`build` in its long form; None if it has another shape."""
    build = _as_build(node)
    return build if isinstance(build.data, dict) else None
