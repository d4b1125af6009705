"""Dockerfiles: from text to instructions, by the rules of BuildKit's frontend.

The grammar has four levels, and this file reads them in this order:

1. Directives: comments at the very top that set the escape letter or name another frontend.
2. Statements: lines that are joined by a continuation. Comments and empty lines between them are left out.
3. Instructions: a name, flags, and arguments in one of seven forms (`_FORMS`).
4. Heredocs: lines that belong to an instruction, up to the delimiter that the instruction names.

What a name means (a stage, an image) and what a variable holds is for `dockerfile_reading`. Every level costs time in
proportion to the text. `tests/unit/codebuild/test_dockerfile_oracle.py` compares the result with BuildKit's own parser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""White space as Go defines it: Python counts four control characters more."""
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_LONGEST_LINE = 65_535
"""Bytes: BuildKit refuses a file with a longer line."""


@dataclass(frozen=True, slots=True)
class Directive:
    """A comment `# name=value` at the top of the file; `name` is in lower case."""

    line: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `name` is in lower case, whether Docker knows it or not.

    `value` has the words of a `FROM`, the paths of a `COPY`, names and values in turn for `ENV` and `LABEL`, and one
    text for a command in shell form. It is empty for an `ONBUILD`, whose instruction is `trigger`, and for a name that
    Docker does not know. `end_line` is the last line of the last heredoc.
    """

    name: str
    flags: tuple[str, ...]
    value: tuple[str, ...]
    start_line: int
    end_line: int
    is_json: bool = False
    trigger: Instruction | None = None

    @property
    def is_known(self) -> bool:
        """Whether Docker has an instruction of this name."""
        return self.name in _FORMS or self.name == "onbuild"

    def flag_values(self, name: str) -> Iterator[str]:
        """The values of a flag, which some instructions take several times."""
        prefix = f"--{name}="
        return (flag.removeprefix(prefix) for flag in self.flags if flag.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile; `escape` is the letter that continues lines and protects letters in words."""

    escape: str
    instructions: tuple[Instruction, ...]


class DockerfileError(Exception):
    """The text is not a Dockerfile. `message` is a clause that quotes nothing: the file may hold secrets."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _Unreadable(Exception):
    """An instruction breaks a rule; the caller adds its line."""


def parse_dockerfile(text: str) -> Dockerfile:
    """Read every instruction. Raises `DockerfileError` at the first that the grammar does not allow."""
    lines = text.removeprefix("\ufeff").split("\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if len(line.encode(errors="surrogatepass")) > _LONGEST_LINE:
            raise DockerfileError(number, f"the line is longer than {_LONGEST_LINE:,} bytes")
    escape = _escape_letter(lines)
    reader = _Lines(lines, escape)
    instructions = []
    while not reader.is_done:
        start = reader.number + 1
        statement = reader.next_statement().strip(_SPACE)
        if not statement:
            continue
        try:
            instruction = _parse_instruction(statement, escape, start)
            if _takes_heredocs(instruction):
                reader.skip_heredocs(_heredocs(statement))
        except _Unreadable as error:
            name = statement.split(maxsplit=1)[0].upper()
            raise DockerfileError(start, f"`{name}` cannot be read: {error}") from None
        instructions.append(replace(instruction, end_line=reader.number))
    if not instructions:
        raise DockerfileError(1, "the file has no instructions")
    return Dockerfile(escape, tuple(instructions))


# --- Directives


def find_syntax(text: str) -> Directive | None:
    """The frontend that the file asks for: in a `#` directive, else in a `//` directive, else in a JSON document.

    BuildKit looks for it before it parses the file, because another frontend may read another language.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    shebang = 1 if lines[0].startswith("#!") else 0
    for comment in ("#", "//"):
        try:
            for directive in _directives(lines[shebang:], comment):
                if directive.name == "syntax":
                    return Directive(directive.line + shebang, "syntax", directive.value.split(" ")[0])
        except DockerfileError:
            pass
    if text.lstrip(_SPACE).startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if isinstance(document, dict) and isinstance(document.get("syntax"), str) and document["syntax"]:
            return Directive(1, "syntax", document["syntax"])
    return None


def _directives(lines: Iterable[str], comment: str = "#") -> Iterator[Directive]:
    """The directives at the top, up to the first line that is not one. Each may be given once."""
    blank = r"[\t\f\r ]*"
    pattern = re.compile(rf"{comment}{blank}(syntax|escape|check){blank}={blank}([^\t\f\r ].*)", re.IGNORECASE)
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        match = pattern.fullmatch(line.rstrip("\t\f\r "))
        if match is None:
            return
        name = match[1].lower()
        if name in seen:
            raise DockerfileError(number, f"the directive `{name}` is given twice")
        seen.add(name)
        yield Directive(number, name, match[2])


def _escape_letter(lines: Iterable[str]) -> str:
    escape = "\\"
    for directive in _directives(line.lstrip(_SPACE) for line in lines):
        if directive.name == "escape":
            if directive.value not in ("\\", "`"):
                raise DockerfileError(directive.line, "the directive `escape` takes a backslash or a backtick")
            escape = directive.value
    return escape


