from __future__ import annotations

from dataclasses import replace

from toolkit.manifest.loader import loads
from toolkit.oci.descriptor import Platform
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.desired import Desired
from toolkit.plan.model import Notice, Refusal
from toolkit.plan.observed import SourceFault
from toolkit.plan.resolve import resolve
from toolkit.plan.selecting import Listings, choose_images

HEAD = "version: 1\nname: platform\naws: {region: eu-west-1}\n"
PYTHON = ("3.9-slim", "3.10-slim", "3.12-slim", "3.13-slim", "3.13", "latest")


def repository(name: str) -> Repository:
    return Reference.parse(name).name


def chosen(body: str, **listings: tuple[str, ...] | SourceFault) -> tuple[Desired, tuple[Refusal | Notice, ...]]:
    desired = resolve(loads(HEAD + body, "images.yaml"))
    return choose_images(desired, {repository(name): tags for name, tags in listings.items()})


def sources(desired: Desired) -> list[str]:
    return [image.source.familiar for image in desired.images]


def test_selected_tags_stand_where_the_manifest_has_them_newest_first() -> None:
    body = (
        "images: ['a:1', {source: python, tags: {glob: '3.*-slim', keep: 2}}, 'b:1', {source: c, tags: {glob: '*'}}]\n"
    )
    found, refusals = chosen(body, python=PYTHON, c=("2", "10"))
    assert sources(found) == ["a:1", "python:3.13-slim", "python:3.12-slim", "b:1", "c:10", "c:2"]
    assert [image.path for image in found.images] == [
        "images[0]",
        "images[1].tags",
        "images[1].tags",
        "images[2]",
        "images[3].tags",
        "images[3].tags",
    ]
    assert (found.selections, refusals) == ((), ())


def test_a_selected_image_is_as_its_entry_says() -> None:
    body = (
        "attestations: drop\nrepositories: {prefix: mirror}\n"
        "images: [{source: quay.io/a/b, tags: {versions: '>=1'}, platforms: [linux/arm64], repository: base/b}]\n"
    )
    desired = resolve(loads(HEAD + body, "images.yaml"))
    [image] = choose_images(desired, {Repository("quay.io", "a/b"): ("v1.2",)})[0].images
    assert (str(image.source), image.key) == ("quay.io/a/b:v1.2", "mirror/base/b:v1.2")
    assert image.subset == Subset((Platform("linux", "arm64"),), keeps_attestations=False)
    assert [one.name for one in desired.repositories] == ["mirror/base/b"]


def test_a_selected_tag_is_as_the_same_tag_in_a_list() -> None:
    for body in (
        "images: [{{source: a, tags: {tags}}}]\n",
        "platforms: all\nattestations: drop\nsignatures: keep\nimages: [{{source: a, tags: {tags}}}]\n",
        "images: [{{source: a, tags: {tags}, platforms: all, attestations: drop, signatures: keep, repository: base}}]\n",
    ):
        found, _ = chosen(body.format(tags="{glob: '1'}"), a=("1",))
        listed, _ = chosen(body.format(tags="['1']"))
        assert found.images == tuple(replace(image, path="images[0].tags") for image in listed.images)


def test_selected_tags_get_their_names_in_ecr() -> None:
    selection = "{source: python, tags: {glob: '3.1[23]-slim'}, tag_as: 'base-{tag}'}"
    found, remarks = chosen(
        f"images: [{selection}, {{source: 'python:3.9-slim', tag_as: 'base-3.9'}}]\n", python=PYTHON
    )
    assert [(image.source.tag, image.tag) for image in found.images] == [
        ("3.13-slim", "base-3.13-slim"),
        ("3.12-slim", "base-3.12-slim"),
        ("3.9-slim", "base-3.9"),
    ]
    assert remarks == ()


