"""Nothing is waited for, and nothing is written through a link."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.oci.local_files import create_own, make_own_folder, open_own, open_regular, read_regular, refuse_links

MakeOdd = Callable[[Path], object]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "victim"
    file.write_text("theirs")
    return file


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: MakeOdd) -> None:
    make(tmp_path / "odd")
    with pytest.raises(OSError, match=r"regular|directory"):
        read_regular(tmp_path / "odd", 10)
    with pytest.raises(OSError, match=r"regular|directory|link"):
        open_own(tmp_path / "odd")


def test_a_link_is_read_unless_it_must_not_be(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "link").symlink_to(victim)
    assert read_regular(tmp_path / "link", 3) == b"the"
    with pytest.raises(OSError, match="it is a link"):
        open_regular(tmp_path / "link", follows_link=False)


def test_a_lock_is_not_opened_through_a_link_and_is_its_owners(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="it is a link"):
        open_own(tmp_path / "lock")
    open_own(tmp_path / "other").close()
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o600
    assert victim.read_text() == "theirs"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("victim"), Path.touch])
def test_a_new_file_takes_the_place_of_what_is_there(tmp_path: Path, victim: Path, make: MakeOdd) -> None:
    make(tmp_path / "log")
    with create_own(tmp_path / "log") as file:
        file.write(b"ours")
    assert (tmp_path / "log").read_text() == "ours"
    assert (tmp_path / "log").lstat().st_mode & 0o777 == 0o600
    assert victim.read_text() == "theirs"


def test_links_of_the_tree_are_refused_and_those_above_it_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real" / "tree").mkdir(parents=True)
    (tmp_path / "above").symlink_to("real")
    (tmp_path / "real" / "tree" / "link").symlink_to(tmp_path)
    make_own_folder(tmp_path / "above" / "tree" / "new")
    monkeypatch.chdir(tmp_path / "above" / "tree")
    make_own_folder(Path("a/b"))
    assert Path("a/b").stat().st_mode & 0o777 == 0o700
    for path in ("link", "link/below", "./a/../link/x/y"):
        with pytest.raises(OSError, match="it is a link"):
            make_own_folder(Path(path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["above", "real"]
    refuse_links(Path("link/x"), below=Path("link"))
