"""Decides for each image by comparing what the manifest wants with what exists. Pure.

Terraform compares the infrastructure. This module compares what Terraform cannot see, and refuses those changes of
Terraform that would destroy something without permission. The cases of an image, first match wins:

| upstream                           | ECR                                    | decision                             |
|------------------------------------|----------------------------------------|--------------------------------------|
| missing, denied, unreachable, …    | tag there; pinned: and of that digest  | keep, with a notice since when       |
| missing, denied, unreachable, …    | the pinned image under another name    | as below, with a notice              |
| missing, denied, unreachable, …    | anything else                          | this image is refused                |
| there                              | tag absent, or repository goes         | copy                                 |
| there                              | the wanted digest, or made of it       | keep                                 |
| the pinned digest is there         | other content, immutable               | this image is refused                |
| there                              | other content, immutable               | keep, with a notice                  |
| there                              | other content, mutable                 | move                                 |

A pinned image is requested by its digest. A notice says when its tag points elsewhere upstream by now.

A copy or move of an image that its repository has already, all of it and under another tag or none, moves the tag only:
it asks nothing of upstream. With `keep_previous`, the image that a tag moves away from gets a keeper first.

The reason why a tag has other content is a known fact, or the plan says that it is not known. First match wins; "now"
is what upstream has under the tag, or the pinned digest:

| what ECR has                            | looked up                                 | reason                       |
|-----------------------------------------|-------------------------------------------|------------------------------|
| a digest that the lock admitted before  | –                                         | another digest is admitted   |
| what upstream has now, or made of it    | –                                         | other platforms wanted       |
|  … for these platforms, says the index  | its content is not what that gives        | overwritten                  |
| anything, and the image is pinned       | upstream has it by digest                 | another digest is pinned     |
| anything                                | upstream has it; ECR did not have now's   | upstream moved               |
| anything                                | upstream has it; ECR had now's before     | not known, with a notice     |
| an index of ours                        | upstream lacks what it was made of        | made of another index        |
| anything                                | upstream lacks it; ECR had now's before   | overwritten                  |
| anything                                | upstream lacks it, or cannot be asked     | not known, with a notice     |

"Upstream lacks it" alone proves nothing: registries delete what no tag points to any more, and the manifest may have
named another source before.

The first table also decides about the companions of an image: its signatures and referrers. If upstream cannot be
asked for a companion, the image is refused, unless ECR already has the image. Upstream may be down or may sign an image
again at any time, and that must not stop what is in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from toolkit.errors import some
from toolkit.lock.keepers import is_keeper_tag, keeper_tag
from toolkit.manifest.grammar import REFRESH
from toolkit.oci.companions import is_companion_tag, kind_of
from toolkit.oci.digest import Digest
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import InfraChange, Loss, Notice, Plan, Refusal, Seed, SeedAction, doomed_repositories
from toolkit.plan.observed import (
    Account,
    DestinationImage,
    Observed,
    Origin,
    SourceFault,
    SourceImage,
    StoredCopy,
    is_lacking,
)
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import judge_plan, pull_costs, pulls_of

_NOT_KNOWN = "differs from upstream; whether it ever came from there is not known"
# Why a source is unavailable, as a phrase for a table.
_CANNOT = {
    "denied": "access denied upstream",
    "unauthorized": "access denied upstream",
    "missing": "gone upstream",
    "gone": "gone upstream",
    "limited": "too many requests upstream",
    "unreachable": "upstream cannot be reached",
}
_UNUSABLE = "upstream cannot be used"
_Decision = tuple[Seed, tuple[Notice, ...]]


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
    keeps_going: bool = False,
    drift: Sequence[InfraChange] = (),
) -> Plan:
    """Decide on every image, and on whether the plan may be applied.

    `losses` are the contents of the repositories and log groups that Terraform would delete or replace. `users` are the
    names of other projects that pull from these repositories, by repository. `allows_destroy` permits all of that.
    `destroys_removed` lets Terraform delete what the manifest no longer names, as long as nothing is lost with it.

    `creates_repositories` is False when Terraform does not run (`toolkit seed`): a missing repository is then refused.
    With `keeps_going`, apply continues with the other images when single images are refused.
    """
    doomed = doomed_repositories(infra_changes)
    builds = desired.builds_by_image()
    seeds: list[Seed] = []
    refusals: list[Refusal] = []
    if not allows_destroy:
        refusals += _destroy_refusals(desired, infra_changes, losses, users, destroys_removed=destroys_removed)
    notices: list[Notice] = [
        Notice("infra.repository_in_use", f"`{user}` pulls from the repository `{name}`, which will be deleted")
        for name, projects in sorted(users.items())
        for user in projects
    ]
    notices += [
        Notice(
            "registry.insecure",
            f"`{registry.host}` is reached without encryption at `{registry.endpoint}`: everything sent there, "
            "credentials too, can be read and changed on the way",
            hint="serve it over HTTPS",
        )
        for registry in desired.registries.values()
        if registry.is_insecure
    ]
    kept: dict[SourceFault, list[tuple[str, Seed]]] = {}
    for image, companions in _with_companions(desired.images, observed):
        if not creates_repositories and image.repository not in observed.repositories:
            refusals.append(
                Refusal(
                    "repository.missing",
                    f"{image.path}: the repository `{image.repository}` does not exist",
                    hint="create it first: `toolkit apply`",
                    image=f"{image.repository}:*",
                )
            )
            continue
        if is_keeper_tag(image.tag):
            refusals.append(
                Refusal(
                    "tag.is_keeper",
                    f"{image.path}: `{image.key}` is the name of a tag that keeps a previous image",
                    hint="give it another tag in ECR",
                    image=image.key,
                    source=str(image.source),
                )
            )
            continue
        is_doomed = image.repository in doomed
        decided = _decide_all(desired, image, companions, observed, is_doomed=is_doomed)
        if isinstance(decided, Refusal):
            refusals.append(decided)
            continue
        for seed, remarks in decided:
            seeds.append(replace(seed, used_by=builds.get(seed.key, ())))
            notices += remarks
            if isinstance(fault := observed.sources[seed.key], SourceFault):
                kept.setdefault(fault, []).append((image.path, seed))
    notices += [_kept_without_source(fault, images) for fault, images in kept.items()]
    notices += _rebuilds(desired, seeds)
    notices += _left_behind(desired, observed, doomed)
    plan = Plan(
        name=desired.name,
        account=account,
        # Terraform lists them in no fixed order.
        infra_changes=tuple(sorted(infra_changes, key=lambda change: change.address)),
        seeds=tuple(seeds),
        pull_costs=pull_costs([seed.cost for seed in seeds if seed.is_pending], observed.budgets),
        # The tags of a selection share a field, so a fault of their repository would be listed once per tag.
        refusals=tuple(dict.fromkeys(refusals)),
        notices=tuple(notices),
        drift=tuple(sorted(drift, key=lambda change: change.address)),
        losses=tuple(loss for loss in losses if loss.size or loss.digests),
        keeps_going=keeps_going,
        unadmitted=tuple(sorted(desired.unadmitted)),
    )
    return judge_plan(plan, {}, on_budget)


def _with_companions(
    images: Sequence[DesiredImage], observed: Observed
) -> Iterator[tuple[DesiredImage, Sequence[DesiredImage]]]:
    """Each image with its companions, each of them once; a tag that the manifest itself asks for is no companion."""
    taken = {image.key for image in images}
    for image in images:
        companions = {c.key: c for c in observed.companions.get(image.key, ()) if c.key not in taken}
        taken |= companions.keys()
        yield image, list(companions.values())


def source_refusal(path: str, fault: SourceFault, *, image: str | None = None, source: str | None = None) -> Refusal:
    """The refusal of an image, asked for at the manifest field `path`, whose source is unavailable."""
    return Refusal(
        f"source.{fault.kind}",
        f"{path}: {fault.message}",
        hint=fault.hint,
        kind="denied" if fault.is_denied else "refused",
        image=image,
        source=source,
    )


def _rebuilds(desired: Desired, seeds: Sequence[Seed]) -> Iterator[Notice]:
    """Notices about the builds that are started when their images move, one for those with the same builds."""
    rebuilt = {build.name for build in desired.builds if build.rebuilds}
    moved: dict[tuple[str, ...], list[str]] = {}
    for seed in seeds:
        builds = tuple(name for name in seed.used_by if name in rebuilt)
        if builds and seed.action is SeedAction.MOVE:
            moved.setdefault(builds, []).append(seed.key)
    for builds, keys in moved.items():
        yield Notice(
            "image.rebuilds",
            f"moving {some(keys)} rebuilds {', '.join(f'`{name}`' for name in builds)}",
            hint="move it by `toolkit refresh`, which alone starts builds",
        )


def _left_behind(desired: Desired, observed: Observed, doomed: frozenset[str]) -> Iterator[Notice]:
    """Notices about tags in ECR that the manifest does not name (any more)."""
    wanted = {image.key for image in desired.images} | desired.unadmitted
    for repository, tags in sorted(observed.tags.items()):
        left = [
            tag
            for tag in tags
            if f"{repository}:{tag}" not in wanted and not is_companion_tag(tag) and not is_keeper_tag(tag)
        ]
        if left and repository not in doomed:
            yield Notice(
                "image.left", f"ECR keeps tags of `{repository}` that the manifest does not name: {some(left)}"
            )


_HOLDS_SOMETHING = {
    "aws_codebuild_project": "project",
    "aws_codebuild_webhook": "webhook",
    "aws_iam_role": "role",
    "aws_cloudwatch_log_group": "log group",
}
"""Resources with a history, logs or an address that others use: they are destroyed only with permission."""


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
        loss = lost.get(name)
        holds = f"; it holds images ({len(loss.digests)})" if loss and loss.digests else ""
        pulled = f"; it is pulled by {', '.join(f'`{user}`' for user in users[name])}" if users.get(name) else ""
        if destroys_removed and name not in wanted:
            if holds or pulled:
                yield Refusal(
                    "infra.destroys_images",
                    f"the repository `{name}` would be deleted{holds}{pulled}",
                    hint="leave --destroy-removed out to keep it in AWS, or use --allow-destroy to lose all of that",
                )
            continue
        fixed = " and ".join(f"`{path}`" for path in change.replace_because)
        because = (
            f", as {fixed} {'is' if len(change.replace_because) == 1 else 'are'} fixed at creation" if fixed else ""
        )
        yield Refusal(
            "infra.destroys_repository",
            f"Terraform would {change.action} the repository `{name}`{because}{holds}{pulled}",
            hint="undo the change in the manifest, or use --allow-destroy to lose its images",
        )
    for change in changes:
        if change.is_of_replica and change.destroys:
            yield Refusal(
                "infra.destroys_repository",
                f"Terraform would {change.action} the replica of `{change.name}` in `{change.region}` with its images",
                hint="undo the change in the manifest, or use --allow-destroy: ECR fills it again",
            )
    builds = {build.name for build in desired.projects}
    doomed: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        what = _HOLDS_SOMETHING.get(change.resource_type)
        may_go = destroys_removed and change.name not in builds
        # A schedule that the manifest has no more must not run on, and its rules' role goes with the last rule.
        may_go |= change.name == REFRESH and (desired.refresh is None or change.resource_type == "aws_iam_role")
        if what and change.destroys and not may_go:
            whose = f"of the build `{change.name}`" if change.name else f"`{change.address}`"
            doomed.setdefault((whose, change.action), []).append(what)
    for (whose, action), parts in doomed.items():
        yield Refusal(
            "infra.destroys_build",
            f"Terraform would {action} the {' and the '.join(dict.fromkeys(parts))} {whose}",
            hint="undo the change in the manifest, or use --allow-destroy to lose its history, webhook and rights",
        )


def _decide_all(
    desired: Desired, image: DesiredImage, companions: Sequence[DesiredImage], observed: Observed, *, is_doomed: bool
) -> Sequence[_Decision] | Refusal:
    """The decisions for an image and its companions, or one refusal if a part is unavailable."""
    decision = _decide(desired, image, observed, is_doomed=is_doomed)
    if isinstance(decision, Refusal):
        return decision
    decided = [decision]
    for companion in companions:
        beside = _decide(desired, companion, observed, is_doomed=is_doomed)
        if not isinstance(beside, Refusal):
            decided.append(beside)
        elif decision[0].is_pending:
            return replace(beside, image=image.key, source=str(image.source))
        else:
            message = f"{beside.message}; ECR keeps the signatures that it has for `{image.key}`"
            decided[0] = (decided[0][0], (*decided[0][1], Notice(beside.code, message, beside.hint)))
    return decided


def _decide(desired: Desired, image: DesiredImage, observed: Observed, *, is_doomed: bool) -> _Decision | Refusal:
    source = observed.sources[image.key]
    destination = None if is_doomed else observed.destinations.get(image.key)
    stored = None if is_doomed else observed.stored.get(image.key)
    if isinstance(source, SourceFault):
        if stored is None:
            return _without_source(image, source, destination)
        source = stored.as_source(image)
    is_immutable = desired.repository(image.repository).fixes(image.tag)
    behind = tuple(_pin_behind(image, source, can_follow=not is_immutable))
    if destination is None:
        if stored is not None:
            reason = "its tag is not in ECR"
        elif is_doomed:
            reason = "its repository is replaced"
        elif image.repository in observed.repositories:
            reason = "not in ECR"
        else:
            reason = "its repository is new"
        return _seed(image, source, SeedAction.COPY, reason, None, observed, stored), behind
    if destination.is_copy_of(source, image.subset):
        is_verbatim = source.wanted_digest == source.digest
        reason = "same digest" if is_verbatim else "same platforms of the same index"
        return _seed(image, source, SeedAction.KEEP, reason, destination, observed), behind
    reason, remarks = _why_other(image, source, destination)
    is_overwritten = any(remark.code == "tag.overwritten" for remark in remarks)
    if not is_immutable:
        seed = _seed(image, source, SeedAction.MOVE, reason, destination, observed, stored)
        if desired.keep_previous and not image.subject and not is_overwritten:
            keeper = keeper_tag(image.tag, destination.digest)
            seed = replace(seed, keeper=None if keeper in observed.tags.get(image.repository, ()) else keeper)
    elif image.source.digest is not None and not destination.stems_from(image.source.digest):
        has = destination.derived_from or destination.digest
        return Refusal(
            "tag.immutable_pin",
            f"{image.path}: the immutable `{image.key}` is `{has}` and cannot be moved to the pinned digest",
            hint=f"{'let the lock admit' if image.is_locked else 'pin'} `{has}`, which ECR has, or make the repository "
            "mutable: `tag_mutability: mutable`",
            image=image.key,
            source=str(image.source),
        )
    else:
        seed = _seed(image, source, SeedAction.KEEP, "immutable, kept in ECR", destination, observed)
        remarks = (*remarks, _immutable(image, source, destination))
    return replace(seed, is_overwritten=is_overwritten), (*behind, *remarks)


def _without_source(image: DesiredImage, fault: SourceFault, existing: DestinationImage | None) -> _Decision | Refusal:
    """The decision when the source is unavailable: an image that was copied before is kept."""
    if existing is None or is_lacking(image, existing):
        refusal = source_refusal(image.path, fault, image=image.key, source=str(image.source))
        is_gone = image.is_locked and fault.kind == "missing"
        return replace(refusal, hint="admit another digest with `toolkit lock`") if is_gone else refusal
    seed = Seed(
        key=image.key,
        action=SeedAction.KEEP,
        reason=f"{_CANNOT.get(fault.kind, _UNUSABLE)}, kept in ECR",
        source=image.source,
        repository=image.repository,
        tag=image.tag,
        subset=image.subset,
        wanted_digest=existing.digest,
        current_digest=existing.digest,
        subject=image.subject,
        pushed_at=existing.pushed_at,
    )
    return seed, ()


def _kept_without_source(fault: SourceFault, kept: Sequence[tuple[str, Seed]]) -> Notice:
    """One notice for all images with the same fault: a registry that is down may affect hundreds."""
    days = sorted(seed.pushed_at[:10] for _, seed in kept if seed.pushed_at and not seed.is_pending)
    path, _ = kept[0]
    if len(kept) == 1:
        since = f" since {days[0]}" if days else ""
        message = f"{path}: {fault.message}; ECR has it{since} and keeps it"
    else:
        since = f", the oldest since {days[0]}," if days else ""
        message = f"{path} and {len(kept) - 1} more: {fault.message}; ECR has them{since} and keeps them"
    hint = "move to a tag that is still published" if fault.kind == "missing" else fault.hint
    return Notice(f"source.{fault.kind}", message, hint)


def _pin_behind(image: DesiredImage, source: SourceImage, *, can_follow: bool) -> Iterator[Notice]:
    """A notice if the tag of a pinned image points elsewhere by now."""
    now = source.tag_now
    tag = replace(image.source, digest=None).familiar
    if isinstance(now, Digest) and now != source.digest:
        yield Notice(
            "source.pin_behind",
            f"{image.path}: `{tag}` is `{now}` upstream now; the pinned digest stays",
            hint="review the new image, and change the pin to follow the tag" if can_follow else None,
        )
    elif isinstance(now, SourceFault) and now.kind == "missing":
        yield Notice("source.pin_behind", f"{image.path}: the tag `{tag}` is gone upstream; the pinned digest stays")


def _why_other(image: DesiredImage, source: SourceImage, existing: DestinationImage) -> tuple[str, tuple[Notice, ...]]:
    """Why ECR has other content under the tag, as far as known, with notices: the second table."""
    if image.subject:  # we compose an index of referrers, so upstream never has an earlier one
        return "upstream has other content now", ()
    if image.was_admitted(existing.derived_from or existing.digest):
        return "another digest is admitted", ()
    pushed = f", pushed {existing.pushed_at}" if existing.pushed_at else ""
    holds = f"{image.path}: `{image.key}` holds `{existing.digest}`{pushed}"
    if existing.stems_from(source.digest):
        is_same = existing.is_filtered_from(source.digest, image.subset)
        if not is_same:
            return "other platforms wanted", ()
        return _overwritten(f"{holds}, which claims to be these platforms of `{source.digest}` and is not")
    lacks = f"which `{image.source.name}` does not have"
    is_verbatim = source.wanted_digest == source.digest
    match existing.origin:
        case Origin.UPSTREAM | Origin.RETURNED if image.source.digest is not None:
            return f"another digest is {'admitted' if image.is_locked else 'pinned'}", ()
        case Origin.UPSTREAM:
            return "upstream moved", ()
        case Origin.RETURNED:
            known = "upstream has it too, and ECR had the current upstream content before it"
            return "upstream moved back, or it was moved in ECR", (_origin_unknown(f"{holds}: {known}"),)
        case Origin.DISPLACING | Origin.LACKING if existing.derived_from is not None:
            return "made from another index than upstream has now", ()
        case Origin.DISPLACING:
            withdrawn = ", unless upstream has published and withdrawn it" if is_verbatim else ""
            return _overwritten(f"{holds}, {lacks}; ECR had the current upstream content before it{withdrawn}")
        case Origin.LACKING:
            return _NOT_KNOWN, (_origin_unknown(f"{holds}, {lacks}: it never had it, or has deleted it since"),)
    return _NOT_KNOWN, (_origin_unknown(f"{holds}; whether upstream has that could not be checked"),)


def _overwritten(message: str) -> tuple[str, tuple[Notice, ...]]:
    hint = "before you apply, look up `PutImage` in CloudTrail to see who pushed it"
    return "overwritten in ECR", (Notice("tag.overwritten", message, hint),)


def _origin_unknown(message: str) -> Notice:
    return Notice("tag.origin_unknown", message, hint="look up `PutImage` in CloudTrail to see who pushed it")


def _immutable(image: DesiredImage, source: SourceImage, existing: DestinationImage) -> Notice:
    if image.subject:
        code, has = "signature.immutable", f"upstream has `{source.digest}` now"
    elif existing.stems_from(source.digest):
        code, has = "tag.immutable", "other platforms are wanted now"
    else:
        code, has = "tag.immutable", f"upstream has `{source.digest}` now"
    message = f"{image.path}: the immutable `{image.key}` keeps `{existing.digest}`; {has}"
    return Notice(code, message, hint="make the repository mutable (`tag_mutability: mutable`) to let the tag move")


def _seed(
    image: DesiredImage,
    source: SourceImage,
    action: SeedAction,
    reason: str,
    destination: DestinationImage | None,
    observed: Observed,
    stored: StoredCopy | None = None,
) -> Seed:
    is_kept = action is SeedAction.KEEP
    counts = any(budget.registry == image.source.registry for budget in observed.budgets)
    alternative = None if is_kept or stored else observed.alternatives.get(image.key)
    wanted = stored.digest if stored else source.wanted_digest
    if is_kept and destination is not None:
        wanted = destination.digest
    return Seed(
        key=image.key,
        action=action,
        reason=f"{kind_of(image.tag)} of {image.subject.short}: {reason}" if image.subject else reason,
        source=image.source.with_digest(source.digest),
        repository=image.repository,
        tag=image.tag,
        subset=image.subset,
        wanted_digest=wanted,
        current_digest=destination.digest if destination else None,
        size=0 if stored else source.size,
        subject=image.subject,
        pushed_at=destination.pushed_at if destination else None,
        pulls=(0, 0) if is_kept or alternative or stored or not counts else pulls_of(source, image.subset),
        bytes_from=alternative,
        stored_as=stored.name if stored else None,
    )