def test_another_tag_under_the_name_of_a_selected_one_is_refused() -> None:
    selection = "{source: python, tags: {glob: '3.12-slim'}}"
    _, (refusal,) = chosen(
        f"images: [{{source: 'python:3.9-slim', tag_as: '3.12-slim'}}, {selection}]\n", python=PYTHON
    )
    assert refusal.code == "tags.collide"
    assert "`python:3.12-slim` and `python:3.9-slim`" in refusal.message


def test_a_name_in_ecr_that_gets_too_long_is_refused() -> None:
    selection = f"{{source: a, tags: {{glob: '*'}}, tag_as: '{'x' * 100}-{{tag}}'}}"
    found, (refusal,) = chosen(f"images: [{selection}]\n", a=("1", "2" * 28))
    assert [image.source.tag for image in found.images] == ["1"]
    assert refusal.code == "tags.name_too_long"


def test_tags_in_ecr_are_read_by_their_names_there_while_the_upstream_cannot_be_listed() -> None:
    desired = resolve(loads(HEAD + "images: [{source: a, tags: {versions: '>=1'}, tag_as: 'ours-{tag}'}]\n", "x.yaml"))
    stored = {"docker-hub/library/a": ("ours-1.2", "1.3", "ours-latest", "ours-")}
    found, _ = choose_images(desired, {repository("a"): SourceFault("unreachable", "no")}, stored=stored)
    assert [(image.source.tag, image.tag) for image in found.images] == [("1.2", "ours-1.2")]


def test_a_listed_tag_wins_over_a_selected_one_wherever_it_stands() -> None:
    selection = "{source: python, tags: {glob: '3.1[23]-slim'}, platforms: all}"
    for order in (f"[{selection}, 'python:3.12-slim']", f"['python:3.12-slim', {selection}]"):
        found, refusals = chosen(f"images: {order}\n", python=PYTHON)
        assert sorted(sources(found)) == ["python:3.12-slim", "python:3.13-slim"]
        assert {image.tag: image.subset.platforms for image in found.images} == {
            "3.12-slim": (Platform("linux", "amd64"),),
            "3.13-slim": None,
        }
        assert refusals == ()


def test_the_first_of_two_selections_wins() -> None:
    body = "images: [{source: a, tags: {glob: '*', keep: 2}, platforms: all}, {source: a, tags: {versions: '>=1'}}]\n"
    found, _ = chosen(body, a=("1", "2", "3"))
    assert [(image.tag, image.subset.platforms is None) for image in found.images] == [
        ("3", True),
        ("2", True),
        ("1", False),
    ]


def test_a_tag_that_goes_to_two_repositories_is_two_images() -> None:
    body = "images: ['a:1', {source: a, tags: {glob: '1'}, repository: other/a}]\n"
    found, _ = chosen(body, a=("1",))
    assert [image.key for image in found.images] == ["docker-hub/library/a:1", "other/a:1"]


def test_another_image_on_the_same_tag_is_refused() -> None:
    body = "images: [{source: 'a:1', repository: x/y}, {source: b, tags: {glob: '?'}, repository: x/y}]\n"
    found, [refusal] = chosen(body, b=("1", "2"))
    assert refusal.code == "tags.collide"
    assert refusal.message == "images[1].tags: `b:1` and `a:1` of `images[0]` have the same destination `x/y:1`"
    assert refusal.hint == "give one of them another `repository` or `tag_as`, or `exclude: [1]`"
    assert sources(found) == ["a:1", "b:2"]


def test_a_selection_without_a_match_is_refused_with_the_nearest_tags() -> None:
    body = "images: [{source: python, tags: {versions: '>=4', suffix: slim}}]\n"
    found, [refusal] = chosen(body, python=PYTHON)
    assert refusal.code == "tags.none_match"
    assert refusal.message == (
        "images[0].tags: none of the 6 tags of `python` matches; the nearest: `3.13-slim`, `3.12-slim`, `3.10-slim`"
    )
    assert found.images == ()


