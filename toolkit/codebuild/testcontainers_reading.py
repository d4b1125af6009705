"""The images that tests start by Testcontainers, as their sources and settings name them.

Sources are read without a compiler: comments and texts are found, then the usual calls. A name is known if it is a text
or a constant that the same file sets once. Anything else is unknown, also what a call without a name starts, because
that depends on the release of the library.

What the libraries do was read in their sources (Java 2.0, Go 0.44, Node 12, Python 4.15, .NET 4.13):

- All of them start an image that the daemon has without a pull, unless the test wants a pull each time.
- `TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX` is put before names without a registry, with nothing like `library/` between;
  Python puts it before every name. Java also reads it as `hub.image.name.prefix` in `testcontainers.properties`.
- Ryuk removes the containers in the end. Java and .NET take its image from `TESTCONTAINERS_RYUK_CONTAINER_IMAGE`, Node
  and Python from `RYUK_CONTAINER_IMAGE`, and Go has a fixed one. All of them do without it if
  `TESTCONTAINERS_RYUK_DISABLED` is `true`. Of the other helpers, Java lets all be chosen and Node `sshd`.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from toolkit.codebuild.coverage import Builder, Kind
from toolkit.codebuild.findings import NamedImage, Reading
from toolkit.codebuild.variables import Values
from toolkit.oci.reference import parsed

RYUK, SSHD, SOCAT = "testcontainers/ryuk", "testcontainers/sshd", "alpine/socat"

LANGUAGES: Mapping[str, str] = {
    **dict.fromkeys((".java", ".kt", ".kts", ".groovy", ".scala"), "java"),
    ".go": "go",
    ".py": "python",
    **dict.fromkeys((".js", ".jsx", ".cjs", ".mjs", ".ts", ".tsx", ".cts", ".mts"), "node"),
    **dict.fromkeys((".cs", ".vb", ".fs"), "dotnet"),
}
"""The library that a source may use, by the ending of its name."""
NEEDS_NEW = frozenset({".java", ".groovy"})
SETTINGS = frozenset({".properties", ".yml", ".yaml", ".conf", ".xml"})
"""The endings of files that may have the URL of a database that Java's library starts."""

PINNED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    RYUK: {
        "TESTCONTAINERS_RYUK_CONTAINER_IMAGE": ("java", "dotnet"),
        "RYUK_CONTAINER_IMAGE": ("node", "python"),
    },
    SSHD: {"TESTCONTAINERS_SSHD_CONTAINER_IMAGE": ("java",), "SSHD_CONTAINER_IMAGE": ("node",)},
    SOCAT: {"TESTCONTAINERS_SOCAT_CONTAINER_IMAGE": ("java",)},
}
"""The variables that name the images of a library itself, and the libraries that read them."""

_MENTIONS = {
    "java": re.compile(r"\borg\.testcontainers\b|\bcom\.dimafeng\.testcontainers\b|\b(?:jdbc|r2dbc):tc:"),
    "go": re.compile(r'"github\.com/testcontainers/testcontainers-go\b'),
    "python": re.compile(r"^[ \t]*(?:from|import)[ \t]+testcontainers\b", re.MULTILINE),
    "node": re.compile(r"""["'](?:@testcontainers/[\w-]+|testcontainers)["']"""),
    "dotnet": re.compile(r"\b(?:DotNet\.)?Testcontainers\b"),
}
_TEXT = (
    r'"""(?:[^\\]|\\.)*?(?:"""|\Z)|\'\'\'(?:[^\\]|\\.)*?(?:\'\'\'|\Z)|'
    r'"(?:[^"\\\n]|\\.)*(?:"|(?=\n)|\Z|(?<=\\))|\'(?:[^\'\\\n]|\\.)*(?:\'|(?=\n)|\Z|(?<=\\))'
)
"""What does not close ends with the line or the file: a pattern that fails there is tried again at every letter."""
_SLASHES = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_COMMENTS = {"python": r"#[^\n]*"}
_RAW_TEXTS = dict.fromkeys(("go", "node"), r"|`[^`]*(?:`|\Z)")
_TOKENS = {
    language: re.compile(
        f"(?P<comment>{_COMMENTS.get(language, _SLASHES)})|(?P<text>{_TEXT}{_RAW_TEXTS.get(language, '')})", re.DOTALL
    )
    for language in _MENTIONS
}
_INSIDE = "\1"
"""Stands for each character of a text, so that a pattern of code does not match there."""

