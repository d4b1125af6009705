"""What a compose file fetches and builds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codebuild.build_fields import SBOM_SCANNER
from toolkit.codebuild.compose_reading import read_compose
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, Follow


def images(text: str, **values: str) -> list[str]:
    reading = read_compose(text, values)
    assert not reading.troubles
    return [f"{one.line} {one.kind} {one.name}{' always' if one.pulls_always else ''}" for one in reading.images]


def build(text: str, **values: str) -> Build:
    [found] = read_compose(text, values).builds
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("services: {db: {image: 'postgres:16'}}", ["1 compose_image postgres:16"]),
        ("services:\n  db:\n    image: postgres:${V:-16}", ["3 compose_image postgres:16"]),
        ("services: {db: {image: 'postgres:$$V'}}", ["1 compose_image postgres:$V"]),
        ("services: {db: {image: a, pull_policy: always}}", ["1 compose_image a always"]),
        ("services: {db: {image: a, pull_policy: every_12h}}", ["1 compose_image a always"]),
        ("services: {db: {image: a, pull_policy: never}}", []),
        ("x: &d {image: 'a:1'}\nservices: {db: {<<: *d}}", ["1 compose_image a:1"]),
        ("services: {web: {image: own, build: .}}", []),
        ("services: {web: {build: {cache_from: [a, 'type=registry,ref=b', 'type=gha']}}}", [
            "1 cache_from a", "1 cache_from b"]),
        ("services: {web: {build: {sbom: true}}}", [f"1 sbom {SBOM_SCANNER}"]),
        ("services: {web: {build: {sbom: generator=acme/scan:1}}}", ["1 sbom acme/scan:1"]),
        ("services: {web: {build: {sbom: false}}}", []),
        ("services: {web: null}", []),
        ("services: {}", []),
    ],
)  # fmt: skip
def test_services_fetch_these_images(text: str, expected: list[str]) -> None:
    assert images(text) == expected


def test_reports_an_image_without_its_variable() -> None:
    [found] = read_compose("services: {db: {image: 'postgres:$V'}}").images
    assert found.unset == ("V",)


def test_a_short_build_is_a_folder() -> None:
    found = build("services: {web: {build: ./web, image: 'own:1'}}")
    assert (found.context, found.dockerfile, found.is_beside_context, found.tags) == ("./web", None, True, ("own:1",))


def test_a_long_build_brings_everything() -> None:
    found = build(
        """\
services:
  web:
    platform: linux/arm64
    build:
      context: ${DIR}
      dockerfile: Dockerfile.web
      args: {A: 1, B: true, C: "${X:-y}", D: null, E: }
      additional_contexts: ["nginx=docker-image://x:1", base=service:api]
      target: prod
      pull: true
      tags: ["t:1"]
""",
        DIR="web",
        E="env",
    )
    assert (found.line, found.context, found.dockerfile) == (4, "web", "Dockerfile.web")
    assert found.args == {"A": "1", "B": "true", "C": "y", "E": "env"}
    assert found.contexts == {"nginx": "docker-image://x:1", "base": "service:api"}
    assert found.platforms == ("linux/arm64",)
    assert found.pulls_always
    assert found.target == "prod"
    assert found.tags == ("t:1",)


def test_an_argument_without_a_value_keeps_the_default_of_the_dockerfile() -> None:
    assert build("services: {web: {build: {args: {A: , B: }}}}", B="1").args == {"B": "1"}


def test_arguments_may_be_a_list() -> None:
    found = build("services: {web: {build: {args: [A=1, B=, C, D, E=$E]}}}", C="3")
    assert found.args == {"A": "1", "B": "", "C": "3", "E": None}


def test_a_target_that_nobody_knows_may_be_any() -> None:
    found = build("services: {web: {build: {target: $T}}}")
    assert (found.target, found.is_target_known) == (None, False)


@pytest.mark.parametrize("policy", ["$P", "${P:-daily}"])
def test_a_policy_that_may_pull_pulls(policy: str) -> None:
    assert images(f"services: {{web: {{image: a, pull_policy: '{policy}'}}}}") == ["1 compose_image a always"]
    assert build(f"services: {{web: {{build: {{pull: '{policy.replace('daily', 'true')}'}}}}}}").pulls_always


def test_a_name_without_its_value_is_no_local_image() -> None:
    assert build("services: {web: {image: 'nginx$X', build: {tags: ['redis$X']}}}").tags == ()


def test_reads_an_unquoted_number_as_compose_does() -> None:
    assert build("services: {web: {build: {args: {V: 3.10, W: '3.10'}}}}").args == {"V": "3.1", "W": "3.10"}


def test_a_dockerfile_may_stand_in_the_file() -> None:
    found = build("services:\n  web:\n    build:\n      dockerfile_inline: |\n        FROM a:1\n")
    assert found.inline == "FROM a:1\n"


def test_platforms_of_the_build_go_before_the_services() -> None:
    found = build("services: {web: {platform: linux/amd64, build: {platforms: [linux/arm64]}}}")
    assert found.platforms == ("linux/arm64",)


def test_pulling_from_outside_holds_for_every_service() -> None:
    reading = read_compose(
        "services: {web: {build: .}, db: {image: a}}", asked=Follow(0, "", "compose", pulls_always=True)
    )
    assert reading.builds[0].pulls_always
    assert reading.images[0].pulls_always


def test_other_files_are_followed() -> None:
    text = "include: [a.yaml, {path: [b.yaml]}]\nservices: {x: {extends: {file: c.yaml, service: y}}}"
    assert read_compose(text).follows == (
        Follow(1, "a.yaml", "compose"),
        Follow(1, "b.yaml", "compose"),
        Follow(2, "c.yaml", "compose", services=frozenset(["y"])),
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("a: [", 1),
        ("- a", 1),
        ("services: x", 1),
        ("services:\n  a: x", 2),
        ("services:\n  a:\n    image: ${", 3),
        ("services:\n  a:\n    build: 3", 3),
        ("services:\n  a:\n    build: https://github.com/acme/x.git", 3),
        ("services:\n  a:\n    build: github.com/acme/x", 3),
        ("services:\n  a:\n    build: $WHERE", 3),
        ("services:\n  a:\n    build:\n      dockerfile_inline: FROM $X", 3),
        ("services:\n  a:\n    build:\n      platforms: ['${P}']", 4),
        ("services:\n  a:\n    build:\n      additional_contexts: {nginx: $X}", 4),
        ("services:\n  a:\n    image: b\n    platform: $P", 4),
        ("include: ['${X}']", 1),
    ],
)
def test_reports_what_cannot_be_followed(text: str, line: int) -> None:
    troubles = read_compose(text).troubles
    assert [trouble.line for trouble in troubles if trouble.is_fault][:1] == [line]


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["image", "build", "args", "context", "services", "platforms", "a"]), inner)
    ),
    max_leaves=12,
)


@given(shapes)
def test_a_file_of_any_shape_is_read(shape: object) -> None:
    import json

    read_compose(json.dumps({"services": {"a": shape}}))
    read_compose(json.dumps(shape))


def test_a_volume_may_be_an_image() -> None:
    text = "services: {a: {build: ., volumes: ['x:/x', {type: image, source: 'data:$V', target: /data}]}}"
    assert [(one.kind, one.name) for one in read_compose(text, {"V": "1"}).images] == [(Kind.COMPOSE_IMAGE, "data:1")]
