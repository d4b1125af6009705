"""A manifest is loaded with the files that it names, and none from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import ManifestUnusable
from toolkit.operations.load import load_desired

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


def manifest(folder: Path, extra: str) -> Path:
    file = folder / "images.yaml"
    file.write_text(f"{MANIFEST}terraform: {{extra_files: [{extra}]}}\n")
    return file


def test_extra_files_are_read_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "alarms.tf").write_text("# mine\n")
    (tmp_path / "policy.json").write_text("{}")
    desired = load_desired(manifest(tmp_path, "own/alarms.tf, policy.json"))
    assert desired.extra_files == {"alarms.tf": "# mine\n", "policy.json": "{}"}


def _link(folder: Path) -> None:
    (folder / "x.tf").symlink_to("/etc/hostname")


def _link_above(folder: Path) -> None:
    (folder / "x.tf").symlink_to(folder)


@pytest.mark.parametrize(
    ("prepare", "path", "why"),
    [
        (lambda folder: None, "x.tf", "there is no such file"),
        (lambda folder: (folder / "x.tf").mkdir(), "x.tf", "there is no such file"),
        (_link, "x.tf", "it is a link, or below one"),
        (_link_above, "x.tf/images.yaml", "it is a link, or below one"),
        (lambda folder: (folder / "x.tf").write_bytes(b"\xff"), "x.tf", "it is not UTF-8 text"),
        (lambda folder: (folder / "x.tf").write_bytes(b"x" * 2_000_000), "x.tf", "it has more than 1,048,576 bytes"),
    ],
    ids=["missing", "a folder", "a link", "below a link", "no text", "large"],
)
def test_an_extra_file_that_cannot_be_had_is_a_fault_of_the_manifest(
    tmp_path: Path, prepare: Callable[[Path], object], path: str, why: str
) -> None:
    prepare(tmp_path)
    with pytest.raises(ManifestUnusable) as unusable:
        load_desired(manifest(tmp_path, path))
    assert unusable.value.code == "manifest.extra_file"
    assert unusable.value.message.endswith(why)
