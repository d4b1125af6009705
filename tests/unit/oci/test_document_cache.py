from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.made_images import image
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.errors import DigestMismatch, NotFound, UnsupportedDocument
from toolkit.oci.media_types import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_SCHEMA_1, OCI_INDEX, OCI_MANIFEST


def made(name: str = "", size: int = 100) -> Document:
    """A document of so many bytes."""
    text = json.dumps({"schemaVersion": 2, "manifests": [], "annotations": {"name": name}})
    return Document(OCI_INDEX, text.ljust(size).encode())


def never() -> Document:
    raise AssertionError("read again")


def test_a_document_is_read_once() -> None:
    cache, document = DocumentCache(), made()
    assert cache.get(document.digest) is None
    assert cache.get_or_read(document.digest, lambda: document) == (document, True)
    assert cache.get_or_read(document.digest, never) == (document, False)


def test_the_next_run_finds_it_in_the_directory(tmp_path: Path) -> None:
    document = made("two\nlines\n")
    DocumentCache(tmp_path / "deep" / "cache").put(document.digest, document)
    assert DocumentCache(tmp_path / "deep" / "cache").get(document.digest) == document


def test_a_sha512_document_is_kept_too(tmp_path: Path) -> None:
    document = made()
    digest = Digest.of(document.raw, "sha512")
    DocumentCache(tmp_path).put(digest, document)
    assert DocumentCache(tmp_path).get(digest) == document


def test_a_document_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    cache = DocumentCache(tmp_path)
    with pytest.raises(DigestMismatch):
        cache.get_or_read(made("wanted").digest, lambda: made("other"))
    assert cache.get(made("wanted").digest) is None
    assert list(tmp_path.iterdir()) == []


def test_the_right_bytes_under_a_wrong_type_are_refused_and_read_again(tmp_path: Path) -> None:
    document = made()
    cache = DocumentCache(tmp_path)
    with pytest.raises(UnsupportedDocument):
        cache.get_or_read(document.digest, lambda: Document("application/xml", document.raw))
    assert cache.get_or_read(document.digest, lambda: document) == (document, True)
    assert DocumentCache(tmp_path).get(document.digest) == document


@pytest.mark.parametrize("damage", [b"", b"application/json\nother", b"\xff\nx", b"no newline"])
def test_a_damaged_file_is_as_good_as_none_and_goes(tmp_path: Path, damage: bytes) -> None:
    document = made()
    DocumentCache(tmp_path).put(document.digest, document)
    [file] = tmp_path.iterdir()
    file.write_bytes(damage)
    assert DocumentCache(tmp_path).get(document.digest) is None
    assert not file.exists()


@pytest.mark.parametrize("document", [made(), image([b"layer"]).document])
def test_a_file_with_another_first_line_is_read_again(tmp_path: Path, document: Document) -> None:
    """No digest covers the type: the source would be blamed for it in every later run."""
    others = {OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_SCHEMA_1, "text/html", ""}
    for other in sorted(others - {document.media_type}):
        DocumentCache(tmp_path).put(document.digest, document)
        [file] = tmp_path.iterdir()
        file.write_bytes(other.encode() + b"\n" + document.raw)
        assert DocumentCache(tmp_path).get_or_read(document.digest, lambda: document) == (document, True)
        assert DocumentCache(tmp_path).get_or_read(document.digest, never) == (document, False)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_in_the_directory_is_replaced(tmp_path: Path, make: Callable[[Path], object]) -> None:
    document = made()
    make(tmp_path / f"sha256-{document.digest.hex}")
    assert DocumentCache(tmp_path).get_or_read(document.digest, lambda: document) == (document, True)
    assert DocumentCache(tmp_path).get_or_read(document.digest, never) == (document, False)


def test_a_directory_deleted_in_the_middle_is_no_matter(tmp_path: Path) -> None:
    cache, first, second = DocumentCache(tmp_path / "c"), made("1"), made("2")
    cache.put(first.digest, first)
    for file in (tmp_path / "c").iterdir():
        file.unlink()
    (tmp_path / "c").rmdir()
    assert cache.get(first.digest) == first
    cache.put(second.digest, second)
    assert DocumentCache(tmp_path / "c").get(second.digest) == second


