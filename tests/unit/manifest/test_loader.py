from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from toolkit.errors import ManifestUnusable
from toolkit.manifest.loader import MAX_BYTES, load, loads
from toolkit.manifest.model import Manifest, json_schema

HEAD = "version: 1\nname: platform\naws: {region: eu-west-1}\n"
IMAGES = "images:\n  - nginx:1.16\n"


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ManifestUnusable) as caught:
        loads(text, "images.yaml")
    assert caught.value.code == "manifest.invalid"
    return [(issue.line, issue.path, issue.message) for issue in caught.value.issues]


def test_the_least_manifest_has_the_documented_defaults() -> None:
    manifest = loads(HEAD + IMAGES, "images.yaml")
    assert isinstance(manifest, Manifest)
    assert manifest.platforms == ("linux/amd64",)
    assert manifest.attestations == "keep"
    assert manifest.repositories.expire_untagged_after_days == 14
    assert (manifest.terraform.backend, manifest.registries, manifest.builds) == (None, {}, ())
    assert manifest.images[0].source == "nginx:1.16"


def test_a_manifest_may_have_no_image_left() -> None:
    assert loads(f"{HEAD}images: []\n", "images.yaml").images == ()


def test_five_faults_are_five_issues_in_file_order_each_with_its_line() -> None:
    text = """\
version: 1
name: platform
aws:
  region: tokyo
  account_id: 012345678901
repository:
  scan_on_push: true
images:
  - nginx:1.16
  - nginx
  - docker.io/library/nginx:1.16
"""
    with pytest.raises(ManifestUnusable) as caught:
        loads(text, "images.yaml")
    assert caught.value.message == "`images.yaml` has 5 problems"
    assert caught.value.hint == "correct these lines; `toolkit schema` prints every field, for editors too"
    assert [str(issue) for issue in caught.value.issues] == [
        "images.yaml:4: aws.region: `tokyo` is not an AWS region, such as `ap-northeast-1`",
        'images.yaml:5: aws.account_id: must be text: write `"012345678901"`; '
        "without the quotes YAML reads the number 12345678901",
        "images.yaml:6: repository: is not a field here; did you mean `repositories`?",
        "images.yaml:10: images[1]: `nginx` has no tag: add one, `nginx:latest` if that is what you mean",
        "images.yaml:11: images[2]: `nginx:1.16` is asked for by `images[0]` on line 9 already",
    ]


def cases() -> list[tuple[str, list[str]]]:
    """The manifests of `faults.txt`, whole, each with its issues."""
    found = []
    text = Path(__file__).with_name("faults.txt").read_text(encoding="utf-8")
    for block in text.split("\n\n")[1:]:
        lines = block.strip("\n").split("\n")
        body = [line for line in lines if not line.startswith("=> ")]
        manifest = "\n".join(body) + "\n"
        manifest = manifest if "name: platform" in body or "name: Platform" in body else HEAD + manifest
        manifest = manifest if any(line.startswith("images:") for line in body) else manifest + "images: [nginx:1.16]\n"
        found.append((manifest, [line.removeprefix("=> ") for line in lines if line.startswith("=> ")]))
    return found


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case, id=case[1][0][:60]) for case in cases()])
def test_every_fault_is_one_sentence_with_its_line_and_path(text: str, expected: list[str]) -> None:
    assert [f"{line}: {path}: {message}" for line, path, message in faults(text)] == expected


@pytest.mark.parametrize("number", ["9" * 10_000, "9" * 4_000, f"0x{'f' * 10_000}", f"{'9' * 5_000}.5"])
@pytest.mark.parametrize("body", ["images: [{source: x, tags: [%s]}]", "attestations: %s\nimages: [nginx:1.16]"])
def test_a_number_without_end_is_not_repeated_whole(body: str, number: str) -> None:
    found = faults(HEAD + body % number + "\n")
    assert found
    assert all(len(message) < 300 for _, _, message in found)


def test_resource_tags_have_aws_limits() -> None:
    head = "version: 1\nname: platform\naws:\n  region: eu-west-1\n  resource_tags:\n"
    tags = "".join(f"    k{number}: v\n" for number in range(49))
    assert faults(head + tags + IMAGES) == [(5, "aws.resource_tags", "has more than 48 entries")]
    [(_, _, key_message)] = faults(f"{head}    {'k' * 129}: v\n{IMAGES}")
    assert key_message.endswith("is not a resource tag's key: these have 1 to 128 characters")
    [(_, _, value_message)] = faults(f"{head}    k: {'v' * 257}\n{IMAGES}")
    assert value_message == "is too long: a resource tag's value has at most 256 characters"
    longest = f"{head}    {'k' * 128}: {'v' * 256}\n    ключ é: 値 _.:/=+-@\n{IMAGES}"
    assert len(loads(longest, "images.yaml").aws.resource_tags) == 2


