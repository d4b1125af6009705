"""A plan from a file fits its manifest, or says where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.saved_plans import DIGEST, MANIFEST, plan_of, seed_of
from toolkit.lock.keepers import keeper_tag
from toolkit.oci.companions import cosign_tags, referrers_tag
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE, Subset
from toolkit.operations.load import desired_of
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import InfraAction, InfraChange, Loss, Plan, Refusal, Seed, SeedAction
from toolkit.plan.saved_plan import misfits

DESIRED = desired_of(MANIFEST, Path("images.yaml"))
NGINX = DESIRED.images[0]


def companion(tag: str, subject: Digest = DIGEST, beside: DesiredImage = NGINX) -> Seed:
    source = beside.source.name.with_tag(tag)
    there = replace(beside, source=source, tag=tag, subset=WHOLE, subject=subject)
    return seed_of(there)


def complaints(*more: Seed, desired: Desired = DESIRED, made: Plan | None = None) -> list[str]:
    plan = made or plan_of(DESIRED)
    return list(misfits(desired, replace(plan, seeds=(*plan.seeds, *more))))


def test_what_the_manifest_asks_for_fits() -> None:
    tags = (*cosign_tags(DIGEST), referrers_tag(DIGEST))
    assert complaints(*map(companion, tags)) == []


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        (companion("latest"), "is not the tag of a signature or referrer of"),
        (companion(cosign_tags(Digest.of(b"another"))[0]), "is not the tag of a signature or referrer of"),
        (replace(companion(cosign_tags(DIGEST)[0]), subset=Subset(())), "unchanged"),
        (replace(companion(cosign_tags(DIGEST)[0]), subset=Subset(keeps_attestations=False)), "unchanged"),
        (companion(cosign_tags(DIGEST)[0], beside=DESIRED.selections[0].image("3.12-slim")), "keeps no signatures"),
        (
            replace(
                companion(cosign_tags(DIGEST)[0]),
                source=Reference.parse(f"evil.test/x:{cosign_tags(DIGEST)[0]}@{DIGEST}"),
            ),
            "keeps no signatures from `evil.test/x:sha256-",
        ),
    ],
)
def test_a_companion_belongs_to_an_image_whose_signatures_are_kept(seed: Seed, said: str) -> None:
    (complaint,) = complaints(seed)
    assert said in complaint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: replace(image, tag="2.7-slim", source=image.source.with_tag("2.7-slim")), "does not ask for"),
        (lambda image: replace(image, source=Reference.parse("evil.test/python:3.13-slim")), "from `evil.test/python"),
        (
            lambda image: replace(image, source=image.source.with_tag("3.11-slim")),
            "the manifest from `python:3.13-slim`",
        ),
        (lambda image: replace(image, subset=Subset(())), "other platforms"),
        (lambda image: replace(image, repository="elsewhere"), "does not ask for `elsewhere:3.13-slim`"),
    ],
)
def test_a_selected_tag_is_one_that_the_selection_may_choose(
    change: Callable[[DesiredImage], DesiredImage], said: str
) -> None:
    selected = DESIRED.selections[0].image("3.13-slim")
    assert complaints(seed_of(selected)) == []
    (complaint,) = complaints(seed_of(change(selected)))
    assert said in complaint


def test_a_pin_is_what_is_copied() -> None:
    pinned = replace(NGINX, source=NGINX.source.with_digest(Digest.of(b"pinned")))
    desired = replace(DESIRED, images=(pinned,))
    (complaint,) = complaints(desired=desired)
    assert "which the manifest pins to" in complaint
    kept = replace(plan_of(DESIRED), seeds=tuple(replace(s, action=SeedAction.KEEP) for s in plan_of(DESIRED).seeds))
    assert complaints(desired=desired, made=kept) == []


def test_an_image_that_was_refused_may_be_missing() -> None:
    made = replace(plan_of(DESIRED), seeds=plan_of(DESIRED).seeds[1:])
    assert complaints(made=made) == ["the plan lacks `docker-hub/library/nginx:1.16` of the manifest"]
    refusal = Refusal("source.missing", "gone", image="docker-hub/library/nginx:1.16")
    assert complaints(made=replace(made, refusals=(refusal,), keeps_going=True)) == []


def test_an_image_that_the_lock_does_not_admit_may_be_missing() -> None:
    made = replace(plan_of(DESIRED), seeds=plan_of(DESIRED).seeds[1:], unadmitted=("docker-hub/library/nginx:1.16",))
    assert complaints(made=made) == []


def test_the_account_of_the_manifest_is_the_plans() -> None:
    assert complaints(desired=replace(DESIRED, account_id="123456789012")) == []
    (complaint,) = complaints(desired=replace(DESIRED, account_id="999999999999"))
    assert "for `999999999999`" in complaint


def test_a_plan_deletes_images_only_of_repositories_that_go() -> None:
    plan = plan_of(DESIRED)
    name = plan.seeds[0].repository
    lost = replace(plan, losses=(Loss("repository", name, 7, (Digest.of(b"image"),)),))
    assert "deletes images" in complaints(made=lost)[0]
    gone = InfraChange("x", "aws_ecr_repository", InfraAction.REPLACE, name)
    assert complaints(made=replace(lost, infra_changes=(gone,))) == []


def test_a_keeper_has_the_name_of_what_it_keeps() -> None:
    made = plan_of(DESIRED)
    moved = replace(made.seeds[0], action=SeedAction.MOVE, current_digest=DIGEST)
    right = keeper_tag(moved.tag, DIGEST)
    for seed, is_right in (
        (replace(moved, keeper=right), True),
        (replace(moved, keeper="latest"), False),
        (replace(moved, keeper=keeper_tag(moved.tag, Digest.of(b"another"))), False),
        (replace(moved, keeper=right, current_digest=None), False),
        (replace(moved, keeper=right, action=SeedAction.KEEP), False),
    ):
        found = complaints(made=replace(made, seeds=(seed, *made.seeds[1:])))
        assert any("other content than its name says" in one for one in found) is not is_right
