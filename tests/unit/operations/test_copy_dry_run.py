"""A dry run of `copy`: what each destination has is looked at, and told before anything is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.made_images import image, index, store
from tests.support.memory_registry import Call, Fault, MemoryRegistry
from toolkit.errors import AccessDenied, Refused, ToolkitError
from toolkit.oci.descriptor import Platform
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import Denied, Unauthorized
from toolkit.oci.reference import Reference
from toolkit.oci.subset import Subset
from toolkit.operations.copy import Pair, Selection, copy, preview
from toolkit.plan.model import SeedAction
from toolkit.report import CopyPreview
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

AMD64 = (Platform("linux", "amd64"),)


def previewed(
    registry: MemoryRegistry, names: Sequence[str], platforms: tuple[Platform, ...] | None = None
) -> tuple[list[CopyPreview], ToolkitError | None]:
    found: list[CopyPreview] = []
    pairs = [Pair(Reference.parse(f"s.test/{name}"), Reference.parse(f"t.test/{name}")) for name in names]
    observer = Observer(registry, None, [].append, cache=DocumentCache())
    seeder = Seeder(registry, registry, [].append)
    try:
        preview(pairs, Selection(Subset(platforms)), observer, seeder, [].append, publish=found.extend)
    except ToolkitError as error:
        return found, error
    return found, None


def test_each_pair_is_copied_moved_or_kept_and_nothing_is_written() -> None:
    registry = MemoryRegistry()
    for name in ("new:1", "moved:1", "there:1"):
        store(registry, image([name.encode()]), f"s.test/{name}")
    store(registry, image([b"old"]), "t.test/moved:1")
    store(registry, image([b"there:1"]), "t.test/there:1")
    found, error = previewed(registry, ["new:1", "moved:1", "there:1"])
    assert error is None
    assert [one.action for one in found] == [SeedAction.COPY, SeedAction.MOVE, SeedAction.KEEP]
    assert {call.operation for call in registry.calls} == {"head_manifest"}


def test_chosen_platforms_of_the_same_index_are_kept() -> None:
    registry = MemoryRegistry()
    made = index(("linux/amd64", image([b"a"])), ("linux/arm64", image([b"b"], "linux/arm64")))
    source = store(registry, made, "s.test/a:1")
    assert source.tag
    observer = Observer(registry, None, [].append, cache=DocumentCache())
    copy(
        [Pair(source.with_tag(source.tag), Reference.parse("t.test/a:1"))],
        Selection(Subset(AMD64)),
        observer,
        Seeder(registry, registry, [].append),
        [].append,
        publish=[].append,
    )
    assert previewed(registry, ["a:1"], AMD64)[0][0].action is SeedAction.KEEP
    assert previewed(registry, ["a:1"])[0][0].action is SeedAction.MOVE


def test_what_cannot_be_copied_is_shown_with_the_rest_and_refused() -> None:
    registry = MemoryRegistry()
    store(registry, image([b"a"]), "s.test/a:1")
    found, error = previewed(registry, ["absent:1", "a:1"])
    assert [(one.action, one.error_code) for one in found] == [(None, "source.missing"), (SeedAction.COPY, None)]
    assert isinstance(error, Refused)
    assert "1 of 2 images" in error.message


@pytest.mark.parametrize("side, kind", [("s.test", Denied), ("t.test", Unauthorized)])
def test_where_all_is_a_matter_of_credentials_it_is_said_so(side: str, kind: type[Denied | Unauthorized]) -> None:
    def refuse(call: Call) -> Fault | None:
        return kind("no", status=403, host=side) if call.repository.registry == side else None

    registry = MemoryRegistry(refuse)
    store(registry, image([b"a"]), "s.test/a:1")
    found, error = previewed(registry, ["a:1"])
    assert found[0].action is None
    assert isinstance(error, AccessDenied)


def test_where_looking_is_forbidden_the_image_is_shown_as_to_be_copied() -> None:
    registry = MemoryRegistry(
        lambda call: Denied("no", status=403, host="t.test") if call.repository.registry == "t.test" else None
    )
    store(registry, image([b"a"]), "s.test/a:1")
    found, error = previewed(registry, ["a:1"])
    assert error is None
    assert [one.action for one in found] == [SeedAction.COPY]