def test_a_repository_name_is_measured_with_its_prefix() -> None:
    text = HEAD + "repositories: {prefix: %s}\nimages:\n  - {source: 'a:1', repository: bbb}\n"
    assert loads(text % ("p" * 251), "images.yaml").images[0].repository == "bbb"
    [(line, path, message)] = faults(text % ("p" * 252))
    assert (line, path) == (6, "images[0].repository")
    assert message.endswith("has 256 characters, ECR takes 2 to 255")


def test_two_images_may_share_a_repository_and_one_may_go_to_two() -> None:
    images = ["{source: 'a:1', repository: xy}", "{source: 'b:2', repository: xy}", "{source: 'a:1', repository: zz}"]
    assert len(loads(f"{HEAD}images: [{', '.join(images)}]\n", "images.yaml").images) == 3


BUILD = """\
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
"""


def test_a_build_finds_its_image_by_what_the_name_means() -> None:
    body = BUILD.replace("nginx:1.16", "docker.io/library/nginx:1.16")
    [build] = loads(HEAD + IMAGES + body, "images.yaml").builds
    assert build.images == ("docker.io/library/nginx:1.16",)


def test_an_arm_build_may_use_an_image_mirrored_whole() -> None:
    body = BUILD + "    environment_type: ARM_CONTAINER\nplatforms: all\n"
    assert loads(HEAD + IMAGES + body, "images.yaml").builds[0].environment_type == "ARM_CONTAINER"


def test_a_fault_in_one_part_hides_none_in_another_and_makes_none_up() -> None:
    text = f"""\
version: 1
name: platform
aws: {{region: nowhere}}
repositories: {{prefix: /x}}
images:
  - {{source: "redis:7", platform: [linux/arm64]}}
  - nginx:1.16
  - nginx:1.16
{BUILD}    timeout_minutes: soon
  - name: web
    source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}
    images: [redis:7, python:3]
"""
    assert [(line, path) for line, path, _ in faults(text)] == [
        (3, "aws.region"),
        (4, "repositories.prefix"),
        (6, "images[0].platform"),
        (8, "images[2]"),
        (13, "builds[0].timeout_minutes"),
        (14, "builds[1].name"),
        (16, "builds[1].images[1]"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "registries: {quay.io: {credential: hunter2}}",
        "registries: {quay.io: {credential: {env: hunter2}}}",
        "registries: {quay.io: {credential: {env: {username: U, password: 'hunter2!'}}}}",
        "registries: {quay.io: {credential: {secretsmanager: hunter2}}}",
        "registries: {quay.io: {credential: {password: hunter2}}}",
        "registries: {quay.io: {endpoint: 'https://user:hunter2@quay.io'}}",
        "registries: {quay.io: {endpoint: 'hunter2'}}",
        BUILD.replace("https://", "https://user:hunter2@"),
        BUILD + "    commands: echo hunter2\n",
        "registries: {'user:hunter2@quay.io': {}}",
        "registries: {docker.io: {alternatives: ['user:hunter2@quay.io']}}",
        "builds: [{name: web, images: ['https://user:hunter2@quay.io/x:1']}]",
        "builds: [{name: web, images: 'user:hunter2@quay.io/x:1'}]",
        "verify: {key: hunter2}",
        "verify: {key: [hunter2]}",
        "verify: hunter2",
        "verify: {attestation: hunter2 and more}",
        "verify: {key: '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY----- hunter2 -----END ENCRYPTED SIGSTORE PRIVATE KEY-----'}",
    ],
)
def test_what_may_be_a_secret_is_not_repeated(body: str) -> None:
    with pytest.raises(ManifestUnusable) as caught:
        loads(HEAD + IMAGES + body + "\n", "images.yaml")
    words = [caught.value.message, str(caught.value.hint), *map(str, caught.value.issues)]
    assert caught.value.issues
    assert not [word for word in words if "hunter2" in word]


@pytest.mark.parametrize(
    ("prepare", "code", "message"),
    [
        (lambda path: None, "manifest.not_found", "there is no file `{path}`"),
        (lambda path: path.mkdir(), "manifest.unreadable", "`{path}` is a directory"),
        (lambda path: path.write_bytes(b""), "manifest.empty", "`{path}` is empty"),
        (lambda path: path.write_bytes(b"# nothing\n"), "manifest.empty", "`{path}` is empty"),
        (lambda path: path.write_bytes(b"a: 1\nb: \xff\n"), "manifest.not_utf8", "`{path}` is not UTF-8 text"),
        (lambda path: path.write_text("a: [", encoding="utf-8"), "manifest.not_yaml", "`{path}` is not YAML"),
        (
            lambda path: path.write_bytes(b"#" * (MAX_BYTES + 1)),
            "manifest.too_large",
            "`{path}` has more than 1,048,576 bytes, which is too much for a manifest",
        ),
        (
            lambda path: (path.parent / "file").touch() or path.symlink_to(path.parent / "file" / "below"),
            "manifest.unreadable",
            "`{path}` cannot be read: Not a directory",
        ),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, prepare: Callable[[Path], object], code: str, message: str) -> None:
    path = tmp_path / "images.yaml"
    prepare(path)
    with pytest.raises(ManifestUnusable) as caught:
        load(path)
    assert (caught.value.code, caught.value.message) == (code, message.format(path=path))


def test_a_path_with_a_null_byte_is_unreadable_and_no_crash() -> None:
    with pytest.raises(ManifestUnusable, match="cannot be read"):
        load(Path("a\0b"))


def test_the_line_of_a_byte_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ManifestUnusable) as caught:
        load(path)
    assert [str(issue) for issue in caught.value.issues] == [f"{path}:2: the byte 0xFF is not UTF-8"]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_text("\ufeff" + HEAD + IMAGES, encoding="utf-8")
    assert load(path).name == "platform"


