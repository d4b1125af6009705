"""Which images a Dockerfile names, snippet by snippet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.dockerfile_reading import Circumstances, read_dockerfile
from toolkit.codebuild.findings import NamedImage

DIGEST = "sha256:" + "a" * 64


def shown(image: NamedImage) -> str:
    platform = "" if image.platform in (None, "linux/amd64") else f" for {image.platform}"
    unset = f" without {','.join(image.unset)}" if image.unset else ""
    return f"{image.line} {image.kind} {image.name}{platform}{unset}"


def images(text: str, **circumstances: object) -> list[str]:
    reading = read_dockerfile(text, Circumstances(**circumstances))  # type: ignore[arg-type]
    assert not reading.troubles, reading.troubles
    return [shown(image) for image in reading.images]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM nginx:1.16", ["1 from nginx:1.16"]),
        ("from nginx:1.16 as Web\nfrom web", ["1 from nginx:1.16"]),
        ("FROM nginx", ["1 from nginx"]),
        (f"FROM nginx@{DIGEST}", [f"1 from nginx@{DIGEST}"]),
        (f"FROM nginx:1.16@{DIGEST}", [f"1 from nginx:1.16@{DIGEST}"]),
        ("FROM quay.io/prometheus/node-exporter:v1.8.2", ["1 from quay.io/prometheus/node-exporter:v1.8.2"]),
        ("FROM localhost:5000/app:1", ["1 from localhost:5000/app:1"]),
        ("\ufeffFROM nginx:1.16\r\nRUN ls\r\n", ["1 from nginx:1.16"]),
        ("# a comment\n\n\nFROM \\\n  nginx:1.16 \\\n  AS web", ["5 from nginx:1.16"]),
        ("# escape=`\nFROM `\n  nginx:1.16", ["3 from nginx:1.16"]),
        ("#escape = `\nARG V=1`.16\nFROM nginx:$V", ["3 from nginx:1.16"]),
        ("FROM scratch\nCOPY a b", []),
        ("FROM scratch AS empty\nFROM empty\nCOPY --from=empty a b", []),
        ("FROM a:1 AS x\nFROM b:1\nCOPY --from=X a b\nCOPY --from=0 a b\nCOPY --from=c:1 a b", [
            "1 from a:1", "2 from b:1", "5 copy_from c:1"]),
        ("FROM a:1\nCOPY --from=later a b\nFROM b:1 AS later", ["1 from a:1", "3 from b:1"]),
        ("FROM b AS a\nFROM a AS c\nFROM C", ["1 from b"]),
        ("FROM later\nFROM b:1 AS later", ["1 from later", "2 from b:1"]),
        ("FROM nginx AS nginx\nFROM nginx", ["1 from nginx"]),
        ("FROM 0\nFROM 1", ["1 from 0", "2 from 1"]),
        ("ARG V=1.16\nFROM nginx:$V", ["2 from nginx:1.16"]),
        ("ARG V=1.16\nFROM nginx:${V}-alpine", ["2 from nginx:1.16-alpine"]),
        ("ARG V=1.16 W=nginx\nFROM $W:$V", ["2 from nginx:1.16"]),
        ("ARG A=1\nARG B=${A}.16\nFROM nginx:$B", ["3 from nginx:1.16"]),
        ('ARG V="1.16"\nFROM "nginx:$V"', ["2 from nginx:1.16"]),
        ("ARG V='$x'\nARG W=nginx\nFROM ${W}", ["3 from nginx"]),
        ("FROM nginx:${V:-1.16}", ["1 from nginx:1.16"]),
        ("ARG V=\nFROM nginx:${V:-1.16}", ["2 from nginx:1.16"]),
        ("ARG V=\nFROM nginx${V-:1.16}", ["2 from nginx"]),
        ("ARG V=1.16\nFROM nginx${V:+:$V}", ["2 from nginx:1.16"]),
        ("ARG V\nFROM nginx${V:+:$V}", ["2 from nginx"]),
        ("ARG A\nFROM ${A:-${B:-nginx:1.16}}", ["2 from nginx:1.16"]),
        ("ARG V=v1.16\nFROM nginx:${V#v}", ["2 from nginx:1.16"]),
        ("ARG V=1.16.2-rc\nFROM nginx:${V%-*}", ["2 from nginx:1.16.2"]),
        ("ARG V=1.16.2\nFROM nginx:${V%%.*}", ["2 from nginx:1"]),
        ("ARG V=1_16\nFROM nginx:${V/_/.}", ["2 from nginx:1.16"]),
        ("ARG V\nFROM nginx:$V", ["2 from nginx: without V"]),
        ("FROM nginx:$V", ["1 from nginx: without V"]),
        ("FROM ${BASE}", ["1 from  without BASE"]),
        ("FROM a\nARG V=1.16\nFROM nginx:$V", ["1 from a", "3 from nginx: without V"]),
        ("ARG B=web\nFROM nginx AS web\nFROM $B", ["2 from nginx"]),
        ("FROM --platform=linux/arm64 nginx", ["1 from nginx for linux/arm64"]),
        ("FROM --platform=$BUILDPLATFORM golang:1 AS b", ["1 from golang:1"]),
        ("FROM nginx-$TARGETARCH", ["1 from nginx-amd64"]),
        ("FROM a\nRUN --mount=type=bind,from=tools:1,target=/t ls", ["1 from a", "2 mount_from tools:1"]),
        ("FROM a AS s\nRUN --mount=from=s ls\nRUN --mount=type=cache,target=/c ls", ["1 from a"]),
        ("FROM a\nRUN --mount=target=/a,from=b:1 \\\n --mount=from=c:1,target=/c ls", [
            "1 from a", "2 mount_from b:1", "3 mount_from c:1"]),
        ("# syntax=docker/dockerfile:1\nFROM a", ["1 syntax docker/dockerfile:1", "2 from a"]),
        ("#syntax = docker/dockerfile:1 extra\nFROM a", ["1 syntax docker/dockerfile:1", "2 from a"]),
        ("# SYNTAX=docker/dockerfile:1\nFROM a", ["1 syntax docker/dockerfile:1", "2 from a"]),
        ("# escape=`\n# syntax=x:1\nFROM a", ["2 syntax x:1", "3 from a"]),
        ("#!/usr/bin/env docker\n# syntax=x:1\nFROM a", ["2 syntax x:1", "3 from a"]),
        ("\ufeff# syntax=x:1\nFROM a", ["1 syntax x:1", "2 from a"]),
        ("# a comment\n# syntax=x:1\nFROM a", ["3 from a"]),
        ("\n# syntax=x:1\nFROM a", ["3 from a"]),
        ("FROM a\n# syntax=x:1", ["1 from a"]),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<X <<Y /\nFROM c\nX\nFROM d\nY\nRUN ls", ["1 from a"]),
        ("FROM a\nONBUILD COPY --from=b:1 x y", ["1 from a", "2 onbuild b:1"]),
        ("FROM a\nONBUILD COPY --from=0 x y\nONBUILD RUN --mount=from=b:1 ls", ["1 from a", "3 onbuild b:1"]),
        ("# escape=`\nFROM a\nonbuild `\n copy --from=b:1 x y", ["2 from a", "4 onbuild b:1"]),
        ("FROM a\nADD --chown=x https://example.org/x /\nENV FROM=b\nRUN echo FROM c", ["1 from a"]),
    ],
)  # fmt: skip
def test_finds_the_images_of_a_dockerfile(text: str, expected: list[str]) -> None:
    assert images(text) == expected


@pytest.mark.parametrize(
    ("text", "circumstances", "expected"),
    [
        ("ARG V=1\nFROM nginx:$V", {"args": {"V": "2"}}, ["2 from nginx:2"]),
        ("ARG V\nFROM nginx:$V", {"args": {"V": "2"}}, ["2 from nginx:2"]),
        ("FROM nginx:${V:-1}", {"args": {"V": "2"}}, ["1 from nginx:1"]),
        ("FROM nginx", {"target_platform": "linux/arm64"}, ["1 from nginx for linux/arm64"]),
        ("FROM --platform=$BUILDPLATFORM a\nFROM b", {"target_platform": "linux/arm64"}, [
            "1 from a", "2 from b for linux/arm64"]),
        ("FROM a-$TARGETARCH$TARGETVARIANT", {"target_platform": "linux/arm/v7"}, ["1 from a-armv7 for linux/arm/v7"]),
        ("FROM nginx:1.16", {"contexts": {"nginx:1.16": "docker-image://b:1"}}, ["1 from b:1"]),
        ("FROM nginx:1.16 AS web", {"contexts": {"web": "./local"}}, []),
        ("FROM a\nCOPY --from=src x y", {"contexts": {"src": "https://github.com/acme/x.git"}}, ["1 from a"]),
        ("# syntax=x:1\nFROM a", {"args": {"BUILDKIT_SYNTAX": "y:2"}}, ["1 syntax y:2", "2 from a"]),
    ],
)  # fmt: skip
def test_takes_values_contexts_and_platforms_of_a_build(
    text: str, circumstances: dict[str, object], expected: list[str]
) -> None:
    assert images(text, **circumstances) == expected


STAGES = """\
FROM a AS base
FROM b AS unused
COPY --from=c x y
FROM d AS tools
FROM base AS prod
COPY --from=2 x y
RUN --mount=from=e ls
FROM f AS test
COPY --from=prod x y
"""


@pytest.mark.parametrize(
    ("target", "needed", "unused"),
    [
        (None, "a d e f", "b c"),
        ("test", "a d e f", "b c"),
        ("PROD", "a d e", "b c"),
        ("3", "a d e", "b c"),
        ("base", "a", ""),
        ("tools", "d", "a b c"),
    ],
)
def test_reads_the_stages_that_the_target_needs(target: str | None, needed: str, unused: str) -> None:
    found = read_dockerfile(STAGES, Circumstances(target=target)).images
    assert [one.name for one in found if not one.is_unused] == needed.split()
    assert [one.name for one in found if one.is_unused] == unused.split()


def test_reports_an_unknown_target() -> None:
    [fault] = read_dockerfile(STAGES, Circumstances(target="stage")).troubles
    assert (fault.message, fault.is_fault) == ("there is no stage `stage`", True)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file has no instructions"),
        ("ARG V=1", 1, "there is no `FROM`"),
        ("RUN ls\nFROM a", 1, "before the first `FROM`"),
        ("FROM a\nINCLUDE b", 2, "not an instruction"),
        ("FROM a b", 1, "`AS`"),
        ("FROM", 1, ""),
        ("FROM a AS 1x", 1, "cannot name a stage"),
        ("FROM ${", 1, "cannot be read"),
        ("FROM ${A:}", 1, "cannot be read"),
        ("FROM 'a", 1, "quote"),
        ("ARG V=\nFROM $V", 2, "comes to no image"),
        ("FROM a\nCOPY --from=$B x y", 2, "no variable"),
        ("FROM a\nRUN --mount=from=$B ls", 2, "no variable"),
        ("FROM a\nCOPY --from=3 x y", 2, "no stage 3"),
        ("FROM a\nCOPY --from=" + "9" * 5000 + " x y", 2, "no stage 9"),
        ("FROM a\nONBUILD FROM b", 2, "`ONBUILD`"),
        ("FROM a\nRUN <<EOF\nls", 2, ""),
        ("FROM a\n\udcff", 2, "U+DCFF"),
        ("FROM a\n\x00", 2, "U+0000"),
    ],
)
def test_reports_what_no_builder_takes(text: str, line: int, message: str) -> None:
    faults = [trouble for trouble in read_dockerfile(text).troubles if trouble.is_fault]
    assert [fault for fault in faults if message in fault.message]
    assert faults[0].line == line


def test_reports_a_platform_without_a_value() -> None:
    [fault] = read_dockerfile("FROM --platform=$P a").troubles
    assert (fault.message, fault.is_fault) == ("its platform needs `P`, which has no known value", True)


def test_takes_no_default_for_an_unknown_argument() -> None:
    text = "ARG V=1.16\nARG W=${V:-1.17}\nFROM nginx:${W:-1.18}"
    assert images(text) == ["3 from nginx:1.16"]
    assert images(text, args={"V": None}) == ["3 from nginx: without W"]


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("FROM scratch", {"BUILDKIT_SYNTAX": "docker/dockerfile:1.7"}, ["1 syntax docker/dockerfile:1.7"]),
        ("# syntax=a/b\nFROM scratch", {"BUILDKIT_SYNTAX": " c/d:1 x=y"}, ["1 syntax c/d:1"]),
        ("FROM scratch", {"BUILDKIT_SYNTAX": None}, ["1 syntax  without BUILDKIT_SYNTAX"]),
    ],
)
def test_fetches_the_frontend_of_an_argument(text: str, args: dict[str, str | None], expected: list[str]) -> None:
    assert images(text, args=args) == expected


words = st.sampled_from(
    ["FROM ", "a", ":1", "@", "$", "{", "}", "V", ":-", "\n", "\\\n", "ARG ", "=", "COPY --from=", "RUN --mount=from=",
     "ONBUILD ", "# syntax=", "# escape=`", "'", '"', " AS ", "<<EOF", "EOF", "--platform=", "/", "#", "%", ",", "0", "\t",
     "\ufeff", "\r", "\x00", "ü", "{}", "["]
)  # fmt: skip


@given(st.one_of(st.text(max_size=200), st.lists(words, max_size=40).map("".join)))
def test_reads_or_refuses_any_text(text: str) -> None:
    reading = read_dockerfile(text)
    assert reading.images or reading.troubles or "scratch" in text.lower()
    for found in (*reading.images, *reading.troubles):
        assert 1 <= found.line <= text.count("\n") + 2


def test_an_image_that_an_unknown_context_replaces_is_not_named() -> None:
    circumstances = Circumstances(contexts={"base": None})
    assert read_dockerfile("FROM base\nCOPY --from=tools / /\n", circumstances).images[0].name == "tools"


def test_a_trigger_is_run_by_a_later_stage_that_is_built() -> None:
    text = (
        "FROM a AS one\nONBUILD COPY --from=x:1 / /\n"
        "FROM a AS two\nONBUILD COPY --from=x:2 / /\n"
        "FROM one AS unused\nFROM two\nONBUILD COPY --from=x:3 / /\n"
    )
    triggers = [one for one in read_dockerfile(text).images if one.kind is Kind.ONBUILD]
    assert [one.is_triggered for one in triggers] == [False, True, False]
    anything = read_dockerfile(text, Circumstances(is_target_known=False)).images
    assert [one.is_triggered for one in anything if one.kind is Kind.ONBUILD] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "has_pattern"),
    [
        ("a:${V%%-*}", True),
        ("a:${V#1}", True),
        ("a:${V/1/2}", True),
        ("a:$W", True),
        ("a:${X}", False),
        ("a:$V", False),
    ],
)
def test_says_where_a_name_needs_an_operator(name: str, has_pattern: bool) -> None:
    text = f"ARG V=1-x\nARG W=${{V%-*}}\nARG X=${{V:-2}}\nFROM {name}\n"
    assert [one.has_pattern for one in read_dockerfile(text).images] == [has_pattern]
