from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.made_images import LAYER, image, index, store
from tests.support.memory_registry import Call, Cut, Ended, Fault, Garbled, MemoryRegistry, Overlong
from toolkit.oci.client import Upload
from toolkit.oci.copy import BlobFate, CopyEngine, CopyError, CopyRequest
from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import (
    ConnectionFailed,
    Denied,
    DigestMismatch,
    MissingPlatform,
    NotFound,
    RegistryError,
    SizeMismatch,
    TagImmutable,
)
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE, Subset
from toolkit.oci.tree import ImageTree, TreeReader

CONTENT = bytes(range(100))
BLOB = Descriptor(LAYER, Digest.of(CONTENT), len(CONTENT))
SOURCE = Reference.parse("source.test/a:v1")
DESTINATION = Reference.parse("target.test/b:v1")


class Scripted:
    """Faults of one operation, one a call, then none."""

    def __init__(self, operation: str, *faults: Fault | None) -> None:
        self._operation = operation
        self._faults = list(faults)

    def __call__(self, call: Call) -> Fault | None:
        return self._faults.pop(0) if call.operation == self._operation and self._faults else None


def setting(faults: Scripted | None = None, *, is_new: bool = True) -> tuple[MemoryRegistry, CopyEngine, CopyRequest]:
    """Two registries, the first one with a blob, and the request to copy it to the second."""
    registry = MemoryRegistry(faults or Scripted(""))
    registry.blobs[SOURCE.name][BLOB.digest] = CONTENT
    request = CopyRequest("b:v1", SOURCE.with_digest(BLOB.digest), DESTINATION, destination_is_new=is_new)
    return registry, CopyEngine(registry, registry, DocumentCache()), request


def move(engine: CopyEngine, request: CopyRequest, seen: list[int] | None = None) -> None:
    assert engine.move_blob(request, BLOB, (seen if seen is not None else []).append) is BlobFate.MOVED


def test_a_blob_is_moved_and_told_of_chunk_by_chunk() -> None:
    registry, engine, request = setting()
    seen: list[int] = []
    move(engine, request, seen)
    assert registry.blobs[DESTINATION.name] == {BLOB.digest: CONTENT}
    assert seen == [16, 32, 48, 64, 80, 96, 100]


def test_an_empty_blob_is_moved() -> None:
    registry, engine, request = setting()
    empty = Descriptor(LAYER, Digest.of(b""), 0)
    registry.blobs[SOURCE.name][empty.digest] = b""
    engine.move_blob(request, empty, [].append)
    assert registry.blobs[DESTINATION.name] == {empty.digest: b""}


@pytest.mark.parametrize("fault", [Cut(40), Ended(40), Cut(0), Cut(100)], ids=str)
def test_a_download_that_breaks_off_goes_on_in_the_same_upload(fault: Fault) -> None:
    registry, engine, request = setting(Scripted("open_blob", fault, fault))
    move(engine, request)
    assert registry.blobs[DESTINATION.name] == {BLOB.digest: CONTENT}
    assert registry.count("begin_upload") == 1
    assert registry.sent_bytes == len(CONTENT)


def test_a_download_that_breaks_off_for_ever_is_the_sources_error() -> None:
    registry, engine, request = setting(Scripted("open_blob", *[Cut(1)] * 20))
    with pytest.raises(CopyError) as caught:
        move(engine, request)
    assert (caught.value.side, type(caught.value.cause), caught.value.is_temporary) == (
        "source",
        ConnectionFailed,
        True,
    )
    assert registry.count("open_blob") < 10
    assert registry.count("cancel_upload") == 1


@pytest.mark.parametrize(
    ("fault", "cause"),
    [(Garbled(), DigestMismatch), (Overlong(), SizeMismatch)],
    ids=["wrong byte", "one byte too many"],
)
def test_bytes_that_are_not_what_the_digest_says_never_arrive(fault: Fault, cause: type[Exception]) -> None:
    registry, engine, request = setting(Scripted("open_blob", fault))
    with pytest.raises(CopyError) as caught:
        move(engine, request)
    assert (caught.value.side, type(caught.value.cause)) == ("source", cause)
    assert registry.blobs[DESTINATION.name] == {}
    if cause is DigestMismatch:
        assert registry.sent_bytes < len(CONTENT)  # the last chunk was held back


def test_a_source_that_always_ends_too_early_is_its_own_error() -> None:
    registry, engine, request = setting(Scripted("open_blob", *[Ended(0)] * 20))
    with pytest.raises(CopyError) as caught:
        move(engine, request)
    assert (caught.value.side, type(caught.value.cause)) == ("source", SizeMismatch)
    assert registry.blobs[DESTINATION.name] == {}


