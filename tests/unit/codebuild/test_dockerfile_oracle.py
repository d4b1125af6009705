"""Our parser of Dockerfiles beside BuildKit's own, which the package `dockerfile` wraps.

That package is archived and holds BuildKit 0.12.5. Where newer releases or Docker's documentation say otherwise, we
follow them, and `KNOWN_DIFFERENCES` says where.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from toolkit.codebuild.dockerfile_parser import DockerfileError, Instruction, parse_dockerfile

oracle = pytest.importorskip("dockerfile", reason="the package `dockerfile` has no wheel for this machine")

ROOT = Path(__file__).parents[3]
FOLDERS = ("tests/proof/corpus", "tests/golden/scan", "examples")
TREES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if "ockerfile" in path.name]

Parsed = tuple[object, ...]


def ours(text: str) -> list[Parsed] | None:
    try:
        instructions = parse_dockerfile(text).instructions
    except DockerfileError:
        return None
    return [shown(one) for one in instructions]


def shown(one: Instruction) -> Parsed:
    inner = one.trigger or one
    trigger = one.trigger.name if one.trigger else None
    return (one.name, trigger, inner.is_json, one.flags, inner.value, one.start_line, one.end_line)


def theirs(text: str) -> list[Parsed] | None:
    try:
        # A statement without a word in it comes as a command without a name, which no builder knows.
        commands = [one for one in oracle.parse_string(text) if one.cmd]
    except oracle.GoParseError:
        return None
    known = {*oracle.all_cmds()}
    found: list[Parsed] = []
    for one in commands:
        name, trigger = one.cmd.lower(), one.sub_cmd.lower() if one.sub_cmd else None
        is_known = (trigger or name) in known - {"onbuild"}
        value = one.value if is_known else ()  # else one empty text
        found.append((name, trigger, one.json, one.flags, value, one.start_line, one.end_line))
    return found or None


# Why BuildKit 0.12.5 differs, and the text in which it does; such texts are left out.
KNOWN_DIFFERENCES = {
    "`check` is a directive by now": r"(?im)^\s*#\s*check\s*=",
    "blanks may stand behind `<<` since BuildKit 0.22": r"<<\s",
    "a byte order mark in front of a delimiter is dropped": "<\ufeff",
    "Docker refuses `ONBUILD ONBUILD`, so what follows is not read": r"(?i)onbuild.*onbuild",
    "flags and the first word of a `HEALTHCHECK` are cut between bytes": r"(?is)(--|healthcheck).*[^\x00-\x7f]",
    "an array with text behind it is none by now": r"\][ \t]*[^ \t\r\n]",
    "`#`, `%` and `/` in a variable came later": r"\$\{\w+[#%/]",
}
CONTINUATION = re.compile(r"[\\`][ \t]*\r?\n([ \t]*(#.*)?\r?\n)*")


def is_known_to_differ(text: str) -> bool:
    joined = CONTINUATION.sub("", text)
    return any(re.search(pattern, part) for pattern in KNOWN_DIFFERENCES.values() for part in (text, joined))


def compare(text: str) -> None:
    assert ours(text) == theirs(text)


@pytest.mark.parametrize("path", TREES, ids=lambda path: str(path.relative_to(ROOT)))
def test_reads_the_trees_dockerfiles_as_buildkit_does(path: Path) -> None:
    compare(path.read_text())


PIECES = st.sampled_from(
    ["FROM ", "a", "b:1", " ", "\n", "\n", "\\\n", "\\ \n", "`\n", "\\", "`", "#", "# c\n", "ARG ", "ENV ", "LABEL ", "=", "a=b ",
     "RUN ", "COPY ", "ADD ", "CMD ", "ONBUILD ", "HEALTHCHECK ", "NONE", "VOLUME ", "EXPOSE ", "USER ", "--", "--from=x ",
     "--a", "--mount=type=bind,from=b ", "'", '"', "[", "]", '["a"]', '["a", "b"]', ",", "<<EOF", "<<-EOF", "<<'E F'", "<<", "EOF\n",
     "\tEOF\n", "E F\n", "$", "${", "}", "${a}", "${a:-", "x", "\t", "\r\n", "\u00a0", "\x85", "\x1c", "ü", "# escape=`\n", "# syntax=a\n", "\ufeff",
     "0", "1", "-"]
)  # fmt: skip
NAMES = ["ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN",
         "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR", "INCLUDE"]  # fmt: skip
WORDS = ["a", "b=c", "d='e f'", 'g="h i"', "--from=x", "--mount=type=bind,from=y", "--chown='a b'", "--", "--link", "--a=\\ b", "AS",
         "\\ ", "\\", "`", "'", '"', "=", "<<EOF", "<<-EOF", "3<<'E F'", '<<"EOF"', "<<A<<B", "a<<EOF", "<<EO\\F", "$a", "${a}",
         "${a:-b}", "${a:-b c}", "${a+'}'}", '"${a#"b"}"', "${a:1:2}", "${a%}", "${1}", "${}", "$(", "${a", "${a^^}", "[]", '["a", "b c"]', '["a",', "[1]", "#", "NONE", "CMD", "ü"]  # fmt: skip
BLANKS = [" ", "  ", "\t", " \\\n", "\\\n", " \\ \t\n  ", " `\n", " \\\n# c\n", " \\\n\n", " \\\n  # c \\\n\n"]
BODIES = ["", "EOF\n", "x\nEOF\n", "\tEOF\n", "FROM b\nEOF\n", "E F\n", "EOF\nE F\n", "# c\n", "\n", "  \n"]

HEADERS = ["", "", "\ufeff", "# escape=`\n", "# syntax=x\n# Escape = `\n", "#escape=\\\n#escape=\\\n", "# c\n# escape=`\n",
           " #escape=`\n", "# escape=x\n"]  # fmt: skip


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    def statement() -> str:
        name = draw(st.sampled_from(NAMES))
        parts = draw(st.lists(st.tuples(st.sampled_from(BLANKS), st.sampled_from(WORDS)), max_size=6))
        body = draw(st.sampled_from(BODIES))
        return draw(st.sampled_from(["", " "])) + name + "".join(map("".join, parts)) + "\n" + body

    header = draw(st.sampled_from(HEADERS))
    text = header + "".join(statement() for _ in range(draw(st.integers(1, 4))))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


ANY = st.one_of(dockerfiles(), st.lists(PIECES, max_size=30).map("".join))
LENIENT = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@settings(max_examples=300, suppress_health_check=LENIENT)
@given(ANY)
def test_reads_and_refuses_as_buildkit_does(text: str) -> None:
    assume(not is_known_to_differ(text))
    compare(text)


@pytest.mark.slow
@settings(max_examples=20_000, suppress_health_check=LENIENT)
@given(ANY)
def test_reads_and_refuses_twenty_thousand_times(text: str) -> None:
    assume(not is_known_to_differ(text))
    compare(text)