_ASSIGNED = re.compile(
    r"^[ \t]*(?:[\w<>?,.\[\]*]+[ \t]+)*?(\w+)[ \t]*(?::[ \t]*[\w<>?.\[\]]+[ \t]*)?(?::=|=(?![=>]))[ \t\n]*",
    re.MULTILINE,
)
_LITERAL = re.compile(rf'([fFrRuUsS$@]{{0,2}})"[{_INSIDE}]*"')
_NAME = re.compile(r"(?:\w+\s*\.\s*)*(\w+)")
_WRAPPED = re.compile(r"(?<![\w.])(?:new\s+)?(?:[\w.]+\.)?(?:DockerImageName(?:\s*\.\s*parse)?|DockerImage)\s*\(")
_TAGGED = re.compile(r"\s*\.\s*withTag\s*\(")
_CHANGED = re.compile(r"(?:\w+\s*\.\s*)*?(\w+)\s*\.\s*(?:withTag|asCompatibleSubstituteFor)\s*\(")
_STAND_IN = re.compile(r"\b(?:asCompatibleSubstituteFor|assertCompatibleWith)\s*\(\s*$")
_VARIABLE = re.compile(r"\$\{\s*(?:\w+\.)*(\w+)\s*\}|\$(\w+)")
_VARIABLE_IN_BRACES = re.compile(r"\{\s*(?:\w+\.)*(\w+)\s*\}")
_IS_BUILT = re.compile(r"ImageFromDockerfile|\bfromDockerfile\b|\bDockerImage\s*\(\s*path\b|\bstr\s*\(")
_PULLS = re.compile(
    r"\balwaysPull\s*\(|\bPullPolicy\s*\.\s*(?:alwaysPull|Always)\b|\bAlwaysPullImage\s*:\s*true|\bWithAlwaysPull\b"
)
_LONGEST_EXPRESSION = 2_000
_LONGEST_NAME = 1_000
_DEEPEST = 10
"""How deeply constants and calls of one name may be nested."""
_STOPS = re.compile(r"[+,;\n()\[\]{}]")

_HELPERS = (
    (
        SSHD,
        re.compile(r"\b(?:exposeHostPorts|withAccessToHost|HostAccessPorts|WithHostPortAccess|ExposeHostPorts\w*)\b"),
    ),
    (SOCAT, re.compile(r"\b(?:DockerComposeContainer|ComposeContainer|SocatContainer|SocatBuilder)\b")),
)
"""What has a library start a further container."""

_URL = re.compile(r"\b(?:jdbc|r2dbc):tc:([a-z0-9]+)(?::([^:/\"'\s]+))?:/{2,3}([^\s\"']*)")
_TAG_OF_URL = re.compile(r"[?&]TC_IMAGE_TAG=([\w.-]+)")
_IMAGE_OF_DATABASE = {
    "clickhouse": "clickhouse/clickhouse-server",
    "cockroach": "cockroachdb/cockroach",
    "cratedb": "crate",
    "mariadb": "mariadb",
    "mysql": "mysql",
    "pgvector": "pgvector/pgvector",
    "postgis": "postgis/postgis",
    "postgresql": "postgres",
    "questdb": "questdb/questdb",
    "sqlserver": "mcr.microsoft.com/mssql/server",
    "tidb": "pingcap/tidb",
    "timescaledb": "timescale/timescaledb",
    "trino": "trinodb/trino",
    "yugabyte": "yugabytedb/yugabyte",
}
"""The image for each kind of URL, from the providers of Java's library. Oracle and Db2 have two providers each."""
_PROPERTY = re.compile(r"^[ \t]*([\w.]+)[ \t]*[=:][ \t]*(\S+)[ \t]*$", re.MULTILINE)

