"""`seed` looks at what was chosen, and a dry run changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import NAMES, World, desired
from toolkit.errors import Refused, UsageError
from toolkit.oci.auth import CredentialUse
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import seed
from toolkit.plan.model import Plan
from toolkit.report import Report, SeedStatus


class Audience:
    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.reports: list[Report] = []

    def seed(self, world: World, *, only: Sequence[str] = (), is_dry_run: bool = False) -> None:
        seed(
            desired(*NAMES),
            world.services,
            review=self.plans.append,
            publish=self.reports.append,
            only=only,
            is_dry_run=is_dry_run,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for name in NAMES:
        made.create(name)
    return made


@pytest.mark.parametrize("pattern", ["two:*", "upstream.test/two:1"])
def test_only_what_a_pattern_fits_is_planned_and_copied(world: World, pattern: str) -> None:
    audience = Audience()
    audience.seed(world, only=[pattern])
    assert [made.key for made in audience.plans[0].seeds] == ["two:1"]
    assert [(o.key, o.status) for o in audience.reports[0].outcomes] == [("two:1", SeedStatus.COPIED)]
    assert world.stored("one") is None and world.stored("two") is not None


def test_what_was_not_chosen_cannot_refuse_the_rest(world: World) -> None:
    del world.repositories["one"]
    with pytest.raises(Refused):
        Audience().seed(world)
    Audience().seed(world, only=["two:1"])
    assert world.stored("two") is not None


def test_a_pattern_that_fits_nothing_is_a_usage_error(world: World) -> None:
    with pytest.raises(UsageError, match=r"`four\*` matches no image; there are `one:1`, `three:1`, `two:1`"):
        Audience().seed(world, only=["four*"])


def test_a_dry_run_shows_the_plan_and_copies_nothing(world: World) -> None:
    audience = Audience()
    audience.seed(world, is_dry_run=True)
    assert len(audience.plans[0].pending_seeds) == len(NAMES)
    assert audience.reports == []
    assert not any(world.stored(name) for name in NAMES)
    assert world.registry.count("get_manifest") == 0


def test_a_dry_run_refuses_what_a_run_would(world: World) -> None:
    del world.repositories["one"]
    audience = Audience()
    with pytest.raises(Refused):
        audience.seed(world, is_dry_run=True)
    assert audience.plans[0].refusals


def test_every_plan_names_the_credentials_that_were_sent(world: World) -> None:
    use = CredentialUse("docker.io", "auth.docker.io", "docker config (`docker.io`)")
    world.services = replace(world.services, credential_uses=lambda: (use,))
    audience = Audience()
    audience.seed(world, is_dry_run=True)
    assert audience.plans[0].credentials == (use,)
    assert plan_manifest(desired(*NAMES), world.services).plan.credentials == (use,)
