"""Tags that the manifest selects, with everything real but AWS: reviewed, applied as reviewed, and followed later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Laptop

HEAD = "version: 1\nname: shop\naws: {region: eu-west-1}\n"
SELECTION = HEAD + 'images: [{source: python, tags: {glob: "3.*-slim", keep: 2}}]\n'
NEWER = HEAD + 'images: ["python:3.99-slim"]\n'


def tags_in_ecr(laptop: Laptop) -> list[str]:
    images = laptop.sandbox("status")["images"]["ecr"]
    return [name.partition(":")[2] for name in images]


@pytest.mark.slow  # 20 s of CPU: three applies
def test_a_reviewed_selection_is_applied_although_upstream_has_a_newer_tag_by_then(
    open_laptop: Callable[[str], Laptop],
) -> None:
    laptop = open_laptop(SELECTION)
    plan = laptop.toolkit.run("plan", "--out", "plan.toolkit", "--format", "json").expect(0).document["plan"]
    reviewed = [seed["tag"] for seed in plan["seeds"]]
    assert len(reviewed) == 2

    (laptop.folder / "newer.yaml").write_text(NEWER)
    laptop.sandbox("up", "-f", "newer.yaml")
    laptop.toolkit.run("apply", "plan.toolkit").expect(0)
    assert sorted(tags_in_ecr(laptop)) == sorted(reviewed)

    laptop.toolkit.run("seed").expect(0)
    assert sorted(tags_in_ecr(laptop)) == sorted([*reviewed, "3.99-slim"])