_GO_RELEASE = re.compile(r"\bgithub\.com/testcontainers/testcontainers-go\s+v(\d+)\.(\d+)\.(\d+)")
_RYUK_OF_GO = (
    ((0, 12, 0), "0.3.3"),
    ((0, 15, 0), "0.3.4"),
    ((0, 20, 0), "0.4.0"),
    ((0, 21, 0), "0.5.1"),
    ((0, 27, 0), "0.6.0"),
    ((0, 30, 0), "0.7.0"),
    ((0, 33, 0), "0.8.1"),
    ((0, 34, 0), "0.10.2"),
    ((0, 34, 1), "0.11.0"),
    ((0, 38, 0), "0.12.0"),
    ((0, 39, 0), "0.13.0"),
    ((0, 43, 0), "0.14.0"),
)
"""The first release of Go's library with each Ryuk, from the tags of its repository."""
_GO_AFTER_TABLE = (0, 45, 0)

_OF_RELEASE = "which one depends on the release of Testcontainers"


def uses_testcontainers(text: str, language: str) -> bool:
    """Whether a source may use the library."""
    return _MENTIONS[language].search(text) is not None


def read_tests(text: str, language: str, values: Values | None = None, *, needs_new: bool = False) -> Reading:
    """The images that a source starts, and those of the library itself that it needs besides Ryuk.

    `values` fill in names that the file leaves unknown. `needs_new`: the language makes objects by `new` only.
    """
    source = _Source(text, language, values or {}, needs_new=needs_new)
    images = [one for one in _CALLS[language](source) if one]
    images += source.names_alone()
    if language == "java":
        images += _urls(source.readable)
    for name, pattern in _HELPERS:
        if language != "python" and (asked := pattern.search(source.code)):
            images.append(implied(source.line(asked.start()), name, language))
    pulls = _PULLS.search(source.code) is not None
    usable = {replace(one, pulls_always=pulls, library=language) for one in images if one.unset or parsed(one.name)}
    return Reading(tuple(sorted(usable, key=lambda image: (image.line, image.written))))


def read_settings(text: str) -> Reading:
    """The images of the URLs in a settings file that has Java's library start databases."""
    return Reading(tuple(one for one in _urls(text) if one.unset or parsed(one.name)))


def read_properties(text: str) -> tuple[Reading, dict[str, str]]:
    """The images that a `testcontainers.properties` names, and all of its properties."""
    images, properties = [], {}
    for found in _PROPERTY.finditer(text):
        name, value = found.groups()
        properties[name] = value
        if name.endswith(".container.image") and parsed(value):
            line = text.count("\n", 0, found.start(1)) + 1
            images.append(NamedImage(line, Kind.RUN, value, value, library="java"))
    return Reading(tuple(images)), properties


def implied(line: int, name: str, language: str) -> NamedImage:
    """An image that a library starts by itself, in the version of its release."""
    return NamedImage(
        line,
        Kind.RUN,
        name,
        name,
        unset=("its tag",),
        library=language,
        is_implied=True,
        doubt=f"its tag: {_OF_RELEASE}",
    )


def ryuk_of_go(text: str) -> str | None:
    """The Ryuk that the release of Go's library in a `go.mod` starts; None if the table does not have it."""
    found = _GO_RELEASE.search(text)
    release = tuple(map(int, found.groups())) if found else (0, 0, 0)
    if not _RYUK_OF_GO[0][0] <= release < _GO_AFTER_TABLE:
        return None
    return f"{RYUK}:{[tag for first, tag in _RYUK_OF_GO if first <= release][-1]}"


def prefixed(image: NamedImage, prefix: str) -> NamedImage:
    """The image with a prefix for Docker Hub, as all libraries but Python's apply it: to names without a registry."""
    if image.is_implied or has_registry(image.name):
        return image
    return replace(image, written=f"{prefix}{image.written}", name=f"{prefix}{image.name}")


