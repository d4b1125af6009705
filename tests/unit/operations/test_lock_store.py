"""The file of a lock: read and replaced whole, by one writer at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from toolkit.errors import Refused
from toolkit.lock.stored import MAX_BYTES
from toolkit.operations.lock_store import LockFile, lock_file_of


def test_is_beside_its_manifest() -> None:
    assert lock_file_of(Path("deploy/prod.yaml")) == Path("deploy/prod.lock.yaml")


def test_gives_back_what_was_written(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "images.lock.yaml")
    assert lock.read() is None
    assert lock.write("é", None) == lock.read()


@pytest.mark.parametrize("before", [None, "", "first"])
def test_refuses_a_writer_that_has_not_seen_the_last_write(tmp_path: Path, before: str | None) -> None:
    lock = LockFile(tmp_path / "images.lock.yaml")
    seen = None if before is None else lock.write(before, None)
    lock.write("another run's", seen)
    with pytest.raises(Refused) as caught:
        lock.write("mine", seen)
    assert caught.value.code == "lock.changed_meanwhile"
    assert lock.path.read_text() == "another run's"


def test_lets_one_of_many_writers_win(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "images.lock.yaml")
    seen = lock.write("first", None)

    def write(number: int) -> str | None:
        try:
            return lock.write(f"run {number}", seen).text
        except Refused:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [text for text in pool.map(write, range(40)) if text]
    assert won == [lock.path.read_text()]
    assert list(tmp_path.iterdir()) == [lock.path]


def test_follows_no_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("token")
    lock = LockFile(tmp_path / "images.lock.yaml")
    lock.path.symlink_to(secret)
    for act in (lock.read, lambda: lock.write("x", None)):
        with pytest.raises(Refused, match="it is a link") as caught:
            act()
        assert "token" not in str(caught.value)
    assert secret.read_text() == "token"


def test_names_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "a.lock.yaml").write_bytes(b"\xff")
    with pytest.raises(Refused, match="UTF-8"):
        LockFile(tmp_path / "a.lock.yaml").read()
    (tmp_path / "folder").mkdir()
    with pytest.raises(Refused, match=r"`.*folder` cannot be read"):
        LockFile(tmp_path / "folder").read()
    with pytest.raises(Refused) as caught:
        LockFile(tmp_path / "nowhere" / "a.lock.yaml").write("x", None)
    assert caught.value.code == "lock.unwritable"


def test_refuses_a_lock_of_which_it_would_read_only_a_part(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "images.lock.yaml")
    lock.path.write_text("# é" + "é" * (MAX_BYTES // 2), encoding="utf-8")  # fewer characters than bytes
    with pytest.raises(Refused) as caught:
        lock.read()
    assert caught.value.code == "lock.too_large"
