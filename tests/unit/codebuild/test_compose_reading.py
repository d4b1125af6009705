"""What a compose file fetches and builds."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import normpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.compose_tree import Tree
from toolkit.codebuild.build_fields import SBOM_SCANNER
from toolkit.codebuild.compose_reading import read_compose
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import Build, Reading


def read(text: str, values: Mapping[str, str] | None = None, *, pulls_always: bool = False) -> Reading:
    return read_compose(["compose.yaml"], Tree({"compose.yaml": text}), values, pulls_always=pulls_always)


def images(text: str, **values: str) -> list[str]:
    reading = read(text, values)
    assert not reading.troubles
    return [f"{one.line} {one.kind} {one.name}{' always' if one.pulls_always else ''}" for one in reading.images]


def build(text: str, **values: str) -> Build:
    [found] = read(text, values).builds
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
    [found] = read("services: {db: {image: 'postgres:$V'}}").images
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
    reading = read("services: {web: {build: .}, db: {image: a}}", pulls_always=True)
    assert reading.builds[0].pulls_always
    assert reading.images[0].pulls_always


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
    troubles = read(text).troubles
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

    read(json.dumps({"services": {"a": shape}}))
    read(json.dumps(shape))


def test_a_volume_may_be_an_image() -> None:
    text = "services: {a: {build: ., volumes: ['x:/x', {type: image, source: 'data:$V', target: /data}]}}"
    assert [(one.kind, one.name) for one in read(text, {"V": "1"}).images] == [(Kind.COMPOSE_IMAGE, "data:1")]


WEB = "services:\n  web:\n"
JOINED = {
    # Each was tried with Docker Compose 2.40 (`config --format json`).
    "arguments are merged by name": (
        WEB + "    build: {context: svc, args: [V=1, W=2]}\n",
        {"above.yaml": WEB + "    build: {args: {V: 3}, target: dev}\n"},
        [("svc", {"V": "3", "W": "2"})],
    ),
    "a short build takes fields": (
        WEB + "    build: svc\n",
        {"above.yaml": WEB + "    build: {args: {V: 1}}\n"},
        [("svc", {"V": "1"})],
    ),
    "`!override` replaces a mapping": (
        WEB + "    build: {context: svc, args: {V: 1, W: 2}}\n",
        {"above.yaml": WEB + "    build: {args: !override {V: 3}}\n"},
        [("svc", {"V": "3"})],
    ),
    "`!reset` removes a field": (
        WEB + "    build: {context: svc, args: {V: 1}}\n",
        {"above.yaml": WEB + "    build: {args: !reset {}}\n"},
        [("svc", {})],
    ),
    "a service without its build runs its image": (
        WEB + "    image: a:1\n    build: svc\n",
        {"above.yaml": WEB + "    build: !reset null\n"},
        ["a:1"],
    ),
    "`!reset` removes a service": (
        WEB + "    image: a:1\n  db: {image: 'db:1'}\n",
        {"above.yaml": "services:\n  db: !reset null\n"},
        ["a:1"],
    ),
    "a service is laid over the one that it extends": (
        "services:\n  base: {build: {context: svc, args: {V: 1}}}\n"
        "  web:\n    extends: base\n    build: {args: {W: 2}}\n",
        {},
        [("svc", {"V": "1"}), ("svc", {"V": "1", "W": "2"})],
    ),
    "a chain of extended files keeps each folder": (
        WEB + "    extends: {file: b/base.yaml, service: base}\n",
        {
            "b/base.yaml": "services:\n  base:\n    extends: {file: ../c/x.yaml, service: r}\n"
            "    build: {args: {V: 1}}\n",
            "c/x.yaml": "services: {r: {build: {context: ., args: {W: 4}}}, other: {image: 'x:1'}}",
        },
        [("c", {"W": "4", "V": "1"})],
    ),
    "an image above replaces the extended one": (
        WEB + "    extends: {file: base.yaml, service: base}\n    image: a:2\n",
        {"base.yaml": "services: {base: {image: 'a:1'}}"},
        ["a:2"],
    ),
    "an included project has its own variables and folder": (
        "include: [b/compose.yaml]\n",
        {"b/compose.yaml": WEB + "    build: {context: ., args: {V: $A}}\n", "b/.env": "A=4\n"},
        [("b", {"V": "4"})],
    ),
    "an included list is one project": (
        "include:\n  - path: [b/compose.yaml, b/over.yaml]\n    project_directory: .\n",
        {
            "b/compose.yaml": WEB + "    build: {context: svc, args: {V: 1}}\n",
            "b/over.yaml": WEB + "    build: {args: {V: 2}}\n",
        },
        [("svc", {"V": "2"})],
    ),
    "a service is laid over an included one": (
        "include: [b/compose.yaml]\n" + WEB + "    image: a:2\n",
        {"b/compose.yaml": WEB + "    image: a:1\n"},
        ["a:2"],
    ),
    "a number may be octal": (WEB + "    build: {args: {V: 010}}\n", {}, [(".", {"V": "8"})]),
}


@pytest.mark.parametrize("name", JOINED)
def test_files_are_joined_as_compose_does(name: str) -> None:
    text, others, expected = JOINED[name]
    files = ["compose.yaml", *(["above.yaml"] if "above.yaml" in others else [])]
    reading = read_compose(files, Tree({"compose.yaml": text, **others}))
    builds = [(normpath(one.context), {**one.args}) for one in reading.builds]
    assert not reading.troubles
    assert [*builds, *(one.name for one in reading.images)] == expected


def test_the_environment_may_name_the_platform() -> None:
    text = "services: {web: {build: .}, db: {image: a}, own: {image: b, platform: linux/amd64}}"
    reading = read(text, {"DOCKER_DEFAULT_PLATFORM": "linux/arm64"})
    assert reading.builds[0].platforms == ("linux/arm64",)
    assert [one.platform for one in reading.images] == ["linux/arm64", "linux/amd64"]


def test_an_image_keeps_its_place_and_its_platform() -> None:
    tree = Tree({"a.yaml": WEB + "    image: a:1\n", "b.yaml": WEB + "    platform: linux/arm64\n"})
    [found] = read_compose(["a.yaml", "b.yaml"], tree).images
    assert (found.file, found.line, found.platform) == ("a.yaml", 3, "linux/arm64")


@pytest.mark.parametrize(
    ("text", "file", "line"),
    [
        ("services:\n  a:\n    extends: b\n  b:\n    extends: a\n", "compose.yaml", 3),
        ("services:\n  a:\n    extends: nobody\n", "compose.yaml", 3),
        ("services:\n  a:\n    extends: {file: none.yaml, service: b}\n", "compose.yaml", 3),
        ("services:\n  a:\n    extends: {file: base.yaml, service: b}\n", "compose.yaml", 3),
        ("services:\n  a: {image: a}\ninclude: [compose.yaml]\n", "compose.yaml", 3),
        ("include:\n  - path: base.yaml\n    env_file: none\n", "compose.yaml", 2),
        ("services:\n  a:\n    image: b\n    image: c\n", "compose.yaml", 3),
    ],
)
def test_reports_what_compose_refuses(text: str, file: str, line: int) -> None:
    tree = Tree({"compose.yaml": text, "base.yaml": "services: {other: {image: b}}"})
    [trouble, *_] = read_compose(["compose.yaml"], tree).troubles
    assert (trouble.file, trouble.line, trouble.is_fault) == (file, line, True)


def test_files_that_include_others_twice_come_to_an_end() -> None:
    files = {f"{number}.yaml": f"include: [{number + 1}.yaml, ./{number + 1}.yaml]" for number in range(30)}
    reading = read_compose(["0.yaml"], Tree({**files, "30.yaml": "services: {a: {image: b}}"}))
    assert any("too many files" in one.message for one in reading.troubles)