@pytest.mark.parametrize(("text", "kind"), [("[]", "a list"), ("nginx:1.16", "`nginx:1.16`")])
def test_a_document_that_is_no_mapping(text: str, kind: str) -> None:
    assert faults(text) == [(1, "", f"must be a mapping, not {kind}")]


def field_names(schema: object) -> set[str]:
    """Every name of a field in a JSON Schema."""
    if isinstance(schema, list):
        return set().union(*map(field_names, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {}))
    return own.union(*map(field_names, schema.values()))


FIELDS = st.sampled_from(sorted(field_names(json_schema()) | {"docker.io", "x"}))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5000)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["\0", "a\x1b", "\x85", "\u2028", "\ud800"])
    | FIELDS
    | st.sampled_from(
        ["all", "linux/arm64", "nginx", "nginx:1.16", "nginx:1@x", "GITHUB", "NO_SOURCE", "docker-config", "KMS"]
    )
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5), max_leaves=20
)
MANIFESTS = st.fixed_dictionaries(
    {"version": st.just(1), "name": st.just("platform"), "aws": st.just({"region": "eu-west-1"}) | VALUES},
    optional={
        "images": st.lists(VALUES, max_size=4),
        "builds": st.lists(
            st.fixed_dictionaries({"name": VALUES, "source": VALUES, "images": VALUES}) | VALUES, max_size=3
        ),
        "registries": st.dictionaries(st.sampled_from(["docker.io", "quay.io", "x"]), VALUES),
        "repositories": VALUES,
        "platforms": VALUES,
    },
)
JARGON = ("Input should", "Value error", "Extra inputs", "Field required", "validation", "None", "dict", "tuple")


def assert_loads_or_explains(text: str) -> None:
    lines = len(re.findall("\r\n|[\r\n\x85\u2028\u2029]", text)) + 1  # what YAML calls a line
    try:
        loads(text, "images.yaml")
    except ManifestUnusable as error:
        assert all(1 <= issue.line <= lines for issue in error.issues)
        assert [issue.line for issue in error.issues] == sorted(issue.line for issue in error.issues)
        assert all(str(issue).encode("utf-8") for issue in error.issues)
        assert len(set(error.issues)) == len(error.issues)
        assert error.issues or error.code in ("manifest.empty", "manifest.too_large")


@given(st.text(max_size=200))
@example("\r0")
def test_any_text_loads_or_is_explained(text: str) -> None:
    assert_loads_or_explains(text)


@given(st.text("abn:-[]{}&*!|>%@#?'\"\\,.<~ \n\t1", max_size=80))
@settings(max_examples=300)
def test_any_text_of_yaml_signs_loads_or_is_explained(text: str) -> None:
    assert_loads_or_explains(text)


@given(MANIFESTS | VALUES)
@settings(max_examples=200)
def test_any_structure_loads_or_is_explained_without_jargon(value: object) -> None:
    text = dump(value)
    try:
        loads(text, "images.yaml")
    except ManifestUnusable as error:
        for issue in error.issues:
            words = issue.message.split("`")[::2]
            assert not [jargon for jargon in JARGON if jargon in " ".join(words)], issue
    assert_loads_or_explains(text)


def dump(value: object) -> str:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(value, stream)
    return stream.getvalue()


def test_a_role_s_rights_must_fit_into_its_policy() -> None:
    def manifest(number: int) -> str:
        names = [f"acme/a-repository-with-a-long-name-{one:03}:1" for one in range(number)]
        return f"images: {names}\nbuilds: [{{name: web, source: {{type: S3, location: b-b/k}}, images: {names}}}]\n"

    loads(HEAD + manifest(80), "images.yaml")
    [(line, path, message)] = faults(HEAD + manifest(140))
    assert (line, path) == (5, "builds[0]")
    assert message.startswith("needs rights for 140 repositories, 13,720 characters")
    assert message.endswith("of policy, and IAM takes 10,240 in a role: split the build")
