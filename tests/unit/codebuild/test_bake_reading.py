"""What a bake file builds, in HCL and in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.compose_tree import Tree
from toolkit.codebuild import bake_reading
from toolkit.codebuild.findings import Follow, Reading


def read_bake(text: str, values: Mapping[str, str | None] | None = None, *, is_json: bool) -> Reading:
    name = "docker-bake.json" if is_json else "docker-bake.hcl"
    return bake_reading.read_bake([name], Tree({name: text}), values)


HCL = """\
variable "TAG" {
  default = "1.16"
}
variable "UNSET" {}
group "default" {
  targets = ["web"]
}
# what all have
target "base" {
  dockerfile = "Dockerfile.base"
  args = { V = "${TAG}-alpine", W = TAG, X = UNSET, Y = null, Z = timestamp() }
  pull = true
}
target "web" {
  inherits   = ["base"]
  target     = "prod"
  context    = "web"
  args       = { V = "own" }
  contexts   = { nginx = "docker-image://nginx:${TAG}", base = "target:base" }
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["shop/web:${TAG}"]
  cache-from = ["type=registry,ref=shop/cache:${TAG}", "type=gha"]
  attest     = ["type=sbom"]
}
target "inline" {
  dockerfile-inline = <<EOT
FROM alpine:3
EOT
}
target "many" {
  name   = "many-${v}"
  matrix = { v = ["3.11", "3.12"] }
  args   = { PYTHON = v }
}
"""


@pytest.fixture(scope="module")
def hcl() -> Reading:
    return read_bake(HCL, is_json=False)


def test_a_target_has_what_it_inherits_below_its_own(hcl: Reading) -> None:
    base, web = hcl.builds[:2]
    assert (base.line, base.context, base.dockerfile) == (9, ".", "Dockerfile.base")
    assert base.args == {"V": "1.16-alpine", "W": "1.16", "X": "", "Z": None}
    assert (web.line, web.context, web.dockerfile, web.is_beside_context) == (14, "web", "Dockerfile.base", True)
    assert web.args == {"V": "own", "W": "1.16", "X": "", "Z": None}
    assert web.pulls_always
    assert (base.target, web.target) == (None, "prod")
    assert web.contexts == {"nginx": "docker-image://nginx:1.16", "base": "target:base"}
    assert web.platforms == ("linux/amd64", "linux/arm64")
    assert web.tags == ("shop/web:1.16",)


def test_caches_and_scanners_are_images(hcl: Reading) -> None:
    assert [(one.kind.value, one.name) for one in hcl.images] == [
        ("cache_from", "shop/cache:1.16"),
        ("sbom", "docker/buildkit-syft-scanner:stable-1"),
    ]


def test_a_dockerfile_may_stand_in_the_file(hcl: Reading) -> None:
    assert hcl.builds[2].inline == "FROM alpine:3"


def test_a_matrix_is_a_build_for_each_member(hcl: Reading) -> None:
    assert [one.args for one in hcl.builds[3:]] == [{"PYTHON": "3.11"}, {"PYTHON": "3.12"}]
    assert not hcl.troubles


def test_members_of_a_matrix_may_have_names() -> None:
    matrix = {"v": [{"file": "D1", "at": "one"}, {"file": "D2", "at": "two"}]}
    text = json.dumps({"target": {"a": {"matrix": matrix, "dockerfile": "${v.file}", "target": "${v.at}"}}})
    assert [(one.dockerfile, one.target) for one in read_bake(text, is_json=True).builds] == [
        ("D1", "one"),
        ("D2", "two"),
    ]


def test_platforms_that_are_not_known_are_said() -> None:
    reading = read_bake('{"target": {"a": {"platforms": "${x ? y : z}"}}}', is_json=True)
    assert [(one.is_fault, "platforms" in one.message) for one in reading.troubles] == [(True, True)]
    assert reading.builds[0].platforms == ()


def test_json_says_the_same() -> None:
    document = {
        "variable": {"TAG": {"default": "1.16"}},
        "target": {
            "base": {"args": {"W": "${TAG}"}, "pull": True, "tags": ["base"]},
            "web": {"inherits": ["base"], "attest": [{"type": "sbom"}], "tags": ["$${TAG}"]},
        },
    }
    text = json.dumps(document, indent=1)
    base, web = read_bake(text, is_json=True).builds
    assert web.args == base.args == {"W": "1.16"}
    assert web.pulls_always
    assert web.tags == ("${TAG}",)
    assert web.line == text[: text.index('"web"')].count("\n") + 1


def test_follows_branching_inheritance_once() -> None:
    targets = {f"t{n}": {"inherits": [f"t{n + 1}", f"t{n + 1}"], "args": {"A": str(n)}} for n in range(60)}
    builds = read_bake(json.dumps({"target": {**targets, "t60": {"pull": True}}}), is_json=True).builds
    assert (builds[0].args, builds[0].pulls_always) == ({"A": "0"}, True)


def test_values_from_outside_go_before_defaults() -> None:
    text = json.dumps({"variable": {"T": {"default": "1"}}, "target": {"a": {"args": {"T": "${T}"}}}})
    assert read_bake(text, {"T": "2"}, is_json=True).builds[0].args == {"T": "2"}


def test_takes_no_default_for_an_unknown_value() -> None:
    text = json.dumps({"variable": {"T": {"default": "1"}}, "target": {"a": {"args": {"T": "${T}"}}}})
    assert read_bake(text, {"T": None}, is_json=True).builds[0].args == {"T": None}


def test_a_target_that_nobody_knows_may_be_any() -> None:
    [found] = read_bake(json.dumps({"target": {"a": {"target": "${STAGE}"}}}), is_json=True).builds
    assert (found.target, found.is_target_known) == (None, False)


def test_the_scanner_is_the_one_that_is_named() -> None:
    own = {"type": "sbom", "generator": "acme/scan:3"}
    attests = ["type=sbom,generator=acme/scan:${V}", own, "type=provenance,mode=max", "type=sbom,disabled=true"]
    text = json.dumps({"variable": {"V": {"default": "2"}}, "target": {"a": {"attest": attests}}})
    assert [one.name for one in read_bake(text, is_json=True).images] == ["acme/scan:2", "acme/scan:3"]


def test_reports_a_cache_without_its_variable() -> None:
    text = json.dumps({"target": {"a": {"cache-from": ["type=registry,ref=${CACHE}"]}}})
    assert [one.unset for one in read_bake(text, is_json=True).images] == [("CACHE",)]


@pytest.mark.parametrize(
    "targets",
    [
        {"a": {"inherits": ["b"]}},
        {"a": {"inherits": ["a"]}},
        {"a": {"dockerfile": '${x == "y" ? "D1" : "D2"}'}},
        {"a": {"context": "https://github.com/acme/x.git"}},
        {"a": {"context": "github.com/acme/x"}},
        {"a": {"contexts": {"nginx": "${x}"}}},
        {"a": {"attest": ["${x}"]}},
        {"a": {"cache-from": ["type=${x},ref=a"]}},
        {"a": {"matrix": {"v": [str(number) for number in range(201)]}}},
        {"a": {"target": "${x}", "matrix": {"v": [{"x": 1}]}, "dockerfile": "${v.y}"}},
    ],
)
def test_reports_what_cannot_be_followed(targets: object) -> None:
    [trouble] = read_bake(json.dumps({"target": targets}), is_json=True).troubles
    assert trouble.is_fault


@pytest.mark.parametrize(
    ("text", "is_json"),
    [
        ('target "a" {', False),
        ("=", False),
        ("{", True),
        ("[]", True),
        ('{"target": [["a"]]}', True),
        ('{"target": {"a": ["x"]}}', True),
    ],
)
def test_what_cannot_be_read_is_a_fault(text: str, is_json: bool) -> None:
    [trouble] = read_bake(text, is_json=is_json).troubles
    assert trouble.is_fault


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "${V}", "${", "type=sbom"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inherits", "args", "context", "matrix", "platforms", "attest", "a"]), inner)
    ),
    max_leaves=12,
)


@given(shapes)
def test_a_file_of_any_shape_is_read(shape: object) -> None:
    read_bake(json.dumps({"target": {"a": shape, "b": {"inherits": ["a"]}}, "variable": shape}), is_json=True)
    read_bake(json.dumps(shape), is_json=True)


def test_a_number_that_python_does_not_take_is_a_fault() -> None:
    [trouble] = read_bake(f'{{"target": {{"x": {{"context": {"9" * 5000}}}}}}}', is_json=True).troubles
    assert trouble.message == "a number in it is too long"


def test_what_is_null_leaves_the_value_below() -> None:
    text = """
