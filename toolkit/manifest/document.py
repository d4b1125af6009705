"""YAML text as plain data, with the place of every value in the file.

Built from the parser's node tree, because its constructors drop what messages need: the line of each value, the second
place of a duplicate key, and the text as written (`3.10`) where YAML sees a number (3.1).
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from toolkit.errors import Issue
from toolkit.manifest.grammar import quoted
from toolkit.oci.reference import without_credential

Path = tuple[str | int, ...]

MAX_DEPTH = 32
"""The schema is six levels deep; a recursive alias has no end."""
MAX_VALUES = 200_000
"""An alias counts each time that it is used, so that a few lines cannot become a billion values."""

_LONGEST_NUMBER = 100

_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"true", "yes", "on", "y"})
# Only YAML's escapes (`"\0"`) can write these; no shell, HCL or AWS API takes them.
_UNUSABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BEYOND_UNICODE = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:/+-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands; `line` and `column` are its key's where it has one, and count from 1.

    `text` is a scalar as written, without its quotes; None for lists and mappings.
    """

    line: int
    column: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault at `path`. `place` is set only if it differs from the place of `path`."""

    path: Path
    message: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document. `findings` are faults that leave the rest readable, such as duplicate keys.

    `tags` has the tags that the reader asked for, by the place of their values.
    """

    data: object
    places: Mapping[Path, Place] = field(repr=False)
    findings: Sequence[Finding] = ()
    tags: Mapping[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """The place of `path`; if there is no such value, that of the closest value around it."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def trimmed(self, path: Path) -> Path:
        """`path` cut at the first scalar: a short form has no fields to point at."""
        for end in range(len(path)):
            place = self.places.get(path[:end])
            if place is not None and place.text is not None:
                return path[:end]
        return path


class NotYaml(Exception):
    """The text has no meaning as one YAML document."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def format_path(path: Path) -> str:
    """`path` as people write it: `images[2].source`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(without_credential(part), ensure_ascii=False)}]"
    return text


def read_document(text: str, tags: frozenset[str] = frozenset()) -> Document | None:
    """The document in `text`; None if it has only comments. Raises `NotYaml`.

    A value with one of `tags` is read as if it had none.
    """
    root = compose(text)
    if root is None:
        return None
    reading = _Reading(tags)
    data = reading.value(root, (), 0)
    return Document(data, reading.places, reading.findings, reading.tags)


def issues_of(document: Document, findings: Iterable[Finding], file: str) -> list[Issue]:
    """`findings` in the order of the text, each once, for people; `file` is what they call it."""
    placed = [(finding.place or document.place(finding.path), finding) for finding in findings]
    placed.sort(key=lambda pair: (pair[0].line, pair[0].column))
    issues = (
        Issue(file, place.line, format_path(document.trimmed(finding.path)), finding.message)
        for place, finding in placed
    )
    return list(dict.fromkeys(issues))


def lines_of(text: str) -> list[str]:
    """The lines with their ends, as the marks of `compose` count them, which know fewer ends than `str.splitlines`."""
    return list(io.StringIO(text, newline=""))


def compose(text: str) -> Node | None:
    """The parser's own tree, for code that changes the text; None for an empty document. Raises `NotYaml`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
            return node
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYaml(f"the character U+{_code_point(error.character):04X} is not allowed in YAML", line) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(_syntax_sentence(error), mark.line + 1 if mark else 1) from error
    except YAMLError as error:
        raise NotYaml(str(error), 1) from error
    except RecursionError as error:
        raise NotYaml("lists and mappings are nested too deeply", 1) from error
    except (OverflowError, ValueError) as error:
        found = _BEYOND_UNICODE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        raise NotYaml("an escape `\\U` stands for no character", line) from error


def _code_point(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")


def _syntax_sentence(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "it cannot be parsed")
    if "another document" in problem:
        return "there is a second YAML document: keep one, without `---` in the middle"
    if r"'\t'" in problem:
        return "a tab stands where only spaces may: indent with spaces"
    if "mapping values are not allowed" in problem:
        return "a `:` is not allowed here: check the indentation of this line and the one above, or quote the value"
    advice = ""
    if "undefined alias" in problem:
        advice = "; text that begins with `*` needs quotes"
    if "chomping or indentation" in problem or "'>' that cannot start" in problem:
        advice = "; text that begins with `>` needs quotes"
    return f"not valid YAML: {problem.replace(chr(39), '`')}{advice}"


class _Reading:
    """One walk over a node tree."""

    def __init__(self, known_tags: frozenset[str]) -> None:
        self.places: dict[Path, Place] = {}
        self.findings: list[Finding] = []
        self.tags: dict[Path, str] = {}
        self._known_tags = known_tags
        self._values = 0

    def value(self, node: Node, path: Path, depth: int, key: ScalarNode | None = None) -> object:
        """`node` as plain data; `key` is its key in a mapping."""
        place = _place_of(node, key)
        self._count(place, depth)
        self.places[path] = place
        is_known = str(node.tag) in self._known_tags
        if is_known:
            self.tags[path] = str(node.tag)
        if isinstance(node, MappingNode) and (is_known or node.tag == f"{_TAG}map"):
            data: dict[str, object] = {}
            self._fill(data, node, path, depth)
            return data
        if isinstance(node, SequenceNode) and (is_known or node.tag == f"{_TAG}seq"):
            return [self.value(item, (*path, number), depth + 1) for number, item in enumerate(node.value)]
        if is_known:
            return self._usable(node.value, path, place)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._refuse_tag(node, path)
        return None

    def _count(self, place: Place, depth: int) -> None:
        self._values += 1
        if depth > MAX_DEPTH:
            raise NotYaml("lists and mappings are nested too deeply", place.line)
        if self._values > MAX_VALUES:
            raise NotYaml(f"with its aliases written out it has more than {MAX_VALUES:,} values", place.line)

    def _fill(self, data: dict[str, object], node: MappingNode, path: Path, depth: int) -> None:
        """Add the keys of `node` that `data` does not have yet, then those of what it merges by `<<`."""
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for key, value in node.value:
            place = _place_of(key)
            self._count(place, depth)
            if not isinstance(key, ScalarNode):
                self.findings.append(Finding(path, "a key must be text, not a list or mapping", place))
            elif str(key.tag) == f"{_TAG}merge":
                merged.extend(value.value if isinstance(value, SequenceNode) else [value])
            elif key.value in lines:
                name = _UNUSABLE.sub("?", key.value)
                message = f"{quoted(name)} is given twice: line {lines[key.value]} has it too"
                self.findings.append(Finding((*path, name), message, place))
            else:
                lines[key.value] = place.line
                name = self._usable(key.value, path, place)
                if name not in data:
                    data[name] = self.value(value, (*path, name), depth + 1, key)
        for source in merged:
            if isinstance(source, MappingNode):
                self._fill(data, source, path, depth + 1)
            else:
                self.findings.append(Finding(path, "`<<` takes a mapping or a list of mappings", _place_of(source)))

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        kind = str(node.tag).removeprefix(_TAG)
        text: str = node.value
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() in _TRUE
                case "int":
                    return _integer(text)
                case "float":
                    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
                case "str" | "timestamp" | "value" | "merge":
                    return self._usable(text, path, _place_of(node))
        except ValueError:
            self.findings.append(Finding(path, f"{quoted(_UNUSABLE.sub('?', text))} is not a number"))
            return None
        self._refuse_tag(node, path)
        return None

    def _usable(self, text: str, path: Path, place: Place) -> str:
        """`text` with `?` for what cannot be used, which is a finding."""
        unusable = _UNUSABLE.search(text)
        if unusable:
            self.findings.append(Finding(path, f"the character U+{ord(unusable.group()):04X} cannot be used", place))
        return _UNUSABLE.sub("?", text)

    def _refuse_tag(self, node: Node, path: Path) -> None:
        tag = str(node.tag)
        name = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
        self.findings.append(Finding(path, f"the YAML tag `{name}` has no meaning here: remove it"))


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:  # Python takes a hexadecimal one of any length, and does not print it
        raise ValueError
    digits = text.replace("_", "")
    sign, digits = (digits[0], digits[1:]) if digits[:1] in ("-", "+") else ("", digits)
    number = int(digits, 0) if re.match(r"0[xob]", digits) else int(digits)
    return -number if sign == "-" else number


def _place_of(node: Node, key: ScalarNode | None = None) -> Place:
    mark = (key or node).start_mark
    return Place(mark.line + 1, mark.column + 1, node.value if isinstance(node, ScalarNode) else None)


_PLAIN = re.compile(r"[a-z][A-Za-z0-9._/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*)*(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class NewImage:
    """An entry to be added; `platforms` is `all`, a list, or None for the manifest's own."""

    source: str
    platforms: tuple[str, ...] | str | None = None

    @property
    def text(self) -> str:
        """The entry as YAML, in one line."""
        if self.platforms is None:
            return _scalar(self.source)
        several = not isinstance(self.platforms, str)
        shown = f"[{', '.join(map(_scalar, self.platforms))}]" if several else self.platforms
        return f"{{source: {json.dumps(self.source)}, platforms: {shown}}}"


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
