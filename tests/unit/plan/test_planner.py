"""The planner as a table: what is upstream, what is in ECR, what is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builds import EXPORTER, NGINX, WEB
from toolkit.lock.keepers import keeper_tag
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.desired import (
    BuildSettings,
    Desired,
    DesiredImage,
    DesiredRefresh,
    DesiredRegistry,
    DesiredRepository,
)
from toolkit.plan.model import InfraAction, InfraChange, Loss, Plan, SeedAction
from toolkit.plan.observed import (
    Account,
    DestinationImage,
    Observed,
    Origin,
    PullBudget,
    SourceFault,
    SourceImage,
    StoredCopy,
)
from toolkit.plan.planner import make_plan

INDEX = "application/vnd.oci.image.index.v1+json"
SINGLE = "application/vnd.oci.image.manifest.v1+json"
AMD64 = (Platform("linux", "amd64"),)
OLD, NEW, FILTERED = Digest.of(b"old"), Digest.of(b"new"), Digest.of(b"filtered")
ACCOUNT = Account("123456789012", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
REPOSITORY = "docker-hub/library/nginx"
IMAGE = DesiredImage(Reference.parse("nginx:1.16"), REPOSITORY, "1.16", Subset(), "images[0]")
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
    tags: tuple[str, ...] = (),
    **options: Any,
) -> Plan:
    destinations = {KEY: destination} if destination else {}
    observed = Observed({KEY: source}, destinations, repositories, budgets, tags={REPOSITORY: tags})
    return make_plan(desired(image, mutability=mutability), observed, changes, ACCOUNT, **options)


WHOLE = SourceImage(NEW, INDEX, wanted_digest=NEW)
UNKNOWN = SourceImage(NEW, INDEX, wanted_digest=None)
FOUND = replace(UNKNOWN, wanted_digest=FILTERED)
CHOSEN = replace(IMAGE, subset=Subset(AMD64))
PINNED = replace(IMAGE, source=IMAGE.source.with_digest(NEW))
SELECTION = str(Subset(AMD64))
SINCE = "2026-11-02T10:00:00Z"


def there(digest: Digest, *, made_of: Digest | None = None, origin: Origin | None = None) -> DestinationImage:
    """A tag in ECR; `made_of` is what a filtered index of ours says, for the selection that is wanted."""
    return DestinationImage(digest, made_of, SELECTION if made_of else None, SINCE, origin)


@pytest.mark.parametrize(
    ("source", "destination", "image", "action", "reason"),
    [
        (WHOLE, None, IMAGE, SeedAction.COPY, "not in ECR"),
        (WHOLE, there(NEW), IMAGE, SeedAction.KEEP, "same digest"),
        (UNKNOWN, None, CHOSEN, SeedAction.COPY, "not in ECR"),
        (UNKNOWN, there(FILTERED, made_of=NEW), CHOSEN, SeedAction.KEEP, "same platforms of the same index"),
        (FOUND, there(FILTERED), CHOSEN, SeedAction.KEEP, "same platforms of the same index"),
        (WHOLE, there(NEW), PINNED, SeedAction.KEEP, "same digest"),
        (SourceFault("missing", "gone"), there(OLD), IMAGE, SeedAction.KEEP, "gone upstream, kept in ECR"),
        (SourceFault("denied", "no"), there(OLD), IMAGE, SeedAction.KEEP, "access denied upstream, kept in ECR"),
        (SourceFault("limited", "429"), there(OLD), IMAGE, SeedAction.KEEP, "too many requests upstream, kept in ECR"),
        (
            SourceFault("unreachable", "down"),
            there(OLD),
            IMAGE,
            SeedAction.KEEP,
            "upstream cannot be reached, kept in ECR",
        ),
        (SourceFault("unusable", "TLS"), there(OLD), IMAGE, SeedAction.KEEP, "upstream cannot be used, kept in ECR"),
        (SourceFault("missing", "gone"), there(NEW), PINNED, SeedAction.KEEP, "gone upstream, kept in ECR"),
        (
            SourceFault("missing", "gone"),
            there(OLD, made_of=NEW),
            PINNED,
            SeedAction.KEEP,
            "gone upstream, kept in ECR",
        ),
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
    assert not plan.is_overwritten


NOT_KNOWN = "differs from upstream; whether it ever came from there is not known"


@pytest.mark.parametrize("mutability", ["MUTABLE", "IMMUTABLE"])
@pytest.mark.parametrize(
    ("source", "destination", "image", "reason", "code"),
    [
        (WHOLE, there(OLD, origin=Origin.UPSTREAM), IMAGE, "upstream moved", None),
        (UNKNOWN, there(FILTERED, made_of=OLD, origin=Origin.UPSTREAM), CHOSEN, "upstream moved", None),
        (FOUND, there(OLD, origin=Origin.UPSTREAM), CHOSEN, "upstream moved", None),
        (
            UNKNOWN,
            DestinationImage(FILTERED, NEW, "linux/arm64;attestations=keep"),
            CHOSEN,
            "other platforms wanted",
            None,
        ),
        (WHOLE, there(FILTERED, made_of=NEW), IMAGE, "other platforms wanted", None),
        (UNKNOWN, there(NEW), CHOSEN, "other platforms wanted", None),
        (FOUND, there(OLD, made_of=NEW), CHOSEN, "overwritten in ECR", "tag.overwritten"),
        (WHOLE, there(OLD, origin=Origin.DISPLACING), IMAGE, "overwritten in ECR", "tag.overwritten"),
        (
            FOUND,
            there(OLD, made_of=OLD, origin=Origin.DISPLACING),
            CHOSEN,
            "made from another index than upstream has now",
            None,
        ),
        (FOUND, there(OLD, origin=Origin.DISPLACING), CHOSEN, "overwritten in ECR", "tag.overwritten"),
        (UNKNOWN, there(OLD, origin=Origin.DISPLACING), CHOSEN, "overwritten in ECR", "tag.overwritten"),
        (UNKNOWN, there(OLD, origin=Origin.LACKING), CHOSEN, NOT_KNOWN, "tag.origin_unknown"),
        (
            UNKNOWN,
            there(FILTERED, made_of=OLD, origin=Origin.LACKING),
            CHOSEN,
            "made from another index than upstream has now",
            None,
        ),
        (WHOLE, there(OLD, origin=Origin.LACKING), IMAGE, NOT_KNOWN, "tag.origin_unknown"),
        (
            SourceImage(NEW, SINGLE, wanted_digest=NEW),
            there(OLD, origin=Origin.LACKING),
            CHOSEN,
            NOT_KNOWN,
            "tag.origin_unknown",
        ),
        (WHOLE, there(OLD, origin=Origin.UNKNOWN), IMAGE, NOT_KNOWN, "tag.origin_unknown"),
        (UNKNOWN, there(OLD, origin=Origin.UNKNOWN), CHOSEN, NOT_KNOWN, "tag.origin_unknown"),
        (
            WHOLE,
            there(OLD, origin=Origin.RETURNED),
            IMAGE,
            "upstream moved back, or it was moved in ECR",
            "tag.origin_unknown",
        ),
    ],
)
def test_why_a_tag_has_other_content_is_known_or_not_said(
    source: SourceImage,
    destination: DestinationImage,
    image: DesiredImage,
    reason: str,
    code: str | None,
    mutability: str,
) -> None:
    plan = plan_of(source, destination, image=image, mutability=mutability)
    is_immutable = mutability == "IMMUTABLE"
    (seed,) = plan.seeds
    assert seed.action is (SeedAction.KEEP if is_immutable else SeedAction.MOVE)
    assert seed.reason == ("immutable, kept in ECR" if is_immutable else reason)
    assert seed.is_overwritten == plan.is_overwritten == (code == "tag.overwritten")
    found = [code] if code else []
    assert [notice.code for notice in plan.notices] == ([*found, "tag.immutable"] if is_immutable else found)
    assert plan.refusals == ()
    if code and destination.pushed_at:
        assert SINCE in plan.notices[0].message


@pytest.mark.parametrize(
    ("destination", "reason", "is_overwritten"),
    [
        (there(OLD, origin=Origin.UPSTREAM), "another digest is pinned", False),
        (there(OLD, origin=Origin.RETURNED), "another digest is pinned", False),
        (there(OLD, origin=Origin.DISPLACING), "overwritten in ECR", True),
        (there(OLD, origin=Origin.LACKING), NOT_KNOWN, False),
    ],
)
def test_a_pin_that_ecr_does_not_have_moves_the_tag(
    destination: DestinationImage, reason: str, is_overwritten: bool
) -> None:
    (seed,) = plan_of(WHOLE, destination, image=PINNED).seeds
    assert (seed.action, seed.reason, seed.is_overwritten) == (SeedAction.MOVE, reason, is_overwritten)


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (NEW, []),
        (None, []),
        (OLD, ["source.pin_behind"]),
        (SourceFault("missing", "gone"), ["source.pin_behind"]),
        (SourceFault("unreachable", "down"), []),
    ],
)
@pytest.mark.parametrize("destination", [None, there(NEW)])
def test_a_tag_that_has_moved_away_from_its_pin_is_a_notice(
    now: Digest | SourceFault | None, code: list[str], destination: DestinationImage | None
) -> None:
    plan = plan_of(replace(WHOLE, tag_now=now), destination, image=PINNED)
    assert [notice.code for notice in plan.notices] == code
    assert plan.refusals == ()
    assert plan.seeds[0].source.digest == NEW


@pytest.mark.parametrize(
    ("source", "destination", "image", "mutability", "code", "kind"),
    [
        (SourceFault("missing", "gone"), None, IMAGE, "MUTABLE", "source.missing", "refused"),
        (SourceFault("denied", "no"), None, IMAGE, "MUTABLE", "source.denied", "denied"),
        (SourceFault("unreachable", "down"), None, IMAGE, "MUTABLE", "source.unreachable", "refused"),
        (SourceFault("missing", "gone"), there(OLD), PINNED, "MUTABLE", "source.missing", "refused"),
        (SourceFault("unreachable", "down"), there(OLD), PINNED, "MUTABLE", "source.unreachable", "refused"),
        (WHOLE, there(OLD, origin=Origin.UPSTREAM), PINNED, "IMMUTABLE", "tag.immutable_pin", "refused"),
    ],
)
def test_refuses_an_image_that_cannot_be_right(
    source: SourceImage | SourceFault,
    destination: DestinationImage | None,
    image: DesiredImage,
    mutability: str,
    code: str,
    kind: str,
) -> None:
    plan = plan_of(source, destination, image=image, mutability=mutability)
    assert [(refusal.code, refusal.kind) for refusal in plan.refusals] == [(code, kind)]
    assert [(refusal.image, refusal.source) for refusal in plan.refusals] == [(KEY, str(image.source))]
    assert plan.seeds == ()
    assert plan.blocking_refusals == plan.refusals
    going_on = plan_of(source, destination, image=image, mutability=mutability, keeps_going=True)
    assert (going_on.refusals, going_on.blocking_refusals) == (plan.refusals, ())


def test_an_immutable_pin_is_told_what_to_pin() -> None:
    for destination in (there(OLD, origin=Origin.UPSTREAM), there(FILTERED, made_of=OLD, origin=Origin.UPSTREAM)):
        (refusal,) = plan_of(WHOLE, destination, image=PINNED, mutability="IMMUTABLE").refusals
        assert f"pin `{OLD}`" in (refusal.hint or "")


def test_a_source_that_cannot_be_asked_is_kept_with_the_day_since_when() -> None:
    (notice,) = plan_of(SourceFault("unreachable", "no answer"), there(OLD)).notices
    assert (notice.code, notice.message) == (
        "source.unreachable",
        "images[0]: no answer; ECR has it since 2026-11-02 and keeps it",
    )


def test_keeps_an_immutable_tag_that_is_right() -> None:
    plan = plan_of(WHOLE, there(NEW), mutability="IMMUTABLE")
    assert (plan.refusals, plan.notices) == ((), ())


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        (("1.16",), None),
        (("1.14", "1.16"), "`1.14`"),
        ((f"sha256-{NEW.hex}.sig", f"sha256-{NEW.hex}", "1.16"), None),
        (("1.16", *(f"1.{n}" for n in range(20, 27))), "`1.20`, `1.21`, `1.22`, `1.23`, `1.24` and 2 more"),
    ],
)
def test_names_the_tags_that_ecr_keeps_and_the_manifest_does_not_name(tags: tuple[str, ...], named: str | None) -> None:
    notices = plan_of(WHOLE, there(NEW), tags=tags).notices
    said = f"ECR keeps tags of `{REPOSITORY}` that the manifest does not name: {named}"
    assert [(notice.code, notice.message) for notice in notices] == ([("image.left", said)] if named else [])


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
        (DestinationImage(OLD), "MUTABLE", SeedAction.MOVE, "upstream has other content now", [], (1, 1)),
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


def test_keeps_an_image_whose_signature_cannot_be_looked_for() -> None:
    plan = plan_of_signed(SourceFault("unreachable", "no answer"), None)
    assert plan.refusals == ()
    assert [(notice.code, notice.message) for notice in plan.notices] == [
        ("source.unreachable", f"images[0]: no answer; ECR keeps the signatures that it has for `{KEY}`")
    ]


def test_an_image_is_not_copied_without_the_signature_that_cannot_be_looked_for() -> None:
    observed = Observed(
        {KEY: WHOLE, SIGNATURE.key: SourceFault("unreachable", "no answer")},
        repositories=frozenset({REPOSITORY}),
        companions={KEY: (SIGNATURE,)},
    )
    plan = make_plan(desired(), observed, (), ACCOUNT, keeps_going=True)
    assert [(refusal.code, refusal.image) for refusal in plan.refusals] == [("source.unreachable", KEY)]
    assert plan.seeds == ()


def test_pins_the_source_digest_that_was_seen() -> None:
    (seed,) = plan_of(WHOLE).seeds
    assert seed.source.digest == NEW
    assert seed.source.tag == "1.16"


def test_names_the_builds_that_use_an_image() -> None:
    runs_in_it = replace(WEB, name="api", images=(), settings=BuildSettings(environment_mirror=NGINX))
    other = replace(WEB, name="docs", images=(EXPORTER,))
    wanted = replace(desired(), builds=(WEB, other, runs_in_it))
    plan = make_plan(wanted, Observed({KEY: WHOLE}, {}, frozenset({REPOSITORY})), (), ACCOUNT)
    assert [seed.used_by for seed in plan.seeds] == [("api", "web")]


@pytest.mark.parametrize(("rebuilds", "named"), [(("web", "api"), "`api`, `web`"), (("web",), "`web`"), ((), None)])
def test_says_which_builds_a_moved_image_starts(rebuilds: tuple[str, ...], named: str | None) -> None:
    builds = tuple(replace(WEB, name=name, rebuilds=name in rebuilds) for name in ("web", "api", "docs"))
    wanted = replace(desired(), builds=builds)
    for found, is_moved in ((there(OLD), True), (there(NEW), False)):
        plan = make_plan(wanted, Observed({KEY: WHOLE}, {KEY: found}, frozenset({REPOSITORY})), (), ACCOUNT)
        said = [notice.message for notice in plan.notices if notice.code == "image.rebuilds"]
        assert said == ([f"moving `{KEY}` rebuilds {named}"] if named and is_moved else [])


def test_says_when_the_repository_is_new() -> None:
    (seed,) = plan_of(WHOLE, repositories=frozenset()).seeds
    assert seed.reason == "its repository is new"


@pytest.mark.parametrize("action", [InfraAction.DELETE, InfraAction.REPLACE])
def test_refuses_to_destroy_a_repository_unless_asked(action: InfraAction) -> None:
    change = InfraChange("module.repositories", "aws_ecr_repository", action, name=REPOSITORY)
    assert [r.code for r in plan_of(WHOLE, changes=(change,)).refusals] == ["infra.destroys_repository"]
    assert plan_of(WHOLE, changes=(change,), allows_destroy=True).refusals == ()


def test_says_what_a_repository_is_replaced_for() -> None:
    path = "encryption_configuration[0].encryption_type"
    change = InfraChange(
        "x", "aws_ecr_repository", InfraAction.REPLACE, REPOSITORY, "cannot_update", False, (), (path,)
    )
    (refusal,) = plan_of(WHOLE, changes=(change,)).refusals
    assert refusal.message == f"Terraform would replace the repository `{REPOSITORY}`, as `{path}` is fixed at creation"


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


PROJECT = replace(WEB, name="refresh", refreshes=True)
SCHEDULE = DesiredRefresh(PROJECT, "rate(1 day)", "UTC", "acme", "platform/refresh")


@pytest.mark.parametrize(
    ("refresh", "type_", "is_refused"),
    [
        (SCHEDULE, "aws_codebuild_project", True),
        (SCHEDULE, "aws_iam_role", False),
        (None, "aws_codebuild_project", False),
    ],
)
def test_a_schedule_ends_when_the_manifest_has_none(
    refresh: DesiredRefresh | None, type_: str, is_refused: bool
) -> None:
    change = InfraChange("module.refresh", type_, InfraAction.DELETE, name="refresh")
    wanted = replace(desired(), refresh=refresh)
    plan = make_plan(wanted, Observed({KEY: WHOLE}, {}, frozenset({REPOSITORY})), (change,), ACCOUNT)
    assert bool(plan.refusals) == is_refused


def test_a_role_of_no_build_is_called_by_its_address() -> None:
    (refusal,) = plan_of(WHOLE, changes=(InfraChange("aws_iam_role.x", "aws_iam_role", InfraAction.DELETE),)).refusals
    assert refusal.message == "Terraform would delete the role `aws_iam_role.x`"


LEFT = InfraChange("module.repositories", "aws_ecr_repository", InfraAction.DELETE, name="left")


def test_deletes_an_empty_orphaned_repository_if_asked() -> None:
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
        (Loss("repository", "left", 7, (NEW,)), {}, "images (1)"),
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
        (UNKNOWN, replace(CHOSEN, subset=Subset(AMD64, keeps_attestations=False)), (2, 2)),
        (UNKNOWN, replace(CHOSEN, subset=Subset((Platform("linux", "arm"),))), (2, None)),
        (UNKNOWN, replace(CHOSEN, subset=Subset((Platform("linux", "arm", "v7"),))), (2, 3)),
        (UNKNOWN, replace(CHOSEN, subset=Subset((Platform.parse("windows/amd64"),))), (2, None)),
        (UNKNOWN, replace(CHOSEN, subset=Subset((Platform.parse("windows/amd64:10.0.20348.*"),))), (2, None)),
        (UNKNOWN, replace(CHOSEN, subset=Subset((Platform.parse("windows/amd64:10.0.20348.1"),))), (2, 3)),
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


def test_says_in_each_plan_which_registry_is_reached_in_the_clear() -> None:
    registries = {
        "docker.io": DesiredRegistry("docker.io", endpoint="http://mirror.test", is_insecure=True),
        "quay.io": DesiredRegistry("quay.io", endpoint="http://127.0.0.1:5000"),
    }
    nothing = replace(desired(), images=(), registries=registries)
    (notice,) = make_plan(nothing, Observed(), (), ACCOUNT).notices
    assert notice.code == "registry.insecure"
    assert notice.message.startswith("`docker.io` is reached without encryption at `http://mirror.test`:")


def test_a_digest_that_the_lock_admitted_before_is_no_surprise() -> None:
    locked = replace(PINNED, is_locked=True, admitted_before=(OLD,))
    for destination in (there(OLD, origin=Origin.DISPLACING), there(FILTERED, made_of=OLD, origin=None)):
        plan = plan_of(WHOLE, destination, image=locked)
        assert (plan.seeds[0].reason, plan.seeds[0].is_overwritten) == ("another digest is admitted", False)
        assert plan.notices == ()


def test_a_tag_of_the_form_of_a_keeper_is_refused() -> None:
    image = replace(IMAGE, tag="kept.1.27.8adbdcb969e2")
    observed = Observed({image.key: WHOLE}, {}, frozenset({REPOSITORY}))
    plan = make_plan(desired(image), observed, (), ACCOUNT)
    assert [refusal.code for refusal in plan.refusals] == ["tag.is_keeper"]


def test_keepers_are_not_left_behind() -> None:
    plan = plan_of(WHOLE, there(NEW), tags=(IMAGE.tag, "kept.1.16.8adbdcb969e2", "1.15"))
    (notice,) = plan.notices
    assert "`1.15`" in notice.message and "kept" not in notice.message


@pytest.mark.parametrize("tags", [(), ("kept.1.16.x",)])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_a_tag_leaves_gets_its_keeper_once(count: int, tags: tuple[str, ...]) -> None:
    keeper = keeper_tag(IMAGE.tag, OLD)
    wanted = replace(desired(), keep_previous=count)
    observed = Observed({KEY: WHOLE}, {KEY: there(OLD)}, frozenset({REPOSITORY}), tags={REPOSITORY: tags})
    (seed,) = make_plan(wanted, observed, (), ACCOUNT).seeds
    assert seed.keeper == (keeper if count else None)
    (again,) = make_plan(wanted, replace(observed, tags={REPOSITORY: (keeper,)}), (), ACCOUNT).seeds
    assert again.keeper is None


def test_what_somebody_pushed_over_a_tag_gets_no_keeper() -> None:
    wanted = replace(desired(), keep_previous=1)
    destinations = {KEY: there(OLD, origin=Origin.DISPLACING)}
    (seed,) = make_plan(wanted, Observed({KEY: WHOLE}, destinations, frozenset({REPOSITORY})), (), ACCOUNT).seeds
    assert (seed.is_overwritten, seed.keeper) == (True, None)


@pytest.mark.parametrize("destination", [None, there(OLD, origin=Origin.UNKNOWN)], ids=["no tag", "another image"])
def test_a_pinned_image_that_ecr_has_needs_no_upstream(destination: DestinationImage | None) -> None:
    gone = SourceFault("missing", "`nginx` does not exist upstream")
    destinations = {KEY: destination} if destination else {}
    observed = Observed({KEY: gone}, destinations, frozenset({REPOSITORY}), stored={KEY: StoredCopy(NEW, "1.15")})
    plan = make_plan(desired(PINNED), observed, (), ACCOUNT)
    (seed,) = plan.seeds
    assert (seed.action, seed.wanted_digest) == (SeedAction.MOVE if destination else SeedAction.COPY, NEW)
    assert (seed.stored_as, seed.size, seed.pulls, plan.refusals) == ("1.15", 0, (0, 0), ())
    assert "source.missing" in [notice.code for notice in plan.notices]


def test_a_repository_that_goes_has_nothing_stored() -> None:
    replaced = InfraChange("a", "aws_ecr_repository", InfraAction.REPLACE, REPOSITORY)
    observed = Observed({KEY: WHOLE}, {}, frozenset({REPOSITORY}), stored={KEY: StoredCopy(NEW, "1.15")})
    (seed,) = make_plan(desired(), observed, (replaced,), ACCOUNT, allows_destroy=True).seeds
    assert seed.stored_as is None