variable "V" { default = null }
target "base" {
  args = { A = "1", B = "2" }
  target = "slim"
  tags = ["base"]
}
target "app" {
  inherits = ["base"]
  args = { A = null, B = V != null ? V : null, C = V }
  target = V
}
"""
    _, app = read_bake(text, is_json=False).builds
    assert (app.args, app.target) == ({"A": "1", "B": "2"}, "slim")
    assert read_bake(text, {"V": "3"}, is_json=False).builds[1].args == {"A": "1", "B": "3", "C": "3"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('V != "" ? V : "3.18"', "3.18"),
        ('V == "" && true ? "a-${W}" : UNKNOWN', "a-1"),
        ('equal("1", W) ? "yes" : "no"', "yes"),
        ('notequal("1", W) || !(W == "1") ? "yes" : "no"', "no"),
        ('"v${W == "1" ? "x" : "y"}"', "vx"),
        ("UNTYPED", ""),
        ('TYPED != "" ? TYPED : "3.18"', None),
        ('lower("A")', "a"),
        ("W + 1", "2"),
    ],
)
def test_a_condition_is_known_where_both_sides_are(expression: str, value: str | None) -> None:
    text = f"""
variable "V" {{ default = "" }}
variable "W" {{ default = "1" }}
variable "UNTYPED" {{}}
variable "TYPED" {{ type = string }}
target "a" {{ args = {{ X = {expression} }} }}
"""
    (build,) = read_bake(text, is_json=False).builds
    assert build.args == {"X": value}


def test_a_target_that_only_gives_to_others_is_not_built() -> None:
    text = """
