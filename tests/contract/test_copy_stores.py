"""What the copy engine takes for granted of a source and a target: true of the fake, a real registry and layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.made_images import LAYER, image, index, push
from tests.support.memory_registry import MemoryRegistry
from tests.support.registry import running_registry
from toolkit.oci.alternatives import Alternative, AlternativeSources
from toolkit.oci.client import RegistryClient
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import NotFound, OciError, RegistryError
from toolkit.oci.layout import Layouts
from toolkit.oci.layout_reference import LAYOUTS, LayoutRepository
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.stores import Store
from toolkit.report import SeedStatus
from toolkit.seed.seeder import Seeder

Served = tuple[Store, Callable[[str], Repository]]


class ReadThroughAlternatives(MemoryRegistry):
    """A registry that is read with an alternative before it, which has nothing."""

    def __init__(self) -> None:
        super().__init__()
        itself = super()
        sources = AlternativeSources(itself, {"registry.test": [Alternative("other.test")]})  # type: ignore[arg-type]
        self.get_manifest = sources.get_manifest  # type: ignore[method-assign]
        self.open_blob = sources.open_blob  # type: ignore[method-assign]


@pytest.fixture(
    scope="module", params=["memory", "alternatives", "docker-registry", "layout", "layout that hides what is partial"]
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A store, and its repository for a path."""
    folder: Path = tmp_path_factory.mktemp("store")
    if request.param == "memory":
        yield MemoryRegistry(), lambda path: Repository("registry.test", path)
    elif request.param == "alternatives":
        yield ReadThroughAlternatives(), lambda path: Repository("registry.test", path)
    elif request.param == "docker-registry":
        with running_registry(folder) as registry:
            client = RegistryClient(endpoints=Endpoints(((registry.host, registry.url),)))
            yield client, lambda path: Repository(registry.host, path)
    else:
        layouts = Layouts(hides_partial=request.param != "layout")
        yield layouts, lambda path: LayoutRepository(LAYOUTS, str(folder / path))


@pytest.fixture
def store(served: Served) -> Store:
    return served[0]


@pytest.fixture
def fresh(served: Served, request: pytest.FixtureRequest) -> Callable[[str], Repository]:
    """A repository of this test's own."""
    test = request.node.originalname.replace("_", "-")
    return lambda name: served[1](f"{test}/{name}")


def blob_of(content: bytes) -> Descriptor:
    return Descriptor(LAYER, Digest.of(content), len(content))


def upload(store: Store, repository: Repository, content: bytes) -> Descriptor:
    blob = blob_of(content)
    session = store.begin_upload(repository, blob.digest)
    assert session is not None
    store.put_blob(session, blob, [content] if content else [])
    return blob


@pytest.mark.parametrize("content", [b"some layer", b"", b"{}", bytes(range(256)) * 4096], ids=len)
def test_a_blob_that_was_put_is_there_with_its_bytes(
    store: Store, fresh: Callable[[str], Repository], content: bytes
) -> None:
    repository = fresh(f"of-{len(content)}")
    blob = upload(store, repository, content)
    assert store.has_blob(repository, blob.digest)
    with store.open_blob(repository, blob) as chunks:
        assert b"".join(chunks) == content


def test_a_blob_is_read_from_an_offset(store: Store, fresh: Callable[[str], Repository]) -> None:
    blob = upload(store, fresh("a"), b"0123456789" * 10)
    with store.open_blob(fresh("a"), blob, 37) as chunks:
        assert b"".join(chunks) == (b"0123456789" * 10)[37:]


def test_a_download_may_be_left_in_the_middle(store: Store, fresh: Callable[[str], Repository]) -> None:
    content = bytes(3_000_000)
    blob = upload(store, fresh("a"), content)
    with store.open_blob(fresh("a"), blob) as chunks:
        next(chunks)
    with store.open_blob(fresh("a"), blob) as chunks:
        assert b"".join(chunks) == content


def test_a_blob_belongs_to_its_repository(store: Store, fresh: Callable[[str], Repository]) -> None:
    blob = upload(store, fresh("a"), b"a layer")
    assert not store.has_blob(fresh("b"), blob.digest)


def test_a_blob_that_is_not_there_is_not_found(store: Store, fresh: Callable[[str], Repository]) -> None:
    with pytest.raises(NotFound), store.open_blob(fresh("a"), blob_of(b"nowhere")) as chunks:
        list(chunks)


def test_wrong_bytes_are_refused(store: Store, fresh: Callable[[str], Repository]) -> None:
    blob = blob_of(b"right")
    session = store.begin_upload(fresh("a"), blob.digest)
    assert session is not None
    with pytest.raises(OciError):
        store.put_blob(session, blob, [b"wrong"])
    assert not store.has_blob(fresh("a"), blob.digest)


def test_an_upload_whose_bytes_fail_stores_nothing(store: Store, fresh: Callable[[str], Repository]) -> None:
    class Broken(Exception):
        pass

    def chunks() -> Iterator[bytes]:
        yield b"first half, "
        raise Broken

    blob = blob_of(b"first half, second half")
    session = store.begin_upload(fresh("a"), blob.digest)
    assert session is not None
    with pytest.raises(Broken):
        store.put_blob(session, blob, chunks())
    store.cancel_upload(session)
    assert not store.has_blob(fresh("a"), blob.digest)
    assert upload(store, fresh("a"), b"first half, second half") == blob


