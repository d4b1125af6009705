"""The stand-in for ECR's replication copies what its rules are about, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from moto.ecr.models import ecr_backends

from toolkit.oci.digest import Digest
from toolkit.sandbox.moto_ecr import MotoDocuments
from toolkit.sandbox.replication import Replication
from toolkit.sandbox.store import BlobStore, StoredDocument

ACCOUNT, HOME, AWAY = "222233334444", "eu-west-1", "us-east-1"
LAYER = b"layer"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
IMAGE = StoredDocument(
    MEDIA_TYPE,
    json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": {"digest": str(Digest.of(b"{}")), "size": 2},
            "layers": [{"digest": str(Digest.of(LAYER)), "size": len(LAYER)}],
        }
    ).encode(),
)


class Registries:
    """ECR in two regions, each with the repositories `mirror/a` and `other`."""

    def __init__(self, folder: Path) -> None:
        self.blobs = cache(lambda account, region: BlobStore(folder / account / region))
        self.replication = Replication(self.blobs, delay=0)
        self.home = ecr_backends[ACCOUNT][HOME]
        self.away = ecr_backends[ACCOUNT][AWAY]
        for backend in (self.home, self.away):
            backend.repositories.clear()
        for name in ("mirror/a", "other"):
            self.home.create_repository(name, None, None, None, "MUTABLE", [])
        self.home.replication_config = {"rules": []}

    def rule(self, *prefixes: str) -> None:
        filters = [{"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in prefixes]
        rule = {"destinations": [{"region": AWAY, "registryId": ACCOUNT}], "repositoryFilters": filters}
        self.home.put_replication_configuration({"rules": [rule]})

    def push(self, repository: str) -> None:
        for content in (b"{}", LAYER):
            self.blobs(ACCOUNT, HOME).put(repository, content)
        documents = MotoDocuments(ACCOUNT, HOME, lambda *what: self.replication.arrived(ACCOUNT, HOME, *what))
        documents.put(repository, IMAGE, "1")

    def has(self, repository: str) -> bool:
        found = MotoDocuments(ACCOUNT, AWAY).find(repository, "1")
        blobs = [self.blobs(ACCOUNT, AWAY).find(repository, Digest.of(content)) for content in (b"{}", LAYER)]
        return found == IMAGE and all(blobs)


def within(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def registries(tmp_path: Path) -> Registries:
    return Registries(tmp_path)


def test_what_a_rule_is_about_arrives_with_its_blobs(registries: Registries) -> None:
    registries.rule("mirror/")
    registries.push("other")
    registries.push("mirror/a")
    assert within(lambda: registries.has("mirror/a"))
    assert "other" not in registries.away.repositories


def test_what_was_there_before_the_rule_arrives_by_a_backfill_alone(registries: Registries) -> None:
    registries.push("mirror/a")
    registries.rule("mirror/")
    registries.push("other")
    assert not registries.has("mirror/a")
    registries.replication.backfill(ACCOUNT, HOME, "eu-north-1")
    registries.replication.backfill(ACCOUNT, HOME, AWAY)
    assert within(lambda: registries.has("mirror/a"))
    assert "other" not in registries.away.repositories