group "default" { targets = ["web", "grouped"] }
target "metadata" {}
target "grouped" { args = { A = 1 } }
target "_common" { context = "nowhere" }
target "app" { context = "app" }
target "web" { inherits = ["metadata", "grouped", "_common", "app"] }
"""
    builds = read_bake(text, is_json=False).builds
    assert [(build.line, build.is_partial) for build in builds] == [(4, False), (6, True), (7, False)]


def test_the_local_platform_is_that_of_the_machine_and_lists_are_variables() -> None:
    text = """
variable "PLATFORMS" { default = ["linux/arm64", "local"] }
target "a" { platforms = PLATFORMS }
target "b" { platforms = [BAKE_LOCAL_PLATFORM] }
"""
    reading = read_bake(text, is_json=False)
    assert [build.platforms for build in reading.builds] == [("linux/arm64", "local"), ("local",)]
    assert reading.troubles == ()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # Each was tried with buildx 0.29 (`bake --print`).
        ("upper(V)", "3.X"),
        ('format("%s-%d", V, 4)', "3.x-4"),
        ('join(".", ["1", V])', "1.3.x"),
        ('replace(V, ".", "-")', "3-x"),
        ('coalesce(UNTYPED, "9")', ""),
        ('both("1", V)', "1-3.x"),
        ('"1%{ if V == "3.x" }-a%{ else }-b%{ endif }"', "1-a"),
        ("M.a", "1"),
        ("LATER", "3.x.2"),
        ("GLOBAL", "5"),
        ("N + 1", "4"),
        ("N == 3 ? 1 : 2", "1"),
        ("V == 3 ? 1 : 2", "2"),
        ("N", "3"),
        ("true", "true"),
        ('"a$${V}"', "a${V}"),
        ('join("", [for a in L : a if a != "a"])', "b"),
        ('length(concat(L, ["c"]))', "3"),
        # What is not read is not known.
        ('regex_replace(V, "[.]", "-")', None),
        ("target.web.args.V", None),
        ("L[1]", None),
        ("timestamp()", None),
        ("CYCLE", None),
        ("NOBODY", None),
        ("upper(", None),
    ],
)
def test_expressions_come_to_what_buildx_makes_of_them(expression: str, value: str | None) -> None:
    text = {
        "V": "3.x",
        "L": ["a", "b"],
        "M": {"a": "1"},
        "N": 3,
        "LATER": "${EARLIER}.2",
        "EARLIER": "${V}",
        "CYCLE": "${CYCLE}",
    }
    variables = {name: {"default": default} for name, default in text.items()} | {"UNTYPED": {}}
    function = {"both": {"params": ["x", "y"], "result": "${x}-${y}"}}
    raw = expression[1:-1] if expression[0] == '"' else f"${{{expression}}}"
    document = {"variable": variables, "function": function, "GLOBAL": "5", "target": {"a": {"args": {"X": raw}}}}
    (build,) = read_bake(json.dumps(document), is_json=True).builds
    assert build.args == {"X": value}


def test_values_are_bounded_in_sum() -> None:
    doubled = {f"V{number}": {"default": f"${{V{number - 1}}}${{V{number - 1}}}"} for number in range(1, 40)}
    many = {f"t{number}": {"args": {"V": "${V20}"}} for number in range(50)}
    document = {"variable": {"V0": {"default": "xx"}, **doubled}, "target": many}
    values = [build.args["V"] for build in read_bake(json.dumps(document), is_json=True).builds]
    assert sum(len(value or "") for value in values) < 8 * 1024 * 1024
    assert None in values


def read_files(files: Mapping[str, str], **asked: object) -> Reading:
    follow = Follow(1, "", "bake", **asked)  # type: ignore[arg-type]
    return bake_reading.read_bake(list(files), Tree(files), asked=follow)


def built(reading: Reading) -> dict[str, tuple[str, dict[str, str | None]]]:
    assert not reading.troubles
    return {build.name: (build.context, {**build.args}) for build in reading.builds}


WEB = {"target": {"web": {"context": "svc", "args": {"V": "1"}}}}


def test_files_are_read_as_one() -> None:
    files = {
        "a.json": json.dumps({"variable": {"X": {"default": "1"}}, **WEB}),
        "b.json": json.dumps({"variable": {"X": {"default": "2"}}, "target": {"web": {"args": {"W": "${X}"}}}}),
    }
    reading = read_files(files)
    assert built(reading) == {"web": ("svc", {"V": "1", "W": "2"})}
    assert reading.builds[0].file == "a.json"


def test_a_target_lies_over_the_service_of_its_name() -> None:
    files = {
        "docker-bake.json": json.dumps({"target": {"web_ui": {"args": {"V": "2"}}}}),
        "compose.yaml": "services:\n  web.ui: {build: {context: svc, args: {V: 1, W: '${A}'}}}\n  db: {image: 'db:1'}\n",
    }
    reading = read_files(files, targets=("default", "web.ui"))
    assert built(reading) == {"web_ui": ("svc", {"V": "2", "W": None})}
    assert not reading.images  # bake runs no service


@pytest.mark.parametrize(
    ("changes", "build"),
    [
        ((("web.args.V", "2"),), ("svc", {"V": "2"})),
        ((("*.args.V", None),), ("svc", {"V": None})),
        ((("other.args.V", "2"),), ("svc", {"V": "1"})),
        ((("w*.context", "new${V}"),), ("new${V}", {"V": "1"})),
    ],
)
def test_a_command_may_set_fields(changes: tuple[tuple[str, str | None], ...], build: object) -> None:
    assert built(read_files({"a.json": json.dumps(WEB)}, changes=changes)) == {"web": build}


def test_a_command_may_set_contexts_platforms_and_caches() -> None:
    changes = (
        ("web.contexts.base", "docker-image://redis:5"),
        ("*.platform", "linux/arm64"),
        ("*.platform", "linux/amd64"),
        ("*.cache-from", "shop/c:1"),
        ("*.target", None),
    )
    reading = read_files({"a.json": json.dumps(WEB)}, changes=changes)
    [build] = reading.builds
    assert build.contexts == {"base": "docker-image://redis:5"}
    assert build.platforms == ("linux/arm64", "linux/amd64")
    assert not build.is_target_known
    assert [image.name for image in reading.images] == ["shop/c:1"]


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ((), []),
        (("web",), []),
        (("all",), []),
        (("w*",), []),
        (("app-1",), []),
        (("default",), ["default"]),
        (("web", "wep", "x*"), ["wep", "x*"]),
    ],
)
def test_a_name_that_the_file_lacks_is_a_fault(asked: tuple[str, ...], missing: list[str]) -> None:
    app = {"name": "app-${v}", "matrix": {"v": ["1", "2"]}}
    document = {"group": {"all": {"targets": ["web"]}}, "target": {**WEB["target"], "app": app}}
    troubles = read_files({"a.json": json.dumps(document)}, targets=asked).troubles
    assert [one.message.split("`")[1] for one in troubles if one.is_fault] == missing


def test_caches_of_parents_stay() -> None:
    targets = {
        "base": {"cache-from": ["shop/a:1"], "context": "x"},
        "web": {"inherits": ["base"], "cache-from": ["shop/b:1"]},
    }
    reading = read_files({"a.json": json.dumps({"target": targets})})
    assert [image.name for image in reading.images] == ["shop/a:1", "shop/a:1", "shop/b:1"]


def test_an_expression_that_the_parser_cannot_print_is_a_fault() -> None:
    [trouble] = read_bake("X = {for k in P : k => 1}", is_json=False).troubles
    assert trouble.is_fault