def has_registry(name: str) -> bool:
    """Whether a name begins with a registry, as the libraries see it."""
    host, slash, _ = name.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def _has_version(name: str) -> bool:
    """Whether a name has a tag or a digest."""
    return ":" in name.rpartition("/")[2]


def _urls(text: str) -> Iterator[NamedImage]:
    for url in _URL.finditer(text):
        kind, tag, rest = url.groups()
        asked = _TAG_OF_URL.search(rest)
        tag = tag or (asked[1] if asked else "")
        name = _IMAGE_OF_DATABASE.get(kind)
        known = bool(name and tag) and "$" not in tag
        written = f"{name}:{tag}" if known else url[0].partition("//")[0]
        yield NamedImage(
            text.count("\n", 0, url.start()) + 1,
            Kind.RUN,
            written,
            written,
            unset=() if known else ("its tag",),
            library="java",
            doubt="" if known else f"the image of this URL: {_OF_RELEASE}",
        )


@dataclass(frozen=True, slots=True)
class _Text:
    """What an expression is: `written` has variables in the form `${NAME}`, `name` has their values."""

    written: str = ""
    name: str = ""
    unset: tuple[str, ...] = ()

    def __add__(self, other: _Text) -> _Text:
        return _Text(self.written + other.written, self.name + other.name, (*self.unset, *other.unset))


@dataclass(frozen=True, slots=True)
class _Argument:
    """The place of an argument; `name` is set if it is given by name."""

    start: int
    end: int
    name: str = ""