def test_a_blob_of_another_repository_is_mounted(store: Store, fresh: Callable[[str], Repository]) -> None:
    blob = upload(store, fresh("a"), b"shared layer")
    assert store.begin_upload(fresh("b"), blob.digest, mount_from=fresh("a")) is None
    assert store.has_blob(fresh("b"), blob.digest)


def test_what_cannot_be_mounted_is_a_session_instead(store: Store, fresh: Callable[[str], Repository]) -> None:
    blob = blob_of(b"not there")
    session = store.begin_upload(fresh("b"), blob.digest, mount_from=fresh("a"))
    assert session is not None
    store.put_blob(session, blob, [b"not ", b"there"])
    assert store.has_blob(fresh("b"), blob.digest)


def test_mounting_from_itself_tells_what_a_repository_has(store: Store, fresh: Callable[[str], Repository]) -> None:
    blob = upload(store, fresh("a"), b"a layer")
    absent = blob_of(b"another")
    assert store.begin_upload(fresh("a"), blob.digest, mount_from=fresh("a")) is None
    assert store.begin_upload(fresh("a"), absent.digest, mount_from=fresh("a")) is not None


def test_a_document_comes_back_byte_for_byte(store: Store, fresh: Callable[[str], Repository]) -> None:
    made = image([b"layer"])
    push(store, made, fresh("a").with_tag("v1"))
    for reference in (fresh("a").with_tag("v1"), fresh("a").with_digest(made.digest)):
        head = store.head_manifest(reference)
        assert head is not None
        assert head.descriptor == made.document.descriptor
        assert store.get_manifest(reference) == made.document


def test_an_index_and_its_children_are_there(store: Store, fresh: Callable[[str], Repository]) -> None:
    made = index(("linux/amd64", image([b"one"])), ("linux/arm64", image([b"two"], "linux/arm64")))
    push(store, made, fresh("a").with_tag("v1"))
    assert store.get_manifest(fresh("a").with_tag("v1")) == made.document
    for child in made.children:
        assert store.head_manifest(fresh("a").with_digest(child.digest)) is not None


def test_a_document_before_what_it_points_to_is_refused(store: Store, fresh: Callable[[str], Repository]) -> None:
    made = index(("linux/amd64", image([b"never put"])))
    for document in (made.document, made.children[0].document):
        with pytest.raises(RegistryError):
            store.put_manifest(fresh("a").with_tag("v1"), document)
    assert store.head_manifest(fresh("a").with_tag("v1")) is None


def test_a_tag_that_is_not_there_is_none_on_head_and_not_found_on_get(
    store: Store, fresh: Callable[[str], Repository]
) -> None:
    absent: Reference = fresh("a").with_tag("v1")
    assert store.head_manifest(absent) is None
    with pytest.raises(NotFound):
        store.get_manifest(absent)


def test_a_tag_moves(store: Store, fresh: Callable[[str], Repository]) -> None:
    first, second = image([b"first"]), image([b"second"])
    for made in (first, second):
        push(store, made, fresh("a").with_tag("v1"))
    head = store.head_manifest(fresh("a").with_tag("v1"))
    assert head is not None and head.descriptor.digest == second.digest
    assert store.head_manifest(fresh("a").with_digest(first.digest)) is not None


def test_tags_are_listed_where_there_are_any(store: Store, fresh: Callable[[str], Repository]) -> None:
    repository = fresh("a")
    made = image([b"content"])
    for tag in ("2", "10"):
        push(store, made, repository.with_tag(tag))
    assert sorted(store.list_tags(repository)) == ["10", "2"]
    with pytest.raises(NotFound):
        store.list_tags(fresh("b"))


def test_a_tag_moves_within_its_repository_and_a_keeper_takes_what_it_leaves(
    store: Store, fresh: Callable[[str], Repository]
) -> None:
    repository = fresh("a")
    old = index(("linux/amd64", image([b"old"])), ("linux/arm64", image([b"both"])))
    new = index(("linux/amd64", image([b"new"])), ("linux/arm64", image([b"both"])))
    push(store, old, repository.with_tag("0"))
    push(store, new, repository.with_tag("1"))
    back = CopyRequest(
        "a:1",
        source=repository.with_digest(old.digest),
        destination=repository.with_tag("1"),
        keeper=replace(repository.with_tag("kept"), digest=new.digest),
    )
    seeder = Seeder(store, store, lambda event: None)
    (outcome,) = seeder.seed([back])
    assert (outcome.status, outcome.moved_bytes, outcome.error_message) == (SeedStatus.COPIED, 0, None)
    heads = [store.head_manifest(repository.with_tag(tag)) for tag in ("1", "kept")]
    assert [head and head.descriptor.digest for head in heads] == [old.digest, new.digest]
    (again,) = seeder.seed([back])
    assert again.status is SeedStatus.UNCHANGED