# --- Statements


class _Lines:
    """The lines of a file, read once and in order; `number` is the last line that was read."""

    def __init__(self, lines: list[str], escape: str) -> None:
        self._lines = lines
        self._escape = escape
        self.number = 0

    @property
    def is_done(self) -> bool:
        return self.number == len(self._lines)

    def next_statement(self) -> str:
        """Join the following line with those that continue it; "" for a comment or an empty line."""
        parts: list[str] = []
        is_continued = True
        while is_continued and not self.is_done:
            line = self._next()
            content = line.lstrip(_SPACE)
            if content and not content.startswith("#"):
                part, is_continued = self._without_continuation(line)
                parts.append(part)
            elif not parts:
                break
        return "".join(parts)

    def skip_heredocs(self, heredocs: Iterable[_Heredoc]) -> None:
        """Skip the bodies of heredocs, which follow each other."""
        for heredoc in heredocs:
            while not self.is_done:
                line = self._next()
                if (line.lstrip("\t") if heredoc.strips_tabs else line) == heredoc.delimiter:
                    break
            else:
                raise _Unreadable("the heredoc that begins here has no end")

    def _next(self) -> str:
        self.number += 1
        return self._lines[self.number - 1].rstrip("\r")

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        """A line continues after one escape letter, which blanks may follow; two of them are text."""
        text = line.rstrip(" \t")
        is_continued = text.endswith(self._escape) and not text.endswith(self._escape * 2)
        return (text[:-1], True) if is_continued else (line, False)


# --- Instructions


def _parse_instruction(statement: str, escape: str, line: int, *, is_trigger: bool = False) -> Instruction:
    name, *others = _BLANKS.split(statement, maxsplit=1)
    name = name.lower()
    flags, rest = _split_flags(others[0]) if others else ((), "")
    if name == "onbuild":
        # Docker refuses an ONBUILD in an ONBUILD, whatever follows.
        trigger = _parse_instruction(rest, escape, line, is_trigger=True) if rest and not is_trigger else None
        return Instruction(name, flags, (), line, line, trigger=trigger)
    read = _FORMS.get(name)
    if read is None:
        return Instruction(name, flags, (), line, line)
    value, is_json = read(rest, escape)
    return Instruction(name, flags, value, line, line, is_json)


_FLAG = re.compile(
    r"""[\t-\r ]*+(--(?:[^\t-\r '"\\]|\\.?|'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))*+)"""
)
_FLAG_QUOTES = re.compile(r"""\\(.?)|'((?:[^'\\]|\\.)*+)(?:'|\\?\Z)|"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)""")
_ESCAPED = re.compile(r"\\(.)")


def _split_flags(text: str) -> tuple[tuple[str, ...], str]:
    """The flags, without their quotes, and what follows them or a lone `--`.

    The backslash escapes here, whatever the directive says.
    """
    flags: list[str] = []
    place = 0
    while match := _FLAG.match(text, place):
        place = match.end()
        flag = _FLAG_QUOTES.sub(lambda found: found[1] or _ESCAPED.sub(r"\1", found[2] or found[3] or ""), match[1])
        if flag == "--":
            break
        flags.append(flag)
    return tuple(flags), text[place:].strip(_SPACE)


_Form = Callable[[str, str], tuple[tuple[str, ...], bool]]
"""From arguments and the escape letter to values, and whether they are a JSON array."""


def _as_text(text: str, _: str) -> tuple[tuple[str, ...], bool]:
    return (text,) if text else (), False


def _as_blank_separated(text: str, _: str) -> tuple[tuple[str, ...], bool]:
    return tuple(_BLANKS.split(text)) if text else (), False


def _as_words(text: str, escape: str) -> tuple[tuple[str, ...], bool]:
    return tuple(_quoted_words(text, escape)), False


def _as_pairs(text: str, escape: str) -> tuple[tuple[str, ...], bool]:
    """`name=value …`, or `name value` in the old form."""
    words = _quoted_words(text, escape)
    if words and "=" not in words[0]:
        parts = _BLANKS.split(text, maxsplit=1)
        if len(parts) == 1:
            raise _Unreadable("a name has no value")
        return tuple(parts), False
    if not all("=" in word for word in words):
        raise _Unreadable("a word has no `=`: each must be `name=value`")
    return tuple(part for word in words for part in word.split("=", 1)), False


def _as_json_or_text(text: str, escape: str) -> tuple[tuple[str, ...], bool]:
    strings = _json_strings(text)
    return (strings, True) if strings is not None else _as_text(text, escape)


def _as_json_or_blank_separated(text: str, escape: str) -> tuple[tuple[str, ...], bool]:
    strings = _json_strings(text)
    return (strings, True) if strings is not None else _as_blank_separated(text, escape)