def test_a_repository_without_tags_has_no_nearest() -> None:
    _, [refusal] = chosen("images: [{source: a, tags: {glob: '*'}}]\n", a=())
    assert refusal.message == "images[0].tags: `a` has no tags"


def test_what_cannot_be_listed_is_refused_as_any_source_that_cannot_be_had() -> None:
    body = "images: [{source: a, tags: {glob: '*'}}, {source: b, tags: {glob: '*'}}]\n"
    faults = {"a": SourceFault("denied", "`a` says no", "sign in"), "b": SourceFault("unreachable", "`b` is silent")}
    _, refusals = chosen(body, **faults)
    assert refusals == (
        Refusal(
            "source.denied",
            "images[0].tags: `a` says no",
            hint="sign in",
            kind="denied",
            image="docker-hub/library/a:*",
            source="docker.io/library/a",
        ),
        Refusal(
            "source.unreachable",
            "images[1].tags: `b` is silent",
            image="docker-hub/library/b:*",
            source="docker.io/library/b",
        ),
    )


BUILD = """\
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [python:3.12-slim, docker.io/library/python:3.9-slim]
"""


def test_a_build_may_start_from_what_is_selected() -> None:
    found, refusals = chosen("images: [{source: python, tags: {glob: '3.*-slim'}}]\n" + BUILD, python=PYTHON)
    assert refusals == ()
    assert [(one.repository, one.tag) for one in found.builds[0].images] == [
        ("docker-hub/library/python", "3.12-slim"),
        ("docker-hub/library/python", "3.9-slim"),
    ]


def test_refuses_a_build_from_an_unselected_tag() -> None:
    _, [refusal] = chosen("images: [{source: python, tags: {glob: '3.*-slim', keep: 2}}]\n" + BUILD, python=PYTHON)
    assert refusal.code == "build.image_not_selected"
    assert refusal.message == (
        "builds[0].images[1]: `python:3.9-slim` is not among the tags that `images[0].tags` selects now"
    )
    assert refusal.hint == "add `- python:3.9-slim` to `images`"


def test_of_what_is_not_meant_nothing_is_refused() -> None:
    body = (
        "images: [{source: python, tags: {glob: '9.*'}}, {source: a, tags: {glob: '*'}, repository: both}, "
        "{source: b, tags: {glob: '*'}, repository: both}]\n"
    )
    listings: Listings = {repository("python"): PYTHON, repository("a"): ("1",), repository("b"): ("1",)}
    desired = resolve(loads(HEAD + body, "images.yaml"))
    assert [one.code for one in choose_images(desired, listings)[1]] == ["tags.none_match", "tags.collide"]
    assert choose_images(desired, listings, lambda image: image.tag == "2")[1] == ()


def test_a_listed_tag_serves_the_build_that_the_selection_does_not() -> None:
    body = "images: [{source: python, tags: {glob: '3.*-slim', keep: 2}}, 'python:3.9-slim']\n"
    assert chosen(body + BUILD, python=PYTHON)[1] == ()


def test_a_build_is_not_blamed_for_a_registry_that_cannot_be_listed() -> None:
    body = "images: [{source: python, tags: {glob: '3.*-slim'}}]\n"
    _, refusals = chosen(body + BUILD, python=SourceFault("unreachable", "silent"))
    assert [refusal.code for refusal in refusals] == ["source.unreachable"]


def test_refuses_a_pattern_that_takes_too_long() -> None:
    body = "images: ['a:1', {source: python, tags: {regex: '(?:(x|xx)+\\1)+c'}}]\n"
    found, [refusal] = chosen(body, python=("x" * 128,))
    assert (sources(found), refusal.code) == (["a:1"], "tags.too_slow")
    assert refusal.message == (
        r"images[1].tags: its `regex` `(?:(x|xx)+\1)+c` takes more than 1 s of CPU for the tags of `python`"
    )
