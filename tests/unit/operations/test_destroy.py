from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import World, desired
from toolkit.errors import Refused
from toolkit.oci.digest import Digest
from toolkit.operations.apply import carry_out
from toolkit.operations.destroy import plan_destroy
from toolkit.operations.plan import plan
from toolkit.plan.model import Loss
from toolkit.report import Report


class _Grown:
    """Somebody has pushed to the repository `two` since the plan was made."""

    def __init__(self) -> None:
        self.emptied: list[str] = []

    def repository(self, name: str) -> Loss:
        return Loss("repository", name)

    def log_group(self, name: str) -> Loss:
        return Loss("log group", name)

    def users(self, repositories: Collection[str], manifest: str) -> Mapping[str, Sequence[str]]:
        return {}

    def check(self, loss: Loss) -> Sequence[Digest]:
        if loss.name == "two":
            raise Refused("plan.stale", "`two` has grown")
        return loss.digests

    def empty(self, loss: Loss) -> None:
        self.emptied.append(loss.name)


def test_a_repository_that_is_not_in_the_state_stays_and_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, ["one", "two"])
    world.create("one")
    world.create("elsewhere")
    world.names = ()
    made = plan_destroy(desired("one", "two"), world.services).plan
    assert made.is_destroy
    assert [notice.message for notice in made.notices if notice.code == "destroy.stays"] == [
        "the repository `one` stays: it is not in Terraform's state"
    ]


def test_nothing_is_done_where_one_of_the_repositories_has_grown(tmp_path: Path) -> None:
    world, losses, reports = World(tmp_path, ["one", "two"]), _Grown(), list[Report]()
    planned = plan(desired("one", "two"), world.services)
    digests = (Digest("sha256", "a" * 64),)
    doomed = tuple(Loss("repository", name, 1, digests) for name in ("one", "two"))
    planned = replace(planned, plan=replace(planned.plan, losses=doomed))
    with pytest.raises(Refused, match="has grown"):
        carry_out(planned, replace(world.services, losses=losses), publish=reports.append, started=0.0)
    assert (losses.emptied, reports, "apply" in world.log, world.repositories) == ([], [], False, {})