def _as_health_check(text: str, escape: str) -> tuple[tuple[str, ...], bool]:
    """`NONE`, or `CMD` and a command."""
    kind, *others = re.split(rf"[{_SPACE}]+", text, maxsplit=1)
    value, is_json = _as_json_or_text("".join(others), escape)
    return ((kind, *value) if kind else ()), is_json


_FORMS: dict[str, _Form] = {
    "add": _as_json_or_blank_separated,
    "arg": _as_words,
    "cmd": _as_json_or_text,
    "copy": _as_json_or_blank_separated,
    "entrypoint": _as_json_or_text,
    "env": _as_pairs,
    "expose": _as_blank_separated,
    "from": _as_blank_separated,
    "healthcheck": _as_health_check,
    "label": _as_pairs,
    "maintainer": _as_text,
    "run": _as_json_or_text,
    "shell": _as_json_or_text,
    "stopsignal": _as_text,
    "user": _as_text,
    "volume": _as_json_or_blank_separated,
    "workdir": _as_text,
}
"""How each instruction writes its arguments; `ONBUILD` takes an instruction."""


def _json_strings(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None for other text, which Docker reads as a command or as paths."""
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in values):
        raise _Unreadable("a JSON array may hold strings only")
    return tuple(values)


def _no_number(name: str) -> None:
    raise ValueError(name)  # Python reads `NaN` and `Infinity`, which JSON does not have


def _word_pattern(escape: str) -> re.Pattern[str]:
    letter = re.escape(escape)
    single = r"'[^']*+(?:'|\Z)"
    double = rf'"(?:[^"{letter}]|{letter}.)*+(?:"|({letter})?\Z)'
    return re.compile(rf"""(?:[^{_SPACE}'"{letter}]|{letter}.|({letter})\Z|{single}|{double})++""")


_WORDS = {escape: _word_pattern(escape) for escape in "\\`"}


def _quoted_words(text: str, escape: str) -> list[str]:
    """Words with their quotes and escapes. An open quote ends with the text; an escape there is dropped."""
    words = []
    for match in _WORDS[escape].finditer(text):
        word = match[0][:-1] if match[1] or match[2] else match[0]
        if word:
            words.append(word)
    return words


# --- Heredocs


@dataclass(frozen=True, slots=True)
class _Heredoc:
    delimiter: str
    strips_tabs: bool


_HEREDOC = re.compile(r"[0-9]*<<(-?+)\s*([^<]+)", re.ASCII)
_DELIMITER_QUOTES = re.compile(r"""\\(.?)|'([^']*)'|"((?:[^"\\]|\\.)*+)\"""")
_ESCAPED_IN_QUOTES = re.compile(r'\\(["$\\])')


def _takes_heredocs(instruction: Instruction) -> bool:
    one = instruction.trigger or instruction
    return one.name in ("add", "copy", "run") and not one.is_json


def _heredocs(statement: str) -> list[_Heredoc]:
    if "<<" not in statement:
        return []
    found = []
    for word in _shell_words(statement):
        match = _HEREDOC.fullmatch(word)
        if match is None:
            continue
        delimiter = _DELIMITER_QUOTES.sub(
            lambda part: part[1] or part[2] or _ESCAPED_IN_QUOTES.sub(r"\1", part[3] or ""), match[2]
        )
        if delimiter:
            found.append(_Heredoc(delimiter, strips_tabs=bool(match[1])))
    return found


_PIECE = re.compile(
    rf"""
      \\.?                                                # an escaped letter
    | \$\{{ ([@*\#?$!-] | [0-9]+ | [^\W\d]\w* )?          # a variable in braces: its name,
            (\}} | :. | [-+?\#%] | / /?)?                 # its end, or an operator that a word follows
    | '[^']*'?
    | ["}}/]
    | <<\s*                                               # blanks after `<<` belong to the word
    | [{_SPACE}]+
    | [^\\$'"}}/<{_SPACE}]+
    | \$\$? | <
    """,
    re.VERBOSE,
)


def _shell_words(line: str) -> list[str]:
    """The words of a line with their quotes and escapes, as a shell splits them.

    There are none where a quote or a variable is not closed: Docker then finds no heredoc, and neither do we.
    """
    words: list[str] = []
    closers: list[str] = []  # what ends the quote or the variable that is open, the innermost last
    start = place = 0
    while match := _PIECE.match(line, place):
        piece, closer = match[0], closers[-1] if closers else ""
        if piece.startswith("'") and closer == '"':
            piece = "'"
        elif piece.startswith("'") and (len(piece) == 1 or not piece.endswith("'")):
            return []
        elif piece.startswith("${"):
            name, operator = match[1], match[2]
            if not operator or (not name and operator[0] in "}:"):
                return []
            if operator != "}":
                closers.append("/" if operator[0] == "/" else "}")
        elif piece == closer:
            closers.pop()
            if piece == "/":
                closers.append("}")
        elif piece == '"':
            closers.append('"')
        elif piece[0] in _SPACE and '"' not in closers[:1]:
            words.append(line[start:place])
            start = place + len(piece)
        place += len(piece)
    return [] if closers else [*words, line[start:]]