class _Source:
    """A source: `readable` has no comments, `code` has no texts either. Places are the same in both."""

    def __init__(self, text: str, language: str, values: Values, *, needs_new: bool = False) -> None:
        self.needs_new = needs_new
        self._language = language
        self._values = values
        readable, code = list(text), list(text)
        for token in _TOKENS[language].finditer(text):
            start, end = token.span()
            if token.lastgroup == "comment":
                blank = [one if one == "\n" else " " for one in token[0]]
                readable[start:end] = code[start:end] = blank
            else:
                code[start:end] = ['"', *[_INSIDE] * (end - start - 2), '"'][: end - start]
        self.readable, self.code = "".join(readable), "".join(code)
        self._lines = [found.start() for found in re.finditer("\n", text)]
        self._closing = _pairs(self.code)
        self._values_of: dict[str, _Text | None] = {}
        self._constants: dict[str, list[int]] = {}
        depth = seen = 0
        for found in _ASSIGNED.finditer(self.code):
            between = self.code[seen : found.start(1)]
            depth, seen = depth + between.count("(") - between.count(")"), found.start(1)
            if depth <= 0 or language == "go":  # not an argument; Go has its constants in brackets
                self._constants.setdefault(found[1], []).append(found.end())
        self._wrapped: set[int] = set()

    def line(self, at: int) -> int:
        return bisect(self._lines, at - 1) + 1

    def image(self, at: int, argument: _Argument | None, called: str) -> NamedImage | None:
        """The image that a call at `at` names by `argument`; None if it runs what the source builds."""
        line = self.line(at)
        if argument is None:
            doubt = f"it names no image, and {_OF_RELEASE}"
            return NamedImage(line, Kind.RUN, f"{called}()", "", unset=("its default",), doubt=doubt)
        text = self._evaluate(argument.start, argument.end)
        if text is None or text == _Text():
            return None
        return NamedImage(line, Kind.RUN, text.written, text.name, unset=text.unset)

    def arguments(self, opening: int) -> list[_Argument]:
        """The arguments of the call whose bracket is at `opening`."""
        end = self.end_of(opening)
        commas = [at for at in self._stops(opening + 1, end) if self.code[at] == ","]
        starts = [opening + 1, *(at + 1 for at in commas)]
        found = [self._argument(*one) for one in zip(starts, [*commas, end], strict=True)]
        return [one for one in found if one.start < one.end]

    def end_of(self, opening: int) -> int:
        """Where the bracket at `opening` closes; itself, if it does not."""
        return self._closing.get(opening, opening)

    def _stops(self, start: int, end: int) -> Iterator[int]:
        """Where something stands that may end an expression, except in brackets that close."""
        found = _STOPS.search(self.code, start, end)
        while found:
            at = found.start()
            if at not in self._closing:
                yield at
            found = _STOPS.search(self.code, self._closing.get(at, at) + 1, end)

    def is_constructor(self, opening: int, first: _Argument | None) -> bool:
        """Whether the bracket at `opening` has the parameters of a constructor instead of arguments."""
        if first is None:
            return re.compile(r"\)\s*(?:throws\b[^{]*)?\{").match(self.code, self.end_of(opening)) is not None
        return _PARAMETER.fullmatch(self.code, first.start, first.end) is not None

    def names_alone(self) -> Iterator[NamedImage]:
        """The image names that the source makes from texts and that no call of it uses."""
        for found in _WRAPPED.finditer(self.code):
            first = next(iter(self.arguments(found.end() - 1)), None)
            is_stand_in = _STAND_IN.search(self.code[max(found.start() - 60, 0) : found.start()]) is not None
            if found.start() not in self._wrapped and first and self.code[first.start] == '"' and not is_stand_in:
                text = self._term(found.start(), len(self.code), 0)
                if text and not text.unset and _has_version(text.name):
                    yield NamedImage(self.line(found.start()), Kind.RUN, text.written, text.name)

    def _argument(self, start: int, end: int) -> _Argument:
        while start < end and self.code[start].isspace():
            start += 1
        while start < end and self.code[end - 1].isspace():
            end -= 1
        named = re.compile(r"(\w+)\s*=(?!=)\s*").match(self.code, start, end)
        return _Argument(named.end() if named else start, end, named[1] if named else "")

    def _evaluate(self, start: int, end: int, depth: int = 0) -> _Text | None:
        """The value of the expression there; None if it is something that the source builds."""
        if depth > _DEEPEST or end - start > _LONGEST_EXPRESSION:
            return _Text("...", "", ("...",))
        pluses = [at for at in self._stops(start, end) if self.code[at] == "+"]
        found = _Text()
        for part in zip([start, *(at + 1 for at in pluses)], [*pluses, end], strict=True):
            own = self._argument(*part)
            text = self._term(own.start, own.end, depth)
            if text is None:
                return None
            found += text
        is_long = len(found.name) + len(found.written) > _LONGEST_NAME
        return _Text("...", "", ("...",)) if is_long else found

    def _term(self, start: int, end: int, depth: int) -> _Text | None:
        if literal := _LITERAL.fullmatch(self.code, start, end):
            return self._literal(literal[1], self.readable[literal.end(1) : end].strip("\"'`"), depth)
        if name := _NAME.fullmatch(self.code, start, end):
            return self._constant(name[1], depth)
        if wrapped := _WRAPPED.match(self.code, start, end):
            self._wrapped.add(wrapped.start())
            first, *others = [*self.arguments(wrapped.end() - 1), _Argument(0, 0)]
            text = self._evaluate(first.start, first.end, depth + 1)
            if text and others[0].end:
                text = self._tagged(text, others[0], depth)
            return text and self._behind(text, self.end_of(wrapped.end() - 1) + 1, end, depth)
        if (changed := _CHANGED.match(self.code, start, end)) and not changed[1].startswith("new"):
            text = self._constant(changed[1], depth)
            return text and self._behind(text, changed.end(1), end, depth)
        shown = " ".join(self.readable[start : min(end, start + 100)].split())
        if _IS_BUILT.search(self.code, start, end):
            return None
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return _Text(shown, "", (shown,))

    def _behind(self, text: _Text, at: int, end: int, depth: int) -> _Text | None:
        """An image name with the tag that a `withTag` behind it gives."""
        tagged = _TAGGED.match(self.code, at, end)
        tags = self.arguments(tagged.end() - 1) if tagged else []
        return self._tagged(text, tags[0], depth) if tags else text

    def _tagged(self, text: _Text, argument: _Argument, depth: int) -> _Text | None:
        tag = self._evaluate(argument.start, argument.end, depth + 1)
        is_digest = tag is not None and tag.name.startswith("sha256:")
        bare = _Text(text.written, text.name.partition("@")[0], text.unset)
        if _has_version(text.name):
            bare = _Text(text.written, text.name.rpartition(":")[0], text.unset)
        mark = "@" if is_digest else ":"
        return tag and bare + _Text(mark, mark) + tag

    def _literal(self, prefix: str, value: str, depth: int) -> _Text:
        pattern = _VARIABLE
        if self._language in ("python", "dotnet"):
            pattern = _VARIABLE_IN_BRACES
            if not set(prefix) & set("fF$"):
                return _Text(value, value)
        elif self._language == "go":
            return _Text(value, value)
        found, at = _Text(), 0
        for variable in pattern.finditer(value):
            between = value[at : variable.start()]
            found += _Text(between, between) + (self._constant(next(filter(None, variable.groups())), depth) or _Text())
            at = variable.end()
        return found + _Text(value[at:], value[at:])

    def _constant(self, name: str, depth: int) -> _Text | None:
        """The value of a name that the source sets once; None if it is set to something that the source builds."""
        value = self._values.get(name)
        unknown = _Text(f"${{{name}}}", value or "", () if value else (name,))
        if name not in self._values_of:
            self._values_of[name] = unknown  # for a name that needs itself
            places = self._constants.get(name, [])
            ends = [self._end_of_statement(place) for place in places[:2]]
            if len(places) == 1 and ends[0] is not None:
                text = self._evaluate(places[0], ends[0], depth + 1)
                if text is None or not text.unset:
                    self._values_of[name] = text and _Text(f"${{{name}}}", text.name)
            elif any(end and _IS_BUILT.search(self.code, at, end) for at, end in zip(places[:2], ends, strict=True)):
                self._values_of[name] = None
        return self._values_of[name]

    def _end_of_statement(self, start: int) -> int | None:
        """Where the expression at `start` ends; None if it is a parameter, one of several values or too long."""
        last = min(len(self.code), start + _LONGEST_EXPRESSION)
        for at in self._stops(start, last):
            character = self.code[at]
            if character in ";}" or (character == "\n" and not self._goes_on(start, at)):
                return at
            if character not in "+\n":
                return None
        return last if last == len(self.code) else None

    def _goes_on(self, start: int, at: int) -> bool:
        """Whether the expression that begins at `start` goes on behind the line's end at `at`."""
        is_open = self.code[start:at].rstrip()[-1:] in ("+", "=", "")
        return is_open or self.code[at : at + 200].lstrip()[:1] in ("+", ".")


