"""The benchmark's images are the same everywhere, so that figures from two machines are about the same work."""

from __future__ import annotations

import gzip
import hashlib

from tests.bench.fixture import SEED, build, describe
from tests.bench.layers import layer
from tests.bench.sets import recipes


def test_the_same_seed_gives_the_same_digests_on_every_machine() -> None:
    images = {f"{image.repository}:{image.tag}": image.digest for image in build(recipes("tiny", SEED, 0))}
    assert len(images) == 20
    assert images["tiny01:v1"] == "sha256:5983c0b38d86c277149a26f549d6008f52953c13bb0df2ffa153316069d09e89"
    assert images["tiny02:v1"] == "sha256:24db5c313888b3f4ed982c7d72c092f4f7cad272fd190f2bd9455c0d71c0eadb"


def test_what_is_pushed_is_what_was_described() -> None:
    blob = layer("key", 3_000_000)
    content = b"".join(blob.stream())
    assert len(content) == blob.size
    assert "sha256:" + hashlib.sha256(content).hexdigest() == blob.digest
    assert "sha256:" + hashlib.sha256(gzip.decompress(content)).hexdigest() == blob.diff_id


def test_a_rebuilt_generation_changes_one_image() -> None:
    before, after = (build(recipes("lib", SEED, generation), scale=0.0001) for generation in (0, 1))
    assert [one.repository for one, other in zip(before, after, strict=True) if one.digest != other.digest] == [
        "python"
    ]


def test_shared_layers_are_counted_once_among_the_unique() -> None:
    about = describe(build(recipes("dedup", SEED, 0), scale=0.0001))
    assert about["unique_blobs"] < about["per_repo_blobs"]
    assert about["unique_bytes"] == sum(about["blob_sizes"].values())
