"""Checks of a plan from a file: that it fits its manifest, and what of it is done in ECR already. Pure.

Everything that a copy does is compared with the manifest: source, destination, platforms, signatures, attestations.
A tag that only the upstream knows is compared with its selection, a signature with the image that it belongs to. The
digests come from the plan: they are what was reviewed.

What an earlier run of the plan has copied stays, so the plan can be applied again until every image is in place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from toolkit.errors import PLAN_AGAIN, Refused
from toolkit.lock.keepers import keeper_tag
from toolkit.oci.companions import cosign_tags, referrers_tag
from toolkit.oci.digest import Digest
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import Plan, Refusal, Seed, SeedAction, doomed_replicas, doomed_repositories
from toolkit.plan.observed import DestinationImage
from toolkit.plan.pull_budget import pull_costs


def refuse_misfits(what: str, sentences: Iterable[str]) -> None:
    """Raise Refused with the first of the `sentences` that say where `what` does not fit together."""
    found = list(sentences)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Refused("plan.misfit", f"{what} does not fit together: {found[0]}{more}", hint=PLAN_AGAIN)


def misfits(desired: Desired, plan: Plan) -> Iterator[str]:
    """The contradictions between `plan` and `desired`, as sentences."""
    if plan.name != desired.name:
        yield f"the plan is for `{plan.name}`, its manifest is `{desired.name}`"
    if plan.account.region != desired.region:
        yield f"the plan is for the region `{plan.account.region}`, its manifest for `{desired.region}`"
    if desired.account_id not in (None, plan.account.account_id):
        yield f"the plan is for the account `{plan.account.account_id}`, its manifest for `{desired.account_id}`"
    doomed = {("repository", name) for name in doomed_repositories(plan.infra_changes)}
    doomed |= {("replica", change.name_there) for change in doomed_replicas(plan.infra_changes)}
    for loss in plan.losses:
        if loss.digests and (loss.kind, loss.name) not in doomed:
            yield f"the plan deletes images of `{loss.name}`, a repository that stays"
    counts = Counter(seed.key for seed in plan.seeds)
    yield from (f"the plan has `{key}` {count} times" for key, count in counts.items() if count > 1)
    known = {*counts, *plan.unadmitted, *(refusal.image for refusal in plan.refusals)}
    for image in desired.images:
        if image.key not in known:
            yield f"the plan lacks `{image.key}` of the manifest"
    images = {image.key: image for image in desired.images}
    signed = {(image.repository, image.source.name) for image in desired.images if image.keeps_signatures}
    signed |= {(s.repository, s.source) for s in desired.selections if s.keeps_signatures}
    for seed in plan.seeds:
        if seed.is_pending and seed.source.digest is None:
            yield f"the plan copies `{seed.key}` without a digest"
        if seed.keeper is not None and seed.keeper != _keeper(seed):
            yield f"the plan gives `{seed.keeper}` of `{seed.repository}` other content than its name says"
        if seed.key != f"{seed.repository}:{seed.tag}":
            yield f"the plan has the key `{seed.key}` for `{seed.repository}:{seed.tag}`"
        elif seed.subject:
            if (seed.repository, seed.source.name) not in signed:
                yield f"the manifest keeps no signatures from `{seed.source.familiar}` as `{seed.key}`"
            yield from _companion_misfits(seed, seed.subject)
        else:
            yield from _image_misfits(
                images.get(seed.key) or desired.selected(seed.repository, seed.tag, seed.source.name), seed
            )


def _keeper(seed: Seed) -> str | None:
    """The only tag that a plan may give to the image which `seed` replaces."""
    return keeper_tag(seed.tag, seed.current_digest) if seed.current_digest and seed.is_pending else None


def _image_misfits(image: DesiredImage | None, seed: Seed) -> Iterator[str]:
    if image is None:
        yield f"the manifest does not ask for `{seed.key}`"
        return
    source = image.source
    if (seed.source.name, seed.source.tag) != (source.name, source.tag):
        yield f"the plan takes `{seed.key}` from `{seed.source.familiar}`, the manifest from `{source.familiar}`"
    elif seed.is_pending and source.digest not in (None, seed.source.digest):
        yield f"the plan copies `{seed.source.digest}` to `{seed.key}`, which the manifest pins to `{source.digest}`"
    if seed.subset.platforms != image.subset.platforms:
        yield f"the plan has other platforms of `{seed.key}` than the manifest"
    if seed.subset.keeps_attestations != image.subset.keeps_attestations:
        yield f"the plan keeps or drops the attestations of `{seed.key}`, the manifest does the opposite"


def _companion_misfits(seed: Seed, subject: Digest) -> Iterator[str]:
    """A companion is copied unchanged and under its own tag."""
    if seed.tag not in (*cosign_tags(subject), referrers_tag(subject)) or seed.source.tag != seed.tag:
        yield f"`{seed.key}` is not the tag of a signature or referrer of `{subject}`"
    if not seed.subset.is_whole:
        yield f"the plan does not copy `{seed.key}` unchanged"


def resume(plan: Plan, existing: Mapping[str, DestinationImage]) -> Plan:
    """`plan` without the copies that are already done, and with a refusal for each tag that has moved.

    `existing` are the tags in ECR by key. Tags of a repository that the plan deletes are not checked.
    """
    doomed = doomed_repositories(plan.infra_changes)
    seeds: list[Seed] = []
    refusals: list[Refusal] = []
    for seed in plan.seeds:
        found = existing.get(seed.key)
        if seed.repository in doomed or (found.digest if found else None) == seed.current_digest:
            seeds.append(seed)
        elif found and seed.is_pending and _is_copy(found, seed):
            seeds.append(_kept(seed, found))
        else:
            refusals.append(_moved(seed, found))
    costs = [seed.cost for seed in seeds if seed.is_pending]
    return replace(
        plan,
        seeds=plan.seeds if refusals and not plan.keeps_going else tuple(seeds),
        pull_costs=pull_costs(costs, [cost.budget for cost in plan.pull_costs if cost.budget]),
        refusals=(*plan.refusals, *refusals),
    )


def _is_copy(found: DestinationImage, seed: Seed) -> bool:
    if seed.wanted_digest is not None:
        return found.digest == seed.wanted_digest
    return found.is_filtered_from(seed.source.digest, seed.subset)


def _kept(seed: Seed, found: DestinationImage) -> Seed:
    return replace(
        seed,
        action=SeedAction.KEEP,
        reason="already in ECR",
        wanted_digest=found.digest,
        current_digest=found.digest,
        pulls=(0, 0),
        bytes_from=None,
        stored_as=None,
        keeper=None,
        is_overwritten=False,
        pushed_at=found.pushed_at,
    )


def _moved(seed: Seed, found: DestinationImage | None) -> Refusal:
    now = f"is `{found.digest}` now" if found else "is gone"
    before = f"was `{seed.current_digest}`" if seed.current_digest else "did not exist"
    message = f"`{seed.key}` {now}, and {before} when the plan was made"
    return Refusal("plan.stale", message, hint=PLAN_AGAIN, image=seed.key, source=str(seed.source))


_NAME = re.compile(r"(?i)passw|secret|token|credential|api_?key|access_?key|private_?key|(^|_)(pat|pwd|auth)(_|$)")
# A URL with a password, a PEM block, tokens of AWS, GitHub, GitLab, Slack and npm, a JSON web token.
_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s:@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20}|"
    r"\bgithub_pat_|\bglpat-|\bxox[a-z]-|\bnpm_\w{20}|\beyJ[\w-]{10,}\.eyJ"
)


def secret_looking(desired: Desired) -> Iterator[str]:
    """The names of variables and builds whose values look like secrets; never the values."""
    for build in desired.builds:
        for name, value in build.environment_variables.items():
            if _NAME.search(name) or _VALUE.search(value):
                yield f"the variable `{name}` of the build `{build.name}`"
        if any(map(_VALUE.search, build.buildspec_commands)):
            yield f"the commands of the build `{build.name}`"
