"""Examples that `init` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import Refused, UsageError
from toolkit.operations.examples import Example, write_example

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_names_every_folder_of_examples() -> None:
    assert sorted(Example) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.mark.parametrize("example", Example)
def test_writes_the_files_as_they_are(tmp_path: Path, example: Example) -> None:
    files = write_example(example, tmp_path)
    assert files
    for path in files:
        written, source = tmp_path / path, EXAMPLES / example / path
        assert (written.read_bytes(), written.stat().st_mode) == (source.read_bytes(), source.stat().st_mode)


def test_writes_nothing_where_a_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text("mine")
    with pytest.raises(Refused, match=r"images\.yaml"):
        write_example(Example.QUICKSTART, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["images.yaml"]


@pytest.mark.parametrize("taken", ["services", "images.yaml"])
def test_follows_no_link(tmp_path: Path, taken: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here" / taken).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match=taken):
        write_example(Example.MONOREPO, tmp_path / "here")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_shares_a_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    write_example(Example.MONOREPO, tmp_path)
    assert (tmp_path / "services" / "api" / "Dockerfile").is_file()


def test_says_which_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Dockerfile"):
        write_example(Example.QUICKSTART, tmp_path / "file")
