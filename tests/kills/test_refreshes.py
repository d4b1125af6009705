"""`toolkit refresh` broken off at random moments: no tag is wrong, and no move stays untold."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.kills.blows import KILLS, Victim, draw
from tests.kills.repositories import MANIFEST, SOURCES, Ecr, sandbox_with_sources
from tests.support.received_events import ReceivedEvents
from tests.support.toolkit_run import Toolkit
from toolkit.operations.bundle import put_bundle
from toolkit.operations.load import load_desired
from toolkit.plan.observed import Account

pytestmark = pytest.mark.slow

REGION = "eu-west-1"
REFRESH = """\
lock: s3://base/kills.yaml
refresh:
  schedule: rate(1 day)
  bucket: base
  tool: {image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/base-image-toolkit:1.0"}
"""
FREE = {"run": None, "seconds": 3600, "moves": {}}


class Shared:
    """What all runs share in S3: the lease, and the bundle that an apply has put there."""

    def __init__(self, client: object) -> None:
        self._s3 = client
        self.name = "the bundle"

    def read(self) -> None:
        """Nothing was applied before."""

    def put(self, text: str) -> None:
        self._write("bundle.json", text)

    @property
    def lease(self) -> dict[str, object]:
        body = self._s3.get_object(Bucket="base", Key="kills/refresh/lease.json")["Body"]  # type: ignore[attr-defined]
        return dict(json.loads(body.read()))

    def shorten_lease(self) -> None:
        """Make it one of a second."""
        self._write("lease.json", json.dumps(self.lease | {"seconds": 1}))

    def _write(self, name: str, text: str) -> None:
        self._s3.put_object(Bucket="base", Key=f"kills/refresh/{name}", Body=text.encode())  # type: ignore[attr-defined]


def test_a_refresh_broken_off_at_any_time_is_finished_and_told_by_the_next(tmp_path: Path) -> None:
    dice = random.Random("refresh")
    with sandbox_with_sources(tmp_path / "sandbox") as sandbox:
        client = sandbox.client("s3", REGION)
        client.create_bucket(Bucket="base", CreateBucketConfiguration={"LocationConstraint": REGION})
        (tmp_path / "images.yaml").write_text(MANIFEST + REFRESH)
        shared, ecr, received = Shared(client), Ecr(sandbox), ReceivedEvents(sandbox, REGION)
        put_bundle(load_desired(tmp_path / "images.yaml"), Account("123456789012", REGION, ""), shared)
        ecr.empty()
        toolkit = Toolkit(tmp_path, sandbox.environment())
        toolkit.run("refresh").expect(0)
        number, struck, seconds = 0, 0, 3.0
        while struck < KILLS:
            before = ecr.tags()
            for source in SOURCES:
                sandbox.bump(source)
            victim = Victim(toolkit, "refresh")
            victim.strike_after(dice.uniform(0.2, seconds), draw(dice, number))
            victim.finish(6)
            struck += victim.blow is not None
            half_way = ecr.tags()
            assert half_way.keys() == before.keys()
            early = received.take()
            if shared.lease["run"]:
                # Nobody knows that it is dead. Its lease ends by itself, by the clock of S3.
                assert shared.lease["seconds"] == 3600
                assert "refresh.under_way" in toolkit.run("refresh").expect(7).stderr
                shared.shorten_lease()
                time.sleep(2.1)  # S3 has whole seconds
            started = time.monotonic()
            toolkit.run("refresh").expect(0)
            seconds = 0.8 * seconds + 0.2 * (time.monotonic() - started)
            after = ecr.tags()
            assert all(after[key] != before[key] for key in before)
            told = Counter(
                (one["detail"]["image"], one["detail"]["old_digest"], one["detail"]["new_digest"])
                for one in (*early, *received.take())
            )
            assert told.keys() == {(key, before[key], after[key]) for key in before}
            # One that dies between sending and noting it is told again.
            assert set(told.values()) <= ({1, 2} if victim.blow else {1})
            assert shared.lease == FREE
            toolkit.run("refresh").expect(0)
            assert (ecr.tags(), received.take()) == (after, [])
            number += 1
