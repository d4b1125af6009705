"""The state of a mirror: one image in each state, every field filled somewhere, and one whose every text is hostile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from toolkit.cli.render.serialise import document_of
from toolkit.lock.model import Hold
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.plan.model import AttributeChange, InfraAction, InfraChange, Notice
from toolkit.plan.observed import Account
from toolkit.plan.severity import Severity
from toolkit.plan.status import (
    ExtraTag,
    Fault,
    ImageStatus,
    ReplicaStatus,
    Scan,
    Span,
    State,
    StatusReport,
    sort_images,
)

NOW = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ACCOUNT = Account("123456789012", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
PLATFORMS = (Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))


def digest(name: str) -> Digest:
    return Digest.of(name.encode())


def image(
    name: str, state: State = State.FINE, reason: str = "ECR has what upstream has", **fields: object
) -> ImageStatus:
    """An image that is in ECR, was scanned and pulled, and has nothing newer upstream."""
    has = digest(name)
    made = ImageStatus(
        f"docker-hub/library/{name}",
        name,
        state,
        reason,
        in_ecr=has,
        admitted=has,
        newest=has,
        pushed_at=NOW - 20 * DAY,
        platforms=PLATFORMS,
        size=55_400_000,
        scan=Scan({}, NOW - DAY),
        last_pull=NOW - 2 * DAY,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def behind(name: str, state: State, reason: str, days: float | None, **fields: object) -> ImageStatus:
    """An image of which upstream has another digest since `days`."""
    since = None if days is None else NOW - days * DAY
    newer = {"newest": digest(f"{name} newer"), "is_behind": True, "behind_since": since}
    return image(name, state, reason, **{**newer, **fields})


def _history(name: str) -> tuple[Span, ...]:
    old, has, newer = digest(f"{name} old"), digest(name), digest(f"{name} newer")
    return (
        Span(NOW - 30 * DAY, NOW - 21 * DAY, State.FINE, old, old, old),
        Span(NOW - 20 * DAY, NOW - 13 * DAY, State.BEHIND, old, has, has, NOW - 21 * DAY),
        Span(NOW - 12 * DAY, NOW - 5 * DAY, State.FINE, has, has, has),
        Span(NOW - 4 * DAY, NOW, State.COOLING, has, has, newer, NOW - 4 * DAY),
    )


IMAGES = (
    image("nginx:1.27", used_by=("api", "web")),
    image(
        "redis:7.4",
        State.OVERWRITTEN,
        f"ECR has `{digest('evil').short}`, which was never admitted and is not made of what was",
        in_ecr=digest("evil"),
        used_by=("web",),
        scan=Scan(lacking=("not scanned", "not scanned")),
        last_pull=None,
    ),
    image(
        "mysql:9",
        State.MISSING,
        "not in ECR; `toolkit seed` copies it",
        in_ecr=None,
        platforms=(),
        size=None,
        scan=None,
    ),
    image(
        "httpd:2.2",
        State.GONE,
        f"upstream has no such tag any more; ECR keeps `{digest('httpd:2.2').short}`",
        newest=None,
        is_gone=True,
        gone_since=NOW - 9 * DAY,
        scan=Scan({Severity.CRITICAL: 2, Severity.HIGH: 7, Severity.MEDIUM: 31}, NOW - 3 * DAY),
    ),
    image(
        "quay:1",
        State.UNKNOWN,
        "upstream was not seen: `quay.io` does not respond",
        newest=None,
        fault="`quay.io` does not respond",
    ),
    behind(
        "node:22",
        State.HELD,
        "held until 2026-12-05 06:00: 22.12 breaks the gateway",
        11,
        hold=Hold("22.12 breaks the gateway", NOW + 5 * DAY),
    ),
    behind(
        "ruby:3.3",
        State.SUSPENDED,
        "suspended: moves with the release train",
        40,
        suspended=Hold("moves with the release train"),
    ),
    behind(
        "postgres:17",
        State.BEHIND,
        f"`{digest('postgres:17 newer').short}` is admitted and not in ECR yet; `toolkit seed` copies it",
        8.5,
        admitted=digest("postgres:17 newer"),
        filtered_from=digest("postgres:17 index"),
        scan=Scan({Severity.LOW: 4}, NOW - DAY, ("not scanned: UNSUPPORTED_IMAGE",)),
    ),
    behind("alpine:3.20", State.BEHIND, "upstream has another digest; `toolkit seed` copies it", None),
    behind(
        "python:3.12-slim",
        State.COOLING,
        f"upstream has `{digest('python:3.12-slim newer').short}`; the next digest may be admitted in 1d 6h",
        4,
        ready_at=NOW + 1.25 * DAY,
        history=_history("python:3.12-slim"),
    ),
    behind("debian:bookworm", State.PINNED, "upstream has another digest, and the manifest pins a digest", 100),
)

REPORT = StatusReport(
    "platform",
    ACCOUNT,
    NOW,
    "images.lock.yaml",
    sort_images(IMAGES),
    extra_tags=(ExtraTag("docker-hub/library/nginx", "1.16", digest("old"), NOW - 400 * DAY, 51_000_000),),
    extra_repositories=("docker-hub/library/memcached",),
    keepers=2,
    companions=4,
    drift=(
        InfraChange(
            'module.repositories["docker-hub/library/nginx"].aws_ecr_repository.this',
            "aws_ecr_repository",
            InfraAction.UPDATE,
            "docker-hub/library/nginx",
            "recorded",
            changes=(AttributeChange("image_tag_mutability", "IMMUTABLE", "MUTABLE"),),
        ),
    ),
    notices=(Notice("ignore.expired", "`ignore[0]` ended on 2026-11-29", hint="decide anew"),),
    faults=(
        Fault(
            "status.missing",
            "`docker-hub/library/mysql:9` is not in ECR",
            "run `toolkit seed`",
            "docker-hub/library/mysql:9",
        ),
    ),
    replicas=(
        ReplicaStatus(
            "us-east-1", 9, ("docker-hub/library/nginx:1.27",), ("docker-hub/library/postgres:17", "quay/node:1")
        ),
        ReplicaStatus("ap-northeast-1", 12),
        ReplicaStatus("us-west-2", fault="AWS cannot be reached: no such host"),
    ),
)

NASTY = "<img src=x onerror=alert(1)>@octocat #1 | `x` \x1b[31m\u202e</script><!-- toolkit:status -->\n::error::[a](b)"


def hostile() -> StatusReport:
    """A report in which every text that comes from outside is an attack."""
    moved = AttributeChange(NASTY, NASTY, NASTY)
    drift = InfraChange(NASTY, "aws_ecr_repository", InfraAction.UPDATE, NASTY, "recorded", changes=(moved,))
    bad = [
        replace(
            one,
            key=f"{NASTY}{number}",
            source=NASTY,
            reason=NASTY,
            used_by=(NASTY,),
            fault=NASTY,
            hold=Hold(NASTY),
            scan=Scan(lacking=(NASTY,)),
        )
        for number, one in enumerate(IMAGES)
    ]
    return replace(
        REPORT,
        name=NASTY,
        account=Account(NASTY, NASTY, NASTY),
        lock=NASTY,
        images=tuple(bad),
        extra_tags=(ExtraTag(NASTY, NASTY, digest("x"), NOW),),
        extra_repositories=(NASTY,),
        drift=(drift,),
        notices=(Notice("a.b", NASTY, NASTY),),
        faults=(Fault("a.b", NASTY, NASTY, NASTY),),
        replicas=(ReplicaStatus(NASTY, 0, (NASTY,), (NASTY,)), ReplicaStatus(NASTY, fault=NASTY)),
    )


def many(count: int) -> StatusReport:
    """A large mirror, of which a third is not fine."""
    images = []
    for number in range(count):
        name = f"a-rather-long-name-of-an-image-{number:04}:1.{number}-bookworm-slim"
        made = image(name, used_by=("api", "web", "worker"))
        if number % 3 == 0:
            made = behind(name, State.BEHIND, "upstream has another digest, which the lock has not seen", number / 10)
        images.append(made)
    return replace(REPORT, images=sort_images(images), drift=None, faults=None)


def result(report: StatusReport) -> dict[str, Any]:
    """The document of a run that ended with `report`."""
    return {"schema_version": 1, "command": "status", "exit_code": 0, "status": document_of("status", report)}
