"""A file is the old one or the new one, whatever stands in its way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolkit.atomic_file import check_writable, write_atomically
from toolkit.errors import UsageError
from toolkit.operations.whole_file import write_whole


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"text")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"text"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o600)
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / "file").symlink_to(victim)
    (tmp_path / ".file.new").symlink_to(victim)
    write_atomically(tmp_path / "file", b"ours")
    assert victim.read_text() == "theirs"
    assert (tmp_path / "file").read_text() == "ours"


def test_what_cannot_be_finished_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(TypeError):
        write_atomically(file, "no bytes")  # type: ignore[arg-type]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.parametrize("place", [".", "/", "..", "/dev/null", "a-folder", "a-file/x", "absent/x"])
def test_a_place_that_can_hold_no_file_is_an_os_error_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-file").write_text("")
    with pytest.raises(OSError):
        check_writable(Path(place))
    with pytest.raises(OSError):
        write_atomically(Path(place), b"text")
    with pytest.raises(UsageError, match="cannot be written: "):
        write_whole(Path(place), "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file", "a-folder"]
    assert Path("/dev/null").is_char_device()


def test_looking_at_a_place_leaves_nothing_there(tmp_path: Path) -> None:
    check_writable(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
