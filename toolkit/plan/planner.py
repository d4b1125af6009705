"""The decision, image by image: what is wanted against what is there. Pure.

Terraform diffs the infrastructure; this diffs only what Terraform cannot see. The cases, first match wins:

| upstream                        | ECR                              | decision                              |
|---------------------------------|----------------------------------|---------------------------------------|
| tag missing                     | tag there                        | keep, with a notice                   |
| missing, denied, unreachable, … | anything else                    | refused                               |
| another digest than pinned      | any                              | refused                               |
| there                           | tag absent, or repository goes   | copy                                  |
| there                           | the wanted digest, or made of it | keep                                  |
| there                           | other content, immutable         | refused                               |
| there                           | other content, mutable           | move                                  |

The companions of an image, its signatures and referrers, follow it and are decided by the same table but for one row:
one that has moved and cannot in an immutable repository is kept with a notice. Upstream may sign an image again at any
time, and that must not stop the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from toolkit.oci.companions import kind_of
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import InfraChange, Loss, Notice, Plan, Refusal, Seed, doomed_repositories
from toolkit.plan.observed import Account, DestinationImage, Observed, SourceFault, SourceImage
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import judge_budgets, pull_costs, pulls_of
from toolkit.plan.seed_action import SeedAction


def make_plan(
    desired: Desired,
    observed: Observed,
    infra_changes: Sequence[InfraChange],
    account: Account,
    *,
    allows_destroy: bool = False,
    destroys_removed: bool = False,
    losses: Sequence[Loss] = (),
    users: Mapping[str, Sequence[str]] = MappingProxyType({}),
    creates_repositories: bool = True,
    on_budget: OnBudget = OnBudget.REFUSE,
) -> Plan:
    """Decide on every image and on whether the whole may be applied.

    `losses` is what is in the repositories and log groups that Terraform would delete or replace, `users` who else
    pulls from these repositories: names of projects by repository. `allows_destroy` lets all of that go,
    `destroys_removed` lets Terraform delete what the manifest no longer names and nothing is lost with.

    `creates_repositories` is False where Terraform does not run (`toolkit seed`): then a repository that is not there
    is refused.
    """
    doomed = doomed_repositories(infra_changes)
    seeds: list[Seed] = []
    refusals: list[Refusal] = []
    if not allows_destroy:
        refusals += _destroy_refusals(desired, infra_changes, losses, users, destroys_removed=destroys_removed)
    notices: list[Notice] = [
        Notice("infra.repository_in_use", f"`{user}` pulls from the repository `{name}`, which goes")
        for name, projects in sorted(users.items())
        for user in projects
    ]
    for image in _with_companions(desired.images, observed):
        if not creates_repositories and image.repository not in observed.repositories:
            if image.subject:  # the image itself is refused
                continue
            refusals.append(
                Refusal(
                    "repository.missing",
                    f"{image.path}: the repository `{image.repository}` does not exist",
                    hint="create it first: `toolkit apply`",
                )
            )
            continue
        decision = _decide(desired, image, observed, is_doomed=image.repository in doomed)
        if isinstance(decision, Refusal):
            refusals.append(decision)
            continue
        seed, notice = decision
        seeds.append(seed)
        if notice:
            notices.append(notice)
    made = Plan(
        name=desired.name,
        account=account,
        # Terraform names them in the order in which it thought of them.
        infra_changes=tuple(sorted(infra_changes, key=lambda change: change.address)),
        seeds=tuple(seeds),
        pull_costs=pull_costs(seeds, observed.budgets),
        # Selected tags share the field that asked for them, and what is wrong with their repository is said once.
        refusals=tuple(dict.fromkeys(refusals)),
        notices=tuple(notices),
        losses=tuple(loss for loss in losses if loss.size or loss.digests),
    )
    return judge_budgets(made, {}, on_budget)


def _with_companions(images: Sequence[DesiredImage], observed: Observed) -> Iterator[DesiredImage]:
    """Each image and then its companions, each once; a tag that the manifest asks for itself is no companion."""
    taken = {image.key for image in images}
    for image in images:
        yield image
        for companion in observed.companions.get(image.key, ()):
            if companion.key not in taken:
                taken.add(companion.key)
                yield companion


def source_refusal(path: str, fault: SourceFault) -> Refusal:
    """Why what the manifest asks for at `path` cannot be had."""
    return Refusal(
        f"source.{fault.kind}",
        f"{path}: {fault.message}",
        hint=fault.hint,
        kind="denied" if fault.kind == "denied" else "refused",
    )


_HOLDS_SOMETHING = {
    "aws_codebuild_project": "project",
    "aws_codebuild_webhook": "webhook",
    "aws_iam_role": "role",
    "aws_cloudwatch_log_group": "log group",
}
"""What has a history, logs or an address that others know, and so is destroyed only when that is said."""


def _destroy_refusals(
    desired: Desired,
    changes: Sequence[InfraChange],
    losses: Sequence[Loss],
    users: Mapping[str, Sequence[str]],
    *,
    destroys_removed: bool,
) -> Iterator[Refusal]:
    wanted = {repository.name for repository in desired.repositories}
    lost = {loss.name: loss for loss in losses if loss.kind == "repository"}
    for change in changes:
        if not (change.is_of_repository and change.destroys):
            continue
        name = change.name or change.address
        there = lost.get(name)
        holds = f"; it holds {len(there.digests)} images" if there and there.digests else ""
        pulled = f"; it is pulled by {', '.join(f'`{user}`' for user in users[name])}" if users.get(name) else ""
        if destroys_removed and name not in wanted:
            if holds or pulled:
                yield Refusal(
                    "infra.destroys_images",
                    f"the repository `{name}` would be deleted{holds}{pulled}",
                    hint="leave --destroy-removed out to keep it in AWS, or say --allow-destroy if all of that may go",
                )
            continue
        because = f" ({change.reason})" if change.reason else ""
        yield Refusal(
            "infra.destroys_repository",
            f"Terraform would {change.action} the repository `{name}`{because}{holds}{pulled}",
            hint="restore it in the manifest, or say --allow-destroy if its images may be lost",
        )
    builds = {build.name for build in desired.builds}
    doomed: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        what = _HOLDS_SOMETHING.get(change.resource_type)
        if what and change.destroys and not (destroys_removed and change.name not in builds):
            doomed.setdefault((change.name or change.address, change.action), []).append(what)
    for (name, action), parts in doomed.items():
        yield Refusal(
            "infra.destroys_build",
            f"Terraform would {action} the {' and the '.join(dict.fromkeys(parts))} of the build `{name}`",
            hint="restore it in the manifest, or say --allow-destroy if its history, webhook and rights may be lost",
        )


def _decide(
    desired: Desired, image: DesiredImage, observed: Observed, *, is_doomed: bool
) -> tuple[Seed, Notice | None] | Refusal:
    source = observed.sources[image.key]
    destination = None if is_doomed else observed.destinations.get(image.key)
    if isinstance(source, SourceFault):
        return _without_source(image, source, destination)
    pinned = image.source.digest
    if pinned is not None and pinned != source.digest:
        return Refusal(
            "source.pin_differs",
            f"{image.path}: `{image.source.familiar}` is `{source.digest}` upstream now, not the pinned digest",
            hint="review the new image, then change the pin in the manifest",
        )
    if destination is None:
        if is_doomed:
            reason = "its repository is replaced"
        elif image.repository in observed.repositories:
            reason = "not in ECR"
        else:
            reason = "its repository is new"
        return _seed(image, source, SeedAction.COPY, reason, None, observed), None
    kept_because = _match(image, source, destination)
    if kept_because:
        return _seed(image, source, SeedAction.KEEP, kept_because, destination, observed), None
    if desired.repository(image.repository).is_immutable:
        if image.subject:
            notice = Notice(
                "signature.immutable",
                f"{image.path}: the immutable `{image.key}` keeps what it has; upstream has `{source.digest}` now",
                hint="make the repository mutable if it should follow",
            )
            return _seed(image, source, SeedAction.KEEP, "immutable, kept in ECR", destination, observed), notice
        return Refusal(
            "tag.immutable",
            f"{image.path}: the immutable `{image.key}` holds `{destination.digest}`, upstream has `{source.digest}`",
            hint="mirror it under a new tag, pin the old digest, or make the repository mutable",
        )
    return _seed(image, source, SeedAction.MOVE, _moved_because(source, destination), destination, observed), None


def _without_source(
    image: DesiredImage, fault: SourceFault, destination: DestinationImage | None
) -> tuple[Seed, Notice | None] | Refusal:
    if fault.kind == "missing" and destination is not None:
        seed = Seed(
            key=image.key,
            action=SeedAction.KEEP,
            reason="gone upstream, kept in ECR",
            source=image.source,
            repository=image.repository,
            tag=image.tag,
            platforms=image.platforms,
            keeps_attestations=image.keeps_attestations,
            wanted_digest=destination.digest,
            current_digest=destination.digest,
        )
        notice = Notice(
            "source.missing",
            f"{image.path}: `{image.source.familiar}` is gone upstream; ECR keeps what it has",
            hint="move to a tag that is still published",
        )
        return seed, notice
    return source_refusal(image.path, fault)


def _match(image: DesiredImage, source: SourceImage, destination: DestinationImage) -> str | None:
    """Why the destination is right as it is; None when it is not, or when that cannot be known."""
    if source.wanted_digest is not None:
        if destination.digest != source.wanted_digest:
            return None
        return "same digest" if source.wanted_digest == source.digest else "same platforms of the same index"
    if destination.is_filtered_from(source.digest, image.platforms, keeps_attestations=image.keeps_attestations):
        return "same platforms of the same index"
    return None


def _moved_because(source: SourceImage, destination: DestinationImage) -> str:
    if destination.derived_from == source.digest:
        return "other platforms wanted"
    return "upstream moved"


def _seed(
    image: DesiredImage,
    source: SourceImage,
    action: SeedAction,
    reason: str,
    destination: DestinationImage | None,
    observed: Observed,
) -> Seed:
    is_kept = action is SeedAction.KEEP
    counts = any(budget.registry == image.source.registry for budget in observed.budgets)
    elsewhere = None if is_kept else observed.alternatives.get(image.key)
    wanted = source.wanted_digest
    if is_kept and destination is not None:
        wanted = destination.digest
    return Seed(
        key=image.key,
        action=action,
        reason=f"{kind_of(image.tag)} of {image.subject.short}: {reason}" if image.subject else reason,
        source=image.source.with_digest(source.digest),
        repository=image.repository,
        tag=image.tag,
        platforms=image.platforms,
        keeps_attestations=image.keeps_attestations,
        wanted_digest=wanted,
        current_digest=destination.digest if destination else None,
        size=source.size,
        subject=image.subject,
        pulls=(0, 0)
        if is_kept or elsewhere or not counts
        else pulls_of(source, image.platforms, image.keeps_attestations),
        bytes_from=elsewhere,
    )
