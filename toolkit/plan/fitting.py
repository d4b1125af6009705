"""Whether a plan that comes from a file is one that its manifest could have led to. Pure.

Everything that a copy does is held against the manifest: where from, where to, which platforms, what else is kept.
What only an upstream knows is held against what the manifest says of it: a selected tag against the selection, a
signature against the image that it belongs to. The digests are the plan's own: they are what was reviewed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from toolkit.errors import PLAN_AGAIN, Refused
from toolkit.oci.companions import cosign_tags, referrers_tag
from toolkit.oci.digest import Digest
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import Plan, Seed, doomed_repositories


def refuse_misfits(what: str, sentences: Iterable[str]) -> None:
    """Raise Refused with the first of the `sentences` that say where `what` does not fit together."""
    found = list(sentences)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Refused("plan.misfit", f"{what} does not fit together: {found[0]}{more}", hint=PLAN_AGAIN)


def misfits(desired: Desired, made: Plan) -> Iterator[str]:
    """What `made` says that `desired` does not, as sentences."""
    if made.name != desired.name:
        yield f"the plan is of `{made.name}`, its manifest of `{desired.name}`"
    if made.account.region != desired.region:
        yield f"the plan is for the region `{made.account.region}`, its manifest for `{desired.region}`"
    if desired.account_id not in (None, made.account.account_id):
        yield f"the plan is for the account `{made.account.account_id}`, its manifest for `{desired.account_id}`"
    doomed = doomed_repositories(made.infra_changes)
    for loss in made.losses:
        if loss.digests and loss.name not in doomed:
            yield f"the plan deletes images of `{loss.name}`, a repository that stays"
    counts = Counter(seed.key for seed in made.seeds)
    yield from (f"the plan has `{key}` {count} times" for key, count in counts.items() if count > 1)
    refused = {refusal.image for refusal in made.refusals}
    for image in desired.images:
        if image.key not in counts and image.key not in refused:
            yield f"the plan lacks `{image.key}` of the manifest"
    images = {image.key: image for image in desired.images}
    signed = {(image.repository, image.source.name) for image in desired.images if image.keeps_signatures}
    signed |= {(one.repository, one.source) for one in desired.selections if one.keeps_signatures}
    for seed in made.seeds:
        if seed.is_pending and seed.source.digest is None:
            yield f"the plan copies `{seed.key}` without a digest"
        if seed.key != f"{seed.repository}:{seed.tag}":
            yield f"the plan calls `{seed.repository}:{seed.tag}` by the name `{seed.key}`"
        elif seed.subject:
            if (seed.repository, seed.source.name) not in signed:
                yield f"the manifest keeps no signatures from `{seed.source.familiar}` as `{seed.key}`"
            yield from _companion_misfits(seed, seed.subject)
        else:
            yield from _image_misfits(images.get(seed.key) or _selected(desired, seed), seed)


def _selected(desired: Desired, seed: Seed) -> DesiredImage | None:
    """What a selection of the manifest that may choose the tag says of it; the first of its source, or the first."""
    fitting = [one for one in desired.selections if one.repository == seed.repository and one.tags.matches(seed.tag)]
    same_source = [one for one in fitting if one.source == seed.source.name]
    return next((one.image(seed.tag) for one in (*same_source, *fitting)), None)


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
    """A companion is copied as it is and under its own tag."""
    if seed.tag not in (*cosign_tags(subject), referrers_tag(subject)) or seed.source.tag != seed.tag:
        yield f"`{seed.key}` is not the tag of a signature or referrer of `{subject}`"
    if not seed.subset.is_whole:
        yield f"the plan does not copy `{seed.key}` as it is"
