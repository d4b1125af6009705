"""The grammar of Dockerfiles, rule by rule; `test_dockerfile_oracle.py` compares it with BuildKit where that installs."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from toolkit.codebuild.dockerfile_parser import DockerfileError, Instruction, find_syntax, parse_dockerfile


def shown(one: Instruction) -> str:
    lines = f"{one.start_line}" if one.start_line == one.end_line else f"{one.start_line}-{one.end_line}"
    trigger = f" ({shown(one.trigger)})" if one.trigger else ""
    return (
        " ".join([f"{lines} {one.name}{' json' if one.is_json else ''}", *one.flags, *map(repr, one.value)]) + trigger
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a AS b", ["1 from 'a' 'AS' 'b'"]),
        ("\ufefffrom\ta\r\n\r\n# c\r\nRUN x  y \r\n", ["1 from 'a'", "4 run 'x  y'"]),
        ("RUN a \\\n  b \\ \t\n# c\n\n   # d \\\n c", ["1-6 run 'a   b  c'"]),
        ("RUN a \\\\\nUSER b", [r"1 run 'a \\\\'", "2 user 'b'"]),
        ("# escape=`\nRUN a `\n b \\\nUSER c", ["2-3 run 'a  b \\\\'", "4 user 'c'"]),
        ("# check=skip=all\n# escape=`\nRUN a `\n b", ["3-4 run 'a  b'"]),
        ("# c\n# escape=`\nRUN a \\\n b", ["3-4 run 'a  b'"]),
        ("\\\nRUN a", ["1-2 run 'a'"]),
        ("RUN a\\", ["1 run 'a'"]),
        ("COPY --from=a --chown='b c' -- --x y", ["1 copy --from=a --chown=b c '--x' 'y'"]),
        ("RUN --mount=type=bind,from=a \\\n --network=none b", ["1-2 run --mount=type=bind,from=a --network=none 'b'"]),
        ("RUN --a=\\'b\\' c", ["1 run --a='b' 'c'"]),
        ('CMD ["a", "b\\n"]', [r"1 cmd json 'a' 'b\n'"]),
        ('COPY ["a b", "c"]\nCOPY ["a"] b\nCMD [NaN]\nCMD []', [
            "1 copy json 'a b' 'c'", "2 copy '[\"a\"]' 'b'", "3 cmd '[NaN]'", "4 cmd json"]),
        ("ENV a='b c' d=\\ e f=\nENV g h i\nLABEL", [r"""1 env 'a' "'b c'" 'd' '\\ e' 'f' ''""", "2 env 'g' 'h i'", "3 label"]),
        ("ARG a b=c", ["1 arg 'a' 'b=c'"]),
        ("HEALTHCHECK --interval=5s CMD [\"a\"]\nHEALTHCHECK NONE", ["1 healthcheck json --interval=5s 'CMD' 'a'", "2 healthcheck 'NONE'"]),
        ("ONBUILD COPY --from=a b c\nONBUILD ONBUILD ENV x\nONBUILD", [
            "1 onbuild (1 copy --from=a 'b' 'c')", "2 onbuild (2 onbuild)", "3 onbuild"]),
        ("INCLUDE a b", ["1 include"]),
        ("RUN <<EOF\nFROM a\n EOF\nEOF\nUSER b", ["1-4 run '<<EOF'", "5 user 'b'"]),
        ("RUN <<A <<-'B C' 3<<\"D\"\nA\n\tB C\nD\nUSER b", ["1-4 run '<<A <<-\\'B C\\' 3<<\"D\"'", "5 user 'b'"]),
        ("COPY << EOF /x\nFROM a\nEOF", ["1-3 copy '<<' 'EOF' '/x'"]),
        ("RUN ${a#b} <<EOF\nEOF", ["1-2 run '${a#b} <<EOF'"]),
        ("ONBUILD RUN <<EOF\nEOF\nUSER b", ["1-2 onbuild (1 run '<<EOF')", "3 user 'b'"]),
        ("RUN a<<EOF\nRUN '<<EOF'\nRUN $((1<<2))\nRUN <<<a\nRUN <<EOF '\nUSER <<EOF\nRUN [\"<<EOF\"]", [
            "1 run 'a<<EOF'", "2 run \"'<<EOF'\"", "3 run '$((1<<2))'", "4 run '<<<a'", '5 run "<<EOF \'"', "6 user '<<EOF'",
            "7 run json '<<EOF'"]),
    ],
)  # fmt: skip
def test_reads_instructions(text: str, expected: list[str]) -> None:
    found = parse_dockerfile(text).instructions
    assert [shown(one) for one in found] == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "has no instructions"),
        ("# a\n\n\\\n", 1, "has no instructions"),
        ("# escape=x\nFROM a", 1, "`escape` takes"),
        ("# syntax=a\n# SYNTAX=b\nFROM a", 2, "`syntax` is given twice"),
        ("FROM a\nENV secret", 2, "`ENV` cannot be read: a name has no value"),
        ("FROM a\nLABEL a=b secret", 2, "`LABEL` cannot be read: a word has no `=`"),
        ("FROM a\nRUN [1]", 2, "`RUN` cannot be read: a JSON array may hold strings only"),
        ("FROM a\nRUN \\\n <<EOF\nEOF \n", 2, "the heredoc that begins here has no end"),
        ("FROM a\nONBUILD ENV secret", 2, "`ONBUILD` cannot be read"),
        ("FROM a\nRUN " + "x" * 65_532, 2, "longer than 65,535 bytes"),
    ],
)
def test_refuses_with_the_line_and_quotes_nothing(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as refusal:
        parse_dockerfile(text)
    assert message in refusal.value.message
    assert refusal.value.line == line
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("text", "line", "value"),
    [
        ("# syntax=a:1 b", 1, "a:1"),
        ("#!/bin/x\n#Syntax = a", 2, "a"),
        ("// syntax=a", 1, "a"),
        ('{"syntax": "a"}', 1, "a"),
        ("# escape=x\n# syntax=a", 2, "a"),
    ],
)
def test_finds_the_frontend(text: str, line: int, value: str) -> None:
    found = find_syntax(text)
    assert found is not None
    assert (found.line, found.value) == (line, value)


@pytest.mark.parametrize("text", ["", "FROM a\n# syntax=a", " # syntax=a", "# c\n# syntax=a", "{", '{"syntax": 1}'])
def test_finds_no_frontend(text: str) -> None:
    assert find_syntax(text) is None


LENGTH = 400_000


def lines_of(piece: str) -> str:
    line = piece * (2_000 // len(piece)) + "\\\n"
    return line * (LENGTH // len(line))


HOSTILE = {
    "continuations": "\\\n" * (LENGTH // 2),
    "empty continuations": "RUN a\\" + "\n" * LENGTH,
    "heredocs": "RUN <<E\nE\n" * (LENGTH // 10),
    "heredocs in a line": "RUN " + lines_of("<<E "),
    "quotes": "RUN <<E " + lines_of("'"),
    "quotes in quotes": 'RUN <<E "' + lines_of("'x"),
    "variables": "RUN <<E " + lines_of("${a:-"),
    "angles": "RUN <<E " + lines_of("< "),
    "escapes": "ENV a=" + lines_of("\\ "),
    "quoted escapes": 'ENV a="' + lines_of("\\x"),
    "flags": "RUN " + lines_of("--a "),
    "quoted flags": "RUN --a='" + lines_of("\\x"),
    "arrays": "RUN " + lines_of("["),
    "directives": ("# syntax" + " " * 60_000 + "\n") * 6,
    "directives with a value": "# syntax=" + " " * 60_000 + "\n",
    "triggers": lines_of("ONBUILD "),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_takes_time_in_proportion_to_the_text(text: str) -> None:
    start = time.process_time()
    find_syntax(text)
    with suppress(DockerfileError):
        parse_dockerfile("FROM a\n" + text)
    assert time.process_time() - start < 5  # about 0.3 s; squared it would be minutes