def _pairs(code: str) -> dict[int, int]:
    """Where each bracket that closes does so."""
    found, opened = {}, []
    for one in re.finditer(r"[()\[\]{}]", code):
        if one[0] in "([{":
            opened.append(one.start())
        elif opened:
            found[opened.pop()] = one.start()
    return found


_CLASS = re.compile(r"\bclass\s+\w+")
_PARENT = re.compile(r"(?:\bextends\s+|^\s*\(\s*)(?:\w+\.)*(\w+)")
_GENERIC = re.compile(r"<[^<>]*>")
_PARAMETER = re.compile(r"(?:final\s+)?[\w.<>?\[\]]+(?:\.\.\.)?\s+\w+")
_LONGEST_HEAD = 500


def _classes(source: _Source) -> list[tuple[int, str]]:
    """Where classes begin, and what they extend."""
    found = []
    for one in _CLASS.finditer(source.code):
        head = re.split(r"[{:]", source.code[one.end() : one.end() + _LONGEST_HEAD])[0]
        while (shorter := _GENERIC.sub("", head)) != head:
            head = shorter
        parent = _PARENT.search(head)
        found.append((one.start(), parent[1] if parent else ""))
    return found


def _class_at(classes: list[tuple[int, str]], at: int) -> str:
    """What the last class before a place extends; empty if it is none."""
    number = bisect(classes, (at, ""))
    return classes[number - 1][1] if number else ""


