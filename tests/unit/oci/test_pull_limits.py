"""An upstream whose pulls are used up is left alone until it says itself that there are some again."""

from __future__ import annotations

import pytest

from tests.support.made_images import LAYER, image, store
from tests.support.memory_registry import MemoryRegistry
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.errors import TooManyRequests
from toolkit.oci.pull_limits import PullLimits

HUB, QUAY = "docker.io", "quay.io"


@pytest.fixture
def registry() -> MemoryRegistry:
    registry = MemoryRegistry()
    registry.pulls_left[HUB] = 0
    return registry


def test_a_reached_limit_is_met_once_and_told_of_each_image_that_it_concerns(registry: MemoryRegistry) -> None:
    limits = PullLimits(registry)
    messages = []
    for name in ("a", "b", "c"):
        source = store(registry, image([name.encode()]), f"{HUB}/library/{name}:1")
        with pytest.raises(TooManyRequests) as error:
            limits.get_manifest(source)
        assert error.value.is_pull_limit
        assert "pull rate limit" in error.value.message
        messages.append(error.value.message)
    assert ["library/b" in messages[1], "library/c" in messages[2], "library/b" in messages[2]] == [True, True, False]
    assert registry.count("get_manifest") == 1


def test_the_limit_of_one_upstream_is_none_of_another(registry: MemoryRegistry) -> None:
    limits = PullLimits(registry)
    made = image([b"a"])
    with pytest.raises(TooManyRequests):
        limits.get_manifest(store(registry, made, f"{HUB}/library/a:1"))
    assert limits.get_manifest(store(registry, made, f"{QUAY}/o/a:1")) == made.document


def test_blobs_are_read_all_the_same(registry: MemoryRegistry) -> None:
    limits = PullLimits(registry)
    made = image([b"a"])
    source = store(registry, made, f"{HUB}/library/a:1")
    with pytest.raises(TooManyRequests):
        limits.get_manifest(source)
    [layer] = [digest for digest, content in made.blobs.items() if content == b"a"]
    with limits.open_blob(source.name, Descriptor(LAYER, layer, 1)) as chunks:
        assert b"".join(chunks) == b"a"


def test_a_head_that_shows_pulls_opens_it_again_and_one_that_shows_none_does_not(registry: MemoryRegistry) -> None:
    limits = PullLimits(registry)
    made = image([b"a"])
    source = store(registry, made, f"{HUB}/library/a:1")
    with pytest.raises(TooManyRequests):
        limits.get_manifest(source)
    limits.head_manifest(source)
    with pytest.raises(TooManyRequests):
        limits.get_manifest(source)
    assert registry.count("get_manifest") == 1
    registry.pulls_left[HUB] = 1
    limits.head_manifest(source)
    assert limits.get_manifest(source) == made.document


def test_a_request_limit_that_passes_in_a_moment_is_not_remembered(registry: MemoryRegistry) -> None:
    limits = PullLimits(registry)
    registry.pulls_left.clear()
    made = image([b"a"])
    source = store(registry, made, f"{HUB}/library/a:1")
    registry.faults = lambda call: TooManyRequests("slow down", host=HUB)
    with pytest.raises(TooManyRequests):
        limits.get_manifest(source)
    registry.faults = lambda call: None
    assert limits.get_manifest(source) == made.document
