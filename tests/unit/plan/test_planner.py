"""The planner as a table: what is upstream, what is in ECR, what is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import selection_text
from toolkit.oci.reference import Reference, Repository
from toolkit.plan.desired import Desired, DesiredImage, DesiredRepository
from toolkit.plan.model import InfraAction, InfraChange, Loss, Plan
from toolkit.plan.observed import Account, DestinationImage, Observed, PullBudget, SourceFault, SourceImage
from toolkit.plan.planner import make_plan
from toolkit.plan.seed_action import SeedAction

INDEX = "application/vnd.oci.image.index.v1+json"
SINGLE = "application/vnd.oci.image.manifest.v1+json"
AMD64 = (Platform("linux", "amd64"),)
OLD, NEW, FILTERED = Digest.of(b"old"), Digest.of(b"new"), Digest.of(b"filtered")
ACCOUNT = Account("123456789012", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
REPOSITORY = "docker-hub/library/nginx"
IMAGE = DesiredImage(Reference.parse("nginx:1.16"), REPOSITORY, "1.16", None, True, "images[0]")
KEY = IMAGE.key
HUB = PullBudget("docker.io", 100, 90, 21600)


def desired(image: DesiredImage = IMAGE, *, mutability: str = "MUTABLE") -> Desired:
    return Desired(
        name="platform",
        region="eu-west-1",
        account_id=None,
        repositories=(DesiredRepository(REPOSITORY, tag_mutability=mutability),),
        images=(image,),
    )


def plan_of(
    source: SourceImage | SourceFault,
    destination: DestinationImage | None = None,
    *,
    image: DesiredImage = IMAGE,
    mutability: str = "MUTABLE",
    budgets: tuple[PullBudget, ...] = (),
    changes: tuple[InfraChange, ...] = (),
    repositories: frozenset[str] = frozenset({REPOSITORY}),
    **options: Any,
) -> Plan:
    observed = Observed({KEY: source}, {KEY: destination} if destination else {}, repositories, budgets)
    return make_plan(desired(image, mutability=mutability), observed, changes, ACCOUNT, **options)


WHOLE = SourceImage(NEW, INDEX, wanted_digest=NEW)
UNKNOWN = SourceImage(NEW, INDEX, wanted_digest=None)
CHOSEN = replace(IMAGE, platforms=AMD64)
SELECTION = selection_text(AMD64, True)


@pytest.mark.parametrize(
    ("source", "destination", "image", "action", "reason"),
    [
        (WHOLE, None, IMAGE, SeedAction.COPY, "not in ECR"),
        (WHOLE, DestinationImage(NEW), IMAGE, SeedAction.KEEP, "same digest"),
        (WHOLE, DestinationImage(OLD), IMAGE, SeedAction.MOVE, "upstream moved"),
        (UNKNOWN, None, CHOSEN, SeedAction.COPY, "not in ECR"),
        (
            UNKNOWN,
            DestinationImage(FILTERED, NEW, SELECTION),
            CHOSEN,
            SeedAction.KEEP,
            "same platforms of the same index",
        ),
        (UNKNOWN, DestinationImage(FILTERED, OLD, SELECTION), CHOSEN, SeedAction.MOVE, "upstream moved"),
        (
            UNKNOWN,
            DestinationImage(FILTERED, NEW, "linux/arm64;attestations=keep"),
            CHOSEN,
            SeedAction.MOVE,
            "other platforms wanted",
        ),
        (UNKNOWN, DestinationImage(NEW), CHOSEN, SeedAction.MOVE, "upstream moved"),
        (
            replace(UNKNOWN, wanted_digest=FILTERED),
            DestinationImage(FILTERED),
            CHOSEN,
            SeedAction.KEEP,
            "same platforms of the same index",
        ),
        (
            replace(UNKNOWN, wanted_digest=FILTERED),
            DestinationImage(OLD, NEW, SELECTION),
            CHOSEN,
            SeedAction.MOVE,
            "other platforms wanted",
        ),
        (SourceFault("missing", "gone"), DestinationImage(OLD), IMAGE, SeedAction.KEEP, "gone upstream, kept in ECR"),
    ],
)
def test_decides_by_what_is_upstream_and_in_ecr(
    source: SourceImage | SourceFault,
    destination: DestinationImage | None,
    image: DesiredImage,
    action: SeedAction,
    reason: str,
) -> None:
    plan = plan_of(source, destination, image=image)
    assert [(seed.action, seed.reason) for seed in plan.seeds] == [(action, reason)]
    assert plan.refusals == ()
    assert plan.has_changes == (action is not SeedAction.KEEP)


@pytest.mark.parametrize(
    ("source", "destination", "image", "mutability", "code", "kind"),
    [
        (SourceFault("missing", "gone"), None, IMAGE, "MUTABLE", "source.missing", "refused"),
        (SourceFault("denied", "no"), DestinationImage(OLD), IMAGE, "MUTABLE", "source.denied", "denied"),
        (SourceFault("unreachable", "down"), DestinationImage(OLD), IMAGE, "MUTABLE", "source.unreachable", "refused"),
        (WHOLE, None, replace(IMAGE, source=IMAGE.source.with_digest(OLD)), "MUTABLE", "source.pin_differs", "refused"),
        (WHOLE, DestinationImage(OLD), IMAGE, "IMMUTABLE", "tag.immutable", "refused"),
    ],
)
def test_refuses_what_cannot_be_right(
    source: SourceImage | SourceFault,
    destination: DestinationImage | None,
    image: DesiredImage,
    mutability: str,
    code: str,
    kind: str,
) -> None:
    plan = plan_of(source, destination, image=image, mutability=mutability)
    assert [(refusal.code, refusal.kind) for refusal in plan.refusals] == [(code, kind)]
    assert plan.pending_seeds == ()


def test_keeps_an_immutable_tag_that_is_right() -> None:
    assert plan_of(WHOLE, DestinationImage(NEW), mutability="IMMUTABLE").refusals == ()


SIGNATURE = replace(IMAGE, source=Reference.parse("nginx:sha256-0.sig"), tag="sha256-0.sig", subject=NEW)


def plan_of_signed(
    source: SourceImage | SourceFault, destination: DestinationImage | None, *, mutability: str = "MUTABLE"
) -> Plan:
    """An image that is in ECR as it is upstream, and its signature."""
    observed = Observed(
        {KEY: WHOLE, SIGNATURE.key: source},
        {KEY: DestinationImage(NEW)} | ({SIGNATURE.key: destination} if destination else {}),
        frozenset({REPOSITORY}),
        (HUB,),
        {KEY: (SIGNATURE,)},
    )
    return make_plan(desired(mutability=mutability), observed, (), ACCOUNT)


@pytest.mark.parametrize(
    ("destination", "mutability", "action", "reason", "notices", "pulls"),
    [
        (None, "MUTABLE", SeedAction.COPY, "not in ECR", [], (1, 1)),
        (DestinationImage(NEW), "MUTABLE", SeedAction.KEEP, "same digest", [], (0, 0)),
        (DestinationImage(OLD), "MUTABLE", SeedAction.MOVE, "upstream moved", [], (1, 1)),
        (None, "IMMUTABLE", SeedAction.COPY, "not in ECR", [], (1, 1)),
        (DestinationImage(NEW), "IMMUTABLE", SeedAction.KEEP, "same digest", [], (0, 0)),
        (
            DestinationImage(OLD),
            "IMMUTABLE",
            SeedAction.KEEP,
            "immutable, kept in ECR",
            ["signature.immutable"],
            (0, 0),
        ),
    ],
)
def test_a_signature_is_decided_as_an_image_is_but_never_stops_one(
    destination: DestinationImage | None,
    mutability: str,
    action: SeedAction,
    reason: str,
    notices: list[str],
    pulls: tuple[int, int],
) -> None:
    found = SourceImage(NEW, SINGLE, wanted_digest=NEW)
    plan = plan_of_signed(found, destination, mutability=mutability)
    image, signature = plan.seeds
    assert (image.subject, image.action) == (None, SeedAction.KEEP)
    assert (signature.subject, signature.action, signature.pulls) == (NEW, action, pulls)
    assert signature.reason == f"signature of {NEW.short}: {reason}"
    assert [notice.code for notice in plan.notices] == notices
    assert plan.refusals == ()


def test_a_signature_that_cannot_be_looked_for_refuses_the_plan() -> None:
    plan = plan_of_signed(SourceFault("unreachable", "no answer"), None)
    assert [(refusal.code, refusal.message) for refusal in plan.refusals] == [
        ("source.unreachable", "images[0]: no answer")
    ]


def test_pins_the_source_digest_that_was_seen() -> None:
    (seed,) = plan_of(WHOLE).seeds
    assert seed.source.digest == NEW
    assert seed.source.tag == "1.16"


def test_says_when_the_repository_is_new() -> None:
    (seed,) = plan_of(WHOLE, repositories=frozenset()).seeds
    assert seed.reason == "its repository is new"


@pytest.mark.parametrize("action", [InfraAction.DELETE, InfraAction.REPLACE])
def test_refuses_to_destroy_a_repository_unless_asked(action: InfraAction) -> None:
    change = InfraChange("module.repositories", "aws_ecr_repository", action, name=REPOSITORY)
    assert [r.code for r in plan_of(WHOLE, changes=(change,)).refusals] == ["infra.destroys_repository"]
    assert plan_of(WHOLE, changes=(change,), allows_destroy=True).refusals == ()


def test_destroying_anything_else_is_not_refused() -> None:
    change = InfraChange("module.builds", "aws_iam_role_policy", InfraAction.REPLACE, name="web")
    assert plan_of(WHOLE, changes=(change,)).refusals == ()


@pytest.mark.parametrize("action", [InfraAction.DELETE, InfraAction.REPLACE])
@pytest.mark.parametrize(
    "type_", ["aws_codebuild_project", "aws_codebuild_webhook", "aws_iam_role", "aws_cloudwatch_log_group"]
)
def test_refuses_to_destroy_what_holds_something_of_a_build_unless_asked(type_: str, action: InfraAction) -> None:
    change = InfraChange("module.builds", type_, action, name="web")
    (refusal,) = plan_of(WHOLE, changes=(change,)).refusals
    assert refusal.code == "infra.destroys_build"
    assert "`web`" in refusal.message
    assert plan_of(WHOLE, changes=(change,), allows_destroy=True).refusals == ()
    assert plan_of(WHOLE, changes=(change,), destroys_removed=True).refusals == ()


LEFT = InfraChange("module.repositories", "aws_ecr_repository", InfraAction.DELETE, name="left")


def test_an_empty_repository_that_left_the_manifest_may_go_when_that_is_asked_for() -> None:
    assert [r.code for r in plan_of(WHOLE, changes=(LEFT,)).refusals] == ["infra.destroys_repository"]
    assert plan_of(WHOLE, changes=(LEFT,), destroys_removed=True).refusals == ()


def test_a_repository_in_the_manifest_does_not_go_because_others_left_it() -> None:
    change = InfraChange("x", "aws_ecr_repository", InfraAction.REPLACE, name=REPOSITORY)
    assert [r.code for r in plan_of(WHOLE, changes=(change,), destroys_removed=True).refusals] == [
        "infra.destroys_repository"
    ]


@pytest.mark.parametrize(
    ("loss", "users", "word"),
    [
        (Loss("repository", "left", 7, (NEW,)), {}, "1 images"),
        (Loss("repository", "left"), {"left": ["other-web"]}, "`other-web`"),
    ],
    ids=["images", "another manifest's build"],
)
def test_a_repository_that_left_stays_while_it_holds_images_or_is_pulled(
    loss: Loss, users: dict[str, list[str]], word: str
) -> None:
    plan = plan_of(WHOLE, changes=(LEFT,), destroys_removed=True, losses=(loss,), users=users)
    assert [r.code for r in plan.refusals] == ["infra.destroys_images"]
    assert word in plan.refusals[0].message
    plan = plan_of(WHOLE, changes=(LEFT,), destroys_removed=True, allows_destroy=True, losses=(loss,), users=users)
    assert plan.refusals == ()
    assert [notice.code for notice in plan.notices] == ["infra.repository_in_use"] * len(users)


def test_a_plan_lists_what_would_be_lost_and_nothing_empty() -> None:
    losses = (Loss("repository", "left", 7, (NEW,)), Loss("log group", "logs", 5), Loss("log group", "empty"))
    assert plan_of(WHOLE, losses=losses).losses == losses[:2]


def test_copies_again_what_a_replaced_repository_loses() -> None:
    change = InfraChange("x", "aws_ecr_repository", InfraAction.REPLACE, name=REPOSITORY)
    (seed,) = plan_of(WHOLE, DestinationImage(NEW), changes=(change,), allows_destroy=True).seeds
    assert (seed.action, seed.reason) == (SeedAction.COPY, "its repository is replaced")


def test_seed_alone_refuses_a_repository_that_is_not_there() -> None:
    plan = plan_of(WHOLE, repositories=frozenset(), creates_repositories=False)
    assert [r.code for r in plan.refusals] == ["repository.missing"]
    assert plan.seeds == ()


@pytest.mark.parametrize(
    ("source", "image", "pulls"),
    [
        (replace(WHOLE, media_type=SINGLE), IMAGE, (1, 1)),
        (replace(WHOLE, media_type=SINGLE, cached_documents=1), IMAGE, (0, 0)),
        (WHOLE, IMAGE, (2, None)),
        (UNKNOWN, CHOSEN, (2, 3)),
        (UNKNOWN, replace(CHOSEN, keeps_attestations=False), (2, 2)),
        (UNKNOWN, replace(CHOSEN, platforms=(Platform("linux", "arm"),)), (2, None)),
        (UNKNOWN, replace(CHOSEN, platforms=(Platform("linux", "arm", "v7"),)), (2, 3)),
        (replace(UNKNOWN, documents=5, cached_documents=2), CHOSEN, (3, 3)),
    ],
)
def test_counts_the_pulls_of_a_copy(source: SourceImage, image: DesiredImage, pulls: tuple[int, int | None]) -> None:
    plan = plan_of(source, image=image, budgets=(HUB,))
    assert plan.seeds[0].pulls == pulls
    (cost,) = plan.pull_costs
    assert (cost.at_least, cost.at_most) == pulls


def test_an_upstream_that_sends_no_limit_costs_nothing() -> None:
    assert plan_of(WHOLE).seeds[0].pulls == (0, 0)


def test_nothing_to_do_costs_no_pull() -> None:
    plan = plan_of(WHOLE, DestinationImage(NEW), budgets=(replace(HUB, remaining=0),))
    assert [(c.at_least, c.at_most) for c in plan.pull_costs] == [(0, 0)]
    assert plan.refusals == ()


def test_two_tags_of_one_digest_are_read_once() -> None:
    other = replace(IMAGE, tag="stable", path="images[1]")
    wanted = replace(desired(), images=(IMAGE, other))
    source = replace(WHOLE, media_type=SINGLE)
    observed = Observed({KEY: source, other.key: source}, {}, frozenset({REPOSITORY}), (HUB,))
    (cost,) = make_plan(wanted, observed, (), ACCOUNT).pull_costs
    assert (cost.at_least, cost.at_most) == (1, 1)


def test_what_another_registry_has_costs_no_pull_and_says_where_it_comes_from() -> None:
    elsewhere = Repository("public.ecr.aws", "docker/library/nginx")
    budget = replace(HUB, remaining=0)
    observed = Observed({KEY: WHOLE}, {}, frozenset({REPOSITORY}), (budget,), alternatives={KEY: elsewhere})
    plan = make_plan(desired(), observed, (), ACCOUNT)
    assert (plan.seeds[0].pulls, plan.seeds[0].bytes_from) == ((0, 0), elsewhere)
    assert plan.seeds[0].source.registry == "docker.io"
    assert (plan.pull_costs[0].at_least, plan.refusals) == (0, ())


def test_refuses_when_the_budget_cannot_suffice() -> None:
    plan = plan_of(UNKNOWN, image=CHOSEN, budgets=(replace(HUB, remaining=1),))
    (refusal,) = plan.refusals
    assert refusal.code == "budget.too_small"
    assert "at least 2" in refusal.message
    assert "1 of 100" in refusal.message


def test_warns_when_the_budget_may_not_suffice() -> None:
    plan = plan_of(UNKNOWN, image=CHOSEN, budgets=(replace(HUB, remaining=2),))
    assert plan.refusals == ()
    assert [notice.code for notice in plan.notices] == ["budget.may_be_small"]


def test_equal_inputs_make_equal_plans() -> None:
    assert plan_of(WHOLE, budgets=(HUB,)) == plan_of(WHOLE, budgets=(HUB,))