_NO_IMAGE = ("DockerComposeContainer", "ComposeContainer")
"""Classes that start a compose file."""


def _java(source: _Source) -> Iterator[NamedImage | None]:
    imports = re.findall(r"\b(?:org|com\.dimafeng)\.testcontainers[\w.]*\.(?:(\w+Container)\b|[*_]|\{)", source.code)
    known = {*imports, "GenericContainer"} - {""}
    own = {found.split()[-1] for found in _CLASS.findall(source.code)}
    is_any = "" in imports or re.search(r"\bpackage\s+org\.testcontainers\b", source.code) is not None
    for call in re.finditer(
        r"(\bnew\s+(?:\w+\s*\.\s*)*)?(?<!\w)([A-Z]\w*Container)\s*(?:<[^()\n]{0,200}>)?\s*\(", source.code
    ):
        is_new, name = call.groups()
        if name in (*_NO_IMAGE, *own) or not (is_any or name in known) or (source.needs_new and not is_new):
            continue
        first = next(iter(source.arguments(call.end() - 1)), None)
        if first is None and name == "SocatContainer":
            continue  # a helper, whose image is known as such
        if is_new or not source.is_constructor(call.end() - 1, first):
            yield source.image(call.start(2), first, name)
    yield from _supers(source, known, is_any=is_any, call=r"\bsuper\s*\(")
    if "withDockerfileFromBuilder" in source.code:
        for call in re.finditer(r"\.\s*from\s*\(", source.code):
            found = source.image(call.start(), next(iter(source.arguments(call.end() - 1)), None), "from")
            yield found and replace(found, kind=Kind.FROM, builder=Builder.LEGACY)


def _supers(source: _Source, known: set[str], *, is_any: bool, call: str) -> Iterator[NamedImage | None]:
    """The images that classes give to the container that they extend."""
    classes = _classes(source)
    for found in re.finditer(call, source.code):
        parent = _class_at(classes, found.start())
        if parent in known or (is_any and parent.endswith("Container")):
            yield source.image(found.start(), next(iter(source.arguments(found.end() - 1)), None), parent)


_GO_IMPORT = re.compile(r'(?:\b(?!import\b)(\w+)[ \t]+)?"github\.com/testcontainers/testcontainers-go((?:/[\w.-]+)*)"')


def _go(source: _Source) -> Iterator[NamedImage | None]:
    packages = {}
    for own, path in _GO_IMPORT.findall(source.readable):
        parts = [part for part in path.split("/") if part and not re.fullmatch(r"v\d+", part)]
        packages[own or (parts[-1].replace("-", "") if parts else "testcontainers")] = path
    for call in re.finditer(r"\b(\w+)\s*\.\s*(Run|RunContainer|WithImage)\s*\(", source.code):
        alias, function = call.groups()
        if alias not in packages or packages[alias].endswith("/dockermodelrunner"):
            continue
        arguments = source.arguments(call.end() - 1)
        inside = source.code[call.end() : source.end_of(call.end() - 1)]
        if function == "WithImage":
            yield source.image(call.start(), next(iter(arguments), None), "WithImage")
        elif function == "RunContainer":
            if "WithImage" not in inside and "..." not in inside:
                yield source.image(call.start(), None, f"{alias}.RunContainer")
        elif "WithDockerfile" not in inside and len(arguments) > 1:
            yield source.image(call.start(), arguments[1], f"{alias}.Run")
    for request in re.finditer(r"\bContainerRequest\s*\{", source.code):
        for field in source.arguments(request.end() - 1):
            if named := re.compile(r"Image\s*:\s*").match(source.code, field.start, field.end):
                yield source.image(field.start, _Argument(named.end(), field.end), "Image")


