"""A first manifest from a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.scanned_project import write_project
from toolkit.errors import Refused, UsageError
from toolkit.manifest.loader import load
from toolkit.operations.init import Start, init

FILES = {
    "Dockerfile": "# syntax=docker/dockerfile:1\nFROM nginx:1.16\nFROM node:$V\n",
    "compose.yaml": "services: {x: {image: redis}}",
}


def start(folder: Path, **fields: object) -> Start:
    return Start(paths=(folder,), home=folder, manifest=folder / "images.yaml", **fields)  # type: ignore[arg-type]


def test_it_mirrors_what_was_found_and_says_what_could_not_be_known(tmp_path: Path) -> None:
    begun = init(start(write_project(tmp_path, FILES), name="shop", region="eu-west-1"))
    manifest = load(tmp_path / "images.yaml")
    assert [image.source for image in manifest.images] == ["docker/dockerfile:1", "nginx:1.16", "redis:latest"]
    assert (manifest.name, manifest.aws.region, begun.images) == ("shop", "eu-west-1", 3)
    assert begun.left_out == ("Dockerfile:3: `node:$V`: give values: `--build-arg V=...`",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("compose.yaml", "services:\n  x:\n    platform: linux/amd64/v9/zz\n    image: redis\n"),
        ("docker-bake.json", '{"target": {"x": {"platforms": ["linux/amd64/v9/zz"], "dockerfile": "sub/Dockerfile"}}}'),
        (
            "buildspec.yml",
            "version: 0.2\nphases: {build: {commands: [docker pull --platform=linux/amd64/v9/zz redis]}}\n",
        ),
    ],
)
def test_takes_every_known_name_whatever_its_platform(tmp_path: Path, name: str, text: str) -> None:
    files = {name: text, "Dockerfile": "FROM nginx:1.16\n", "sub/Dockerfile": "FROM scratch\nFROM redis\n"}
    begun = init(start(write_project(tmp_path, files if "bake" in name else {**files, "sub/Dockerfile": ""})))
    assert [image.source for image in load(tmp_path / "images.yaml").images] == ["nginx:1.16", "redis:latest"]
    assert any("`linux/amd64/v9/zz` is not a platform" in reason for reason in begun.left_out)


def test_values_and_the_machine_are_those_of_the_scan(tmp_path: Path) -> None:
    write_project(tmp_path, {"Dockerfile": "ARG V\nFROM node:$V\n"})
    init(start(tmp_path, name="shop", values={"V": "20"}, machine="linux/arm64"))
    manifest = load(tmp_path / "images.yaml")
    assert (manifest.images[0].source, manifest.platforms) == ("node:20", ("linux/arm64",))


@pytest.mark.parametrize(
    ("folder", "name"), [("My_Shop 2", "my-shop-2"), ("7up", "up"), ("x", "base-images"), ("a-" * 40, None)]
)
def test_the_name_is_the_folders_as_far_as_it_can_be(tmp_path: Path, folder: str, name: str | None) -> None:
    home = write_project(tmp_path / folder, FILES)
    init(start(home))
    assert name in (None, load(home / "images.yaml").name)


def test_a_file_that_is_there_stays_unless_forced(tmp_path: Path) -> None:
    write_project(tmp_path, {**FILES, "images.yaml": "mine"})
    with pytest.raises(Refused) as refusal:
        init(start(tmp_path))
    assert refusal.value.code == "init.exists"
    assert (tmp_path / "images.yaml").read_text() == "mine"
    init(start(tmp_path, overwrites=True))
    assert load(tmp_path / "images.yaml").images


@pytest.mark.parametrize("name", ["nowhere/images.yaml", "Dockerfile/images.yaml", "."])
def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    asked = start(write_project(tmp_path, FILES), overwrites=True, name="shop")
    with pytest.raises(UsageError) as error:
        init(replace(asked, manifest=tmp_path / name))
    assert error.value.code == "usage.not_writable"


def test_a_name_that_no_file_can_have_is_said(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "x" * 300):
        with pytest.raises(UsageError) as error:
            init(replace(start(write_project(tmp_path, FILES)), manifest=tmp_path / name))
        assert error.value.code == "usage.not_writable"


def test_nothing_to_mirror_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        init(start(tmp_path))
    assert refusal.value.code == "init.nothing"
    assert not (tmp_path / "images.yaml").exists()


@pytest.mark.parametrize("name", ["true", "null", "no", "off"])
def test_a_name_that_yaml_takes_for_something_else_is_written_as_text(tmp_path: Path, name: str) -> None:
    home = write_project(tmp_path / name, FILES)
    init(start(home))
    assert load(home / "images.yaml").name == name
    init(start(home, name=name, overwrites=True))
    assert load(home / "images.yaml").name == name


@pytest.mark.parametrize(
    ("name", "region", "said"),
    [
        ("shop\nbuild_tools: true", "us-east-1", "name `shop\\nbuild_tools: true` is not a name"),
        ("shop", 'us-east-1, account_id: "123456789012"', 'region `us-east-1, account_id: "123456789012"` is not an'),
        ("shop", "us-east-1}\nbuild_tools: true #", "region `us-east-1}\\nbuild_tools: true #` is not an AWS region"),
        ("*x", "&x us-east-1", "name `*x` is not a name: "),
        ("", "", "name an empty text is not a name: "),
        ("\0\udcff", "", "name the character U+0000 cannot be used"),
    ],
)
def test_name_and_region_bring_nothing_else_into_the_manifest(
    tmp_path: Path, name: str, region: str, said: str
) -> None:
    with pytest.raises(UsageError) as error:
        init(start(write_project(tmp_path, FILES), name=name, region=region))
    assert said in error.value.message
    assert not (tmp_path / "images.yaml").exists()


def test_what_is_wrong_in_a_file_of_the_builds_is_not_laid_on_the_name(tmp_path: Path) -> None:
    write_project(tmp_path, {"compose.yaml": "services: {x: {image: redis, platform: 'x], y: [z'}}"})
    begun = init(start(tmp_path, name="shop"))
    assert begun.left_out == ("compose.yaml:1: `x], y: [z` is not a platform",)
    assert [image.source for image in load(tmp_path / "images.yaml").images] == ["redis:latest"]


def test_the_text_is_for_people(tmp_path: Path) -> None:
    init(start(write_project(tmp_path, FILES), name="shop", machine="linux/arm64"))
    assert (tmp_path / "images.yaml").read_text() == (
        "# Base images of the builds here, made by `toolkit init`; every field: `toolkit schema`.\n"
        "version: 1\n"
        "name: shop\n"
        "aws: {region: us-east-1}\n"
        "platforms: [linux/arm64]\n"
        "\n"
        "images:\n"
        "  - docker/dockerfile:1\n"
        "  - nginx:1.16\n"
        "  - redis:latest\n"
    )


def test_a_name_or_region_that_is_none_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name .*region"):
        init(start(write_project(tmp_path, FILES), name="X", region="mars"))
    assert not (tmp_path / "images.yaml").exists()


def test_it_writes_a_build_for_each_buildspec_that_builds(tmp_path: Path) -> None:
    files = {
        "buildspec.yml": "version: 0.2\nphases: {build: {commands: [docker build -t base ., docker build web]}}\n",
        "Dockerfile": "FROM nginx:1.16\n",
        "web/Dockerfile": "FROM base\nFROM node:20\nFROM scratch\nCOPY --from=node:$X / /\n",
        "api/buildspec.yml": "version: 0.2\nphases: {build: {commands: [docker build api, docker run redis:7]}}\n",
        "api/Dockerfile": "FROM python:3\n",
        "deploy/buildspec.yml": "version: 0.2\nphases: {build: {commands: [aws s3 ls]}}\n",
        ".git/config": '[remote "origin"]\n\turl = https://me:secret@github.com/acme/shop.git\n',
    }
    begun = init(start(write_project(tmp_path, files), name="shop"))
    manifest = load(tmp_path / "images.yaml")
    found = {build.name: (build.buildspec, build.dockerfiles, build.images) for build in manifest.builds}
    own = next(name for name in found if name != "api")
    assert begun.builds == 2
    assert found["api"] == ("api/buildspec.yml", ("api/Dockerfile",), ("python:3", "redis:7"))
    assert found[own] == ("buildspec.yml", ("Dockerfile", "web/Dockerfile"), ("nginx:1.16", "node:20"))
    assert {build.source.location for build in manifest.builds} == {"https://github.com/acme/shop.git"}
    assert "secret" not in (tmp_path / "images.yaml").read_text()


def test_it_asks_for_the_helpers_of_tests(tmp_path: Path) -> None:
    java = 'import org.testcontainers.containers.*;\nObject db = new PostgreSQLContainer<>("postgres:16");\n'
    begun = init(start(write_project(tmp_path, {"T.java": java}), name="shop"))
    manifest = load(tmp_path / "images.yaml")
    assert (manifest.test_tools, [image.source for image in manifest.images], begun.left_out) == (
        True,
        ["postgres:16"],
        (),
    )
