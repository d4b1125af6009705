from __future__ import annotations

from pathlib import Path

from tests.support.fake_services import World, desired
from toolkit.operations.destroy import plan_destroy


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
