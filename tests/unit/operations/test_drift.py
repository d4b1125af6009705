from __future__ import annotations

from pathlib import Path

from tests.support.fake_services import World, desired
from toolkit.operations.apply import apply
from toolkit.operations.plan import plan_manifest
from toolkit.plan.model import AttributeChange, InfraAction, InfraChange, Plan


def _drift(address: str) -> InfraChange:
    changes = (AttributeChange("image_tag_mutability", "MUTABLE", "IMMUTABLE"),)
    return InfraChange(address, "aws_ecr_repository", InfraAction.UPDATE, "one", "recorded", changes=changes)


def test_drift_is_in_the_plan_and_alone_is_no_change(tmp_path: Path) -> None:
    world = World(tmp_path, ["one"])
    reviewed: list[Plan] = []
    for _ in range(2):  # the second time there is nothing left to do
        world.drift = [_drift("b"), _drift("a")]
        apply(
            desired("one"),
            world.services,
            review=reviewed.append,
            confirm=lambda made: True,
            publish=lambda report: None,
        )
    assert [made.drift for made in reviewed] == [(_drift("a"), _drift("b"))] * 2
    assert [made.has_changes for made in reviewed] == [True, False]
    assert plan_manifest(desired("one"), world.services).plan.drift
