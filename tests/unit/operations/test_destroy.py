from __future__ import annotations

from pathlib import Path

from tests.support.fake_services import World, desired
from toolkit.operations.destroy import plan_destroy


def test_what_the_state_holds_and_stays_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, ())
    world.state.add("aws_iam_role.of_an_extra_file")
    world.create("one")
    made = plan_destroy(desired("one"), world.services).plan
    assert [(notice.code, notice.message.partition(" stays")[0]) for notice in made.notices] == [
        ("destroy.stays", "the repository `one`"),
        ("destroy.stays", "`aws_iam_role.of_an_extra_file`"),
    ]