def test_a_broken_upload_is_the_destinations_error() -> None:
    registry, engine, request = setting(Scripted("put_blob", Cut(40)))
    with pytest.raises(CopyError) as caught:
        move(engine, request)
    assert (caught.value.side, caught.value.is_temporary) == ("destination", True)
    assert registry.blobs[DESTINATION.name] == {}


def test_a_listener_can_stop_a_transfer() -> None:
    class Stopped(Exception):
        pass

    def stop(received: int) -> None:
        if received > 40:
            raise Stopped

    registry, engine, request = setting()
    with pytest.raises(Stopped):
        engine.move_blob(request, BLOB, stop)
    assert registry.blobs[DESTINATION.name] == {}


def test_finds_a_blob_by_one_head() -> None:
    registry, engine, request = setting(is_new=False)
    registry.blobs[DESTINATION.name][BLOB.digest] = CONTENT
    assert engine.begin_blob(request, BLOB) is BlobFate.PRESENT
    assert [call.operation for call in registry.calls] == ["has_blob"]


def test_a_blob_of_another_repository_is_mounted() -> None:
    registry, engine, request = setting()
    other = Reference.parse("target.test/other:v1").name
    registry.blobs[other][BLOB.digest] = CONTENT
    assert engine.begin_blob(request, BLOB, other) is BlobFate.MOUNTED
    assert registry.blobs[DESTINATION.name] == {BLOB.digest: CONTENT}
    assert registry.sent_bytes == 0


def test_a_declined_mount_is_an_upload_session() -> None:
    registry, engine, request = setting()
    registry.mounts = False
    other = Reference.parse("target.test/other:v1").name
    registry.blobs[other][BLOB.digest] = CONTENT
    upload = engine.begin_blob(request, BLOB, other)
    assert not isinstance(upload, BlobFate)
    engine.move_blob(request, BLOB, [].append, upload)
    assert registry.blobs[DESTINATION.name] == {BLOB.digest: CONTENT}
    assert registry.count("begin_upload") == 1


@pytest.mark.parametrize(("mounts", "operation"), [(True, "begin_upload"), (False, "has_blob")])
def test_finds_blobs_by_a_mount_where_the_registry_mounts_from_itself(mounts: bool, operation: str) -> None:
    registry, engine, request = setting(is_new=False)
    registry.mounts = mounts
    move(engine, request)
    before = len(registry.calls)
    assert engine.begin_blob(request, BLOB) is BlobFate.PRESENT
    assert [call.operation for call in registry.calls[before:]] == [operation]


def test_finds_blobs_by_head_where_the_question_fails() -> None:
    denied = Denied("no", status=403, host="x")
    registry, engine, request = setting(Scripted("begin_upload", None, denied), is_new=False)
    move(engine, request)
    assert engine.begin_blob(request, BLOB) is BlobFate.PRESENT
    assert registry.count("has_blob") == 2


def copied_tree(registry: MemoryRegistry) -> tuple[CopyRequest, ImageTree]:
    """An image whose content is at the destination and whose tag is not."""
    made = image([b"layer"])
    source = store(registry, made, "source.test/a:v1")
    store(registry, made, "target.test/b")
    reader = TreeReader(made.digest, WHOLE)
    reader.add(made.digest, made.document)
    return CopyRequest("b:v1", source, DESTINATION), reader.tree()


def test_the_tag_is_put_and_read_back() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    assert engine.put_tag(request, tree, may_be_there=True) is True
    assert engine.put_tag(request, tree, may_be_there=True) is False
    assert [call.operation for call in registry.calls] == ["head_manifest", "put_manifest"] + ["head_manifest"] * 2


def test_a_registry_may_name_what_was_put_by_another_algorithm() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    wide = Digest.of(tree.documents[tree.digest].raw, "sha512")
    tree = replace(tree, digest=wide, documents={wide: tree.documents[tree.digest]})
    assert engine.put_tag(request, tree, may_be_there=True) is True
    assert engine.put_tag(request, tree, may_be_there=True) is False


def test_a_tag_that_points_elsewhere_after_it_was_put_is_an_error() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    other = store(registry, image([b"other"]), "target.test/b")

    def somebody_else(call: Call) -> None:
        if call.operation == "head_manifest" and other.digest:
            registry.tags[DESTINATION.name]["v1"] = other.digest

    registry.faults = somebody_else
    with pytest.raises(CopyError) as caught:
        engine.put_tag(request, tree, may_be_there=False)
    assert caught.value.code == "oci.not_as_copied"
    assert str(other.digest) in caught.value.message


def test_a_tag_that_may_not_be_looked_at_is_put_all_the_same() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    registry.faults = Scripted("head_manifest", Denied("no", status=403, host="h"))
    assert engine.put_tag(request, tree, may_be_there=True) is True


