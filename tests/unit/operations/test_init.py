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


def test_nothing_to_mirror_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        init(start(tmp_path))
    assert refusal.value.code == "init.nothing"
    assert not (tmp_path / "images.yaml").exists()


def test_a_name_or_region_that_is_none_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name .*region"):
        init(start(write_project(tmp_path, FILES), name="X", region="mars"))
    assert not (tmp_path / "images.yaml").exists()