def test_a_directory_that_cannot_be_written_costs_nothing_in_this_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache, document = DocumentCache(tmp_path / "file"), made()
    cache.put(document.digest, document)
    assert cache.get(document.digest) == document


def test_the_directory_stays_within_its_limit_and_the_longest_unused_goes(tmp_path: Path) -> None:
    documents = [made(str(number), 1_000) for number in range(12)]
    cache = DocumentCache(tmp_path, limit=8_000, memory_limit=0)
    for document in documents:
        cache.put(document.digest, document)
        cache.get(documents[0].digest)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 8_000
    later = DocumentCache(tmp_path, limit=8_000)
    assert later.get(documents[-1].digest) is not None
    assert later.get(documents[0].digest) is not None
    assert later.get(documents[1].digest) is None


def test_memory_is_bounded() -> None:
    cache = DocumentCache(memory_limit=2_500)
    documents = [made(str(number), 1_000) for number in range(4)]
    for document in documents:
        cache.put(document.digest, document)
    assert [cache.get(document.digest) is not None for document in documents] == [False, False, True, True]


def test_many_threads_that_want_the_same_document_read_it_once() -> None:
    cache, document = DocumentCache(), made()
    reads: list[int] = []
    is_reading, may_end = threading.Event(), threading.Event()

    def read() -> Document:
        reads.append(1)
        is_reading.set()
        may_end.wait(5)
        return document

    found: list[tuple[Document, bool]] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get_or_read(document.digest, read))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert is_reading.wait(5)
    may_end.set()
    for thread in threads:
        thread.join(5)
    assert len(reads) == 1
    assert sorted(was_read for _, was_read in found) == [False, False, False, True]


def test_a_failed_read_leaves_the_next_one_a_chance() -> None:
    cache, document = DocumentCache(), made()

    def missing() -> Document:
        raise NotFound("gone", status=404, host="x")

    with pytest.raises(NotFound):
        cache.get_or_read(document.digest, missing)
    assert cache.get_or_read(document.digest, lambda: document) == (document, True)


def test_threads_that_wait_for_a_failed_read_try_one_after_the_other() -> None:
    cache, document = DocumentCache(), made()
    lock, may_end = threading.Lock(), threading.Event()
    alone: list[bool] = []

    def fail() -> Document:
        is_alone = lock.acquire(blocking=False)
        alone.append(is_alone)
        may_end.wait(5)
        if is_alone:
            lock.release()
        raise NotFound("gone", status=404, host="x")

    def ask() -> None:
        with suppress(NotFound):
            cache.get_or_read(document.digest, fail)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    may_end.set()
    for thread in threads:
        thread.join(5)
    assert alone == [True] * 4


@pytest.mark.parametrize("link", ["cache", "cache/base"])
def test_a_linked_directory_is_not_written_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    (tmp_path / "elsewhere" / "base").mkdir(parents=True)
    (tmp_path / "tree" / link).parent.mkdir(parents=True)
    (tmp_path / "tree" / link).symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "tree")
    told: list[str | None] = []
    cache = DocumentCache(Path("cache/base"), on_unusable=lambda _, error: told.append(error.strerror))
    cache.put(made().digest, made())
    assert cache.get(made().digest) == made()
    assert told == ["it is a link"]
    assert [path.name for path in (tmp_path / "elsewhere").rglob("*")] == ["base"]


def test_a_linked_document_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    victim, document = tmp_path / "victim", made()
    victim.write_bytes(b"theirs")
    os.utime(victim, (1, 1))
    file = tmp_path / "cache" / f"sha256-{document.digest.hex}"
    file.parent.mkdir()
    file.symlink_to(victim)
    assert DocumentCache(file.parent).get(document.digest) is None
    DocumentCache(file.parent).put(document.digest, document)
    assert DocumentCache(file.parent).get(document.digest) == document
    assert not file.is_symlink()
    assert (victim.read_bytes(), victim.stat().st_mtime) == (b"theirs", 1)


def test_the_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        DocumentCache(tmp_path / "cache").put(made().digest, made())
    finally:
        os.umask(before)
    [file] = (tmp_path / "cache").iterdir()
    assert [path.stat().st_mode & 0o777 for path in (file.parent, file)] == [0o700, 0o600]
