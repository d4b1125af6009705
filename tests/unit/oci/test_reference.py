from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.oci.digest import Digest
from toolkit.oci.errors import InvalidReference
from toolkit.oci.reference import Reference, Repository, without_credential

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("nginx", "docker.io/library/nginx", "nginx"),
        ("nginx:1.16", "docker.io/library/nginx:1.16", "nginx:1.16"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (f"alpine:3.20@{DIGEST}", f"docker.io/library/alpine:3.20@{DIGEST}", f"alpine:3.20@{DIGEST}"),
        ("grafana/grafana:11", "docker.io/grafana/grafana:11", "grafana/grafana:11"),
        ("docker.io/nginx", "docker.io/library/nginx", "nginx"),
        ("index.docker.io/library/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
        ("registry-1.docker.io/a/b", "docker.io/a/b", "a/b"),
        ("registry.hub.docker.com/library/nginx:1", "docker.io/library/nginx:1", "nginx:1"),
        ("DOCKER.IO/nginx", "docker.io/library/nginx", "nginx"),
        ("quay.io/a/b/c:T.1_x-", "quay.io/a/b/c:T.1_x-", "quay.io/a/b/c:T.1_x-"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("docker.io/foo.bar/baz", "docker.io/foo.bar/baz", "docker.io/foo.bar/baz"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("a__b/c--d/e.f", "docker.io/a__b/c--d/e.f", "a__b/c--d/e.f"),
        ("docker.io", "docker.io/library/docker.io", "docker.io"),
        ("localhost", "docker.io/library/localhost", "localhost"),
    ],
)
def test_names_are_read_as_docker_reads_them(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)

    assert str(reference) == canonical
    assert reference.familiar == familiar
    assert Reference.parse(canonical) == Reference.parse(familiar) == reference


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("nginx ", "white space"),
        ("https://quay.io/a/b", "scheme"),
        ("Nginx", "lower case"),
        ("Foo/bar", "lower case"),
        ("quay.io/Foo", "lower case"),
        ("nginx:", "no tag"),
        ("nginx:-1", "no tag"),
        ("nginx:" + "a" * 129, "no tag"),
        ("a:b:c", "no repository name"),
        ("a//b", "no repository name"),
        ("x/", "no repository name"),
        ("/x", "no repository name"),
        ("a_-b", "no repository name"),
        ("a..b/c", "no registry host"),
        ("-a.com/x", "no registry host"),
        ("nginx@", "no digest"),
        ("nginx@sha256:abc", "64 lower-case hex digits"),
        (f"nginx@{DIGEST}@{DIGEST}", "hex digits"),
        ("f" * 64, "image's id"),
        ("[1::2::3]:5000/a", "no registry host"),
        ("localhost:99999/a", "no registry host"),
        ("quay.io/" + "a/" * 130 + "a", "longer than 255"),
    ],
)
def test_what_is_no_name_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidReference, match=why) as caught:
        Reference.parse(text)

    assert caught.value.code == "oci.invalid_reference"


def test_target_is_the_digest_before_the_tag() -> None:
    tagged = Reference.parse("nginx:1.16")
    pinned = tagged.with_digest(Digest.parse(DIGEST))

    assert tagged.target == "1.16"
    assert pinned.target == DIGEST
    assert pinned.tag == "1.16"
    assert pinned.with_tag("1.17").target == "1.17"
    with pytest.raises(InvalidReference, match="neither a tag nor a digest"):
        _ = Reference.parse("nginx").target


def test_a_repository_names_its_images() -> None:
    repository = Repository("quay.io", "a/b")

    assert Reference.parse("quay.io/a/b:1").name == repository
    assert repository.with_tag("1") == Reference.parse("quay.io/a/b:1")
    assert repository.with_digest(Digest.parse(DIGEST)) == Reference.parse(f"quay.io/a/b@{DIGEST}")
    assert str(repository) == "quay.io/a/b"


@pytest.mark.parametrize(
    ("registry", "path"), [("docker.io", "nginx"), ("index.docker.io", "library/nginx"), ("", "a"), ("quay.io", "")]
)
def test_values_that_would_not_read_back_cannot_be_made(registry: str, path: str) -> None:
    with pytest.raises(InvalidReference):
        Repository(registry, path)
    with pytest.raises(InvalidReference):
        Reference(registry, path)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@h.example/x:1",
        "https://hunter2@h.example/x:1",
        "user:hunter2@h.example/x:1",
        "user:hunter2/@hunter2@h.example/x:1",
        "user:hunter2 hunter2@h.example/x:1",
        f"user:hunter2@h.example/x:1@{DIGEST}",
        "user:hunter2@h.example/x@sha256:12",
    ],
)
def test_a_credential_in_a_name_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert "`…@h.example/x" in caught.value.message


@pytest.mark.parametrize("text", [f"nginx:1@{DIGEST}", "nginx:1@sha256:12", "localhost:5000/x", "a@b", ""])
def test_what_holds_no_credential_is_repeated_whole(text: str) -> None:
    assert without_credential(text) == text


hosts = st.from_regex(r"\A(?:[a-z0-9]{1,5}(\.[a-z0-9-]{0,3}[a-z0-9]){1,3}|localhost)(?::[0-9]{1,5})?\Z")
components = st.from_regex(r"\A[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}\Z")
paths = st.lists(components, min_size=2, max_size=4).map("/".join)
tags = st.none() | st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z")
digests = st.none() | st.binary(max_size=3).map(Digest.of)


@given(hosts, paths, tags, digests)
def test_a_reference_reads_back_from_both_of_its_spellings(
    host: str, path: str, tag: str | None, digest: Digest | None
) -> None:
    try:
        reference = Reference(host, path, tag, digest)
    except InvalidReference:
        return  # the aliases of Docker Hub, and labels that end in a hyphen
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference


@given(st.text() | st.text(alphabet="abcA01.:/@-_[] \u0130", max_size=40))
@example("İ/a")
@example(f"a@{DIGEST}")
def test_any_text_is_a_reference_or_an_invalid_reference(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference as fault:
        assert fault.message
    else:
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar) == reference