_PYTHON_IMPORT = re.compile(
    r"^[ \t]*from[ \t]+testcontainers[\w.]*[ \t]+import[ \t]+(\([^)]{0,2000}\)|[^\n]+)", re.MULTILINE
)


def _python(source: _Source) -> Iterator[NamedImage | None]:
    imported = [name for names in _PYTHON_IMPORT.findall(source.code) for name in names.strip("()").split(",")]
    known = {name.split()[-1] for name in imported if name.split() and name.split()[0].endswith("Container")} - {
        *_NO_IMAGE
    }
    for call in re.finditer(r"(?<![\w.])((?:\w+\.)*)(\w+)\s*\(", source.code):
        module, name = call.groups()
        is_whole = module.startswith("testcontainers.") and name.endswith("Container")
        if is_whole or (not module and name in known):
            yield source.image(call.start(), _image_of(source, call.end() - 1), name)
    classes = _classes(source)
    for call in re.finditer(r"\bsuper\s*\([^()]*\)\s*\.\s*__init__\s*\(", source.code):
        parent = _class_at(classes, call.start())
        if parent in known:
            yield source.image(call.start(), _image_of(source, call.end() - 1), parent)


def _image_of(source: _Source, opening: int) -> _Argument | None:
    arguments = source.arguments(opening)
    named = [one for one in arguments if one.name == "image"]
    return next(iter(named or [one for one in arguments[:1] if not one.name]), None)


_NODE_IMPORT = re.compile(
    r"\{([^{}]*)\}\s*(?:from|=\s*(?:await\s+)?(?:require|import)\s*\()\s*[\"'](?:testcontainers|@testcontainers/[\w-]+)[\"']"
)


_NODE_CLASS = re.compile(r"(?!(?:Abstract)?(?:Started|Stopped))\w+(?:Container|Emulator)")


def _node(source: _Source) -> Iterator[NamedImage | None]:
    imported = [name for names in _NODE_IMPORT.findall(source.readable) for name in names.split(",")]
    words = [name.replace(":", " ").split() for name in imported]
    known = {one[-1] for one in words if one and one[0] != "type" and _NODE_CLASS.fullmatch(one[0])}
    for call in re.finditer(r"\bnew\s+((?:\w+\.)?)(\w+)\s*\(", source.code):
        if call[2] in known or call[2] == "GenericContainer":
            yield source.image(call.start(), next(iter(source.arguments(call.end() - 1)), None), call[2])
    yield from _supers(source, known, is_any=False, call=r"\bsuper\s*\(")


def _dotnet(source: _Source) -> Iterator[NamedImage | None]:
    modules = re.findall(r"(?<!DotNet\.)\bTestcontainers\.(\w+)", source.code)
    known = {f"{name}Builder".lower() for name in modules} | {"containerbuilder"}
    for call in re.finditer(r"\bnew\s+(?:[\w.]+\.)?(\w+Builder)\s*(?:<[^()\n]{0,200}>)?\s*\(", source.code):
        if call[1].lower() not in known:
            continue
        arguments = source.arguments(call.end() - 1)
        if (
            arguments
            and source.code.startswith("new ", arguments[0].start)
            and "Image" not in source.code[arguments[0].start : arguments[0].end]
        ):
            continue  # the library's own classes
        if arguments:
            yield source.image(call.start(), arguments[0], call[1])
        elif call[1] != "ContainerBuilder" and not re.compile(r"[^;]{0,2000}?\.\s*WithImage\b").match(
            source.code, call.end()
        ):
            yield source.image(call.start(), None, call[1])
    for call in re.finditer(r"\.\s*WithImage\s*\(", source.code):
        yield source.image(call.start(), next(iter(source.arguments(call.end() - 1)), None), "WithImage")


_CALLS: Mapping[str, Callable[[_Source], Iterator[NamedImage | None]]] = {
    "java": _java,
    "go": _go,
    "python": _python,
    "node": _node,
    "dotnet": _dotnet,
}