def test_a_refused_link_is_an_upload_and_a_passing_refusal_is_not() -> None:
    other = Reference.parse("target.test/other:v1").name
    denied, busy = Denied("no", status=403, host="h"), RegistryError("no", status=503, host="h")
    registry, engine, request = setting(Scripted("begin_upload", denied, None, busy))
    assert isinstance(engine.begin_blob(request, BLOB, other), Upload)
    with pytest.raises(CopyError):
        engine.begin_blob(request, BLOB, other)
    assert registry.count("begin_upload") == 3


def test_an_immutable_tag_that_has_the_digest_already_is_fine() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    registry.tags[DESTINATION.name]["v1"] = tree.digest
    registry.immutable.add(DESTINATION.name)
    assert engine.put_tag(request, tree, may_be_there=False) is False


def test_an_immutable_tag_with_another_digest_is_a_refused_move() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    store(registry, image([b"older"]), "target.test/b:v1")
    registry.immutable.add(DESTINATION.name)
    with pytest.raises(CopyError) as caught:
        engine.put_tag(request, tree, may_be_there=True)
    assert isinstance(caught.value.cause, TagImmutable)


def test_a_missing_document_is_the_sources_error() -> None:
    _, engine, request = setting()
    with pytest.raises(CopyError) as caught:
        engine.read_document(request, BLOB.digest)
    assert caught.value.side == "source"
    assert isinstance(caught.value.cause, NotFound)
    assert caught.value.message.startswith("source: ")


def test_the_configuration_is_read_and_checked() -> None:
    registry, engine, _ = setting()
    made = image([b"layer"])
    source = store(registry, made, "source.test/a:v1")
    config = next(Descriptor(LAYER, digest, len(raw)) for digest, raw in made.blobs.items() if raw.startswith(b"{"))
    engine.check_config(CopyRequest("k", source, DESTINATION, Subset((Platform("linux", "amd64"),))), config)
    with pytest.raises(CopyError) as caught:
        engine.check_config(CopyRequest("k", source, DESTINATION, Subset((Platform("linux", "arm64"),))), config)
    assert isinstance(caught.value.cause, MissingPlatform)


def test_a_tag_in_place_is_known_by_its_digest() -> None:
    registry, engine, _ = setting()
    request, tree = copied_tree(registry)
    assert engine.digest_in_place(request) is None
    registry.tags[DESTINATION.name]["v1"] = tree.digest
    assert engine.digest_in_place(request) == tree.digest
    assert registry.count("get_manifest") == 0


def test_a_filtered_index_in_place_is_known_by_what_it_says_of_its_origin() -> None:
    registry, engine, _ = setting()
    amd64, arm64 = (Platform("linux", "amd64"),), (Platform("linux", "arm64"),)
    made = index(("linux/amd64", image([b"a"])), ("linux/arm64", image([b"b"], "linux/arm64")))
    source = store(registry, made, "source.test/a:v1")
    reader = TreeReader(made.digest, Subset(amd64))
    for digest in reader.add(made.digest, made.document):
        reader.add(digest, registry.documents[source.name][digest])
    filtered = reader.digest
    registry.documents[DESTINATION.name][filtered] = reader.tree().documents[filtered]
    registry.tags[DESTINATION.name]["v1"] = filtered
    assert engine.digest_in_place(CopyRequest("k", source, DESTINATION, Subset(amd64))) == filtered
    assert engine.digest_in_place(CopyRequest("k", source, DESTINATION, Subset(arm64))) is None
    assert engine.digest_in_place(CopyRequest("k", source, DESTINATION)) is None
    assert registry.count("get_manifest", "source.test") == 0


def test_a_whole_index_is_not_the_filtered_one() -> None:
    registry, engine, _ = setting()
    made = index(("linux/amd64", image([b"a"])))
    source = store(registry, made, "source.test/a:v1")
    store(registry, made, str(DESTINATION))
    assert engine.digest_in_place(CopyRequest("k", source, DESTINATION, Subset((Platform("linux", "amd64"),)))) is None


@pytest.mark.parametrize(
    ("cause", "is_temporary"),
    [
        (ConnectionFailed("x", host="h"), True),
        (ConnectionFailed("x", host="h", is_temporary=False), False),
        (RegistryError("x", status=503, host="h"), True),
        (RegistryError("x", status=400, host="h"), False),
        (DigestMismatch("x"), False),
    ],
    ids=str,
)
def test_a_copy_error_may_pass_when_its_cause_may(cause: ConnectionFailed | RegistryError, is_temporary: bool) -> None:
    assert CopyError("source", "k", cause).is_temporary is is_temporary
