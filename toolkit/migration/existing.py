"""Repositories that are in ECR already: their settings are known there, their upstreams only to people or to rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.manifest.destinations import default_repository
from toolkit.manifest.grammar import quoted
from toolkit.migration.carried import Carried, Entry, Remark, familiar
from toolkit.oci.companions import is_companion_tag
from toolkit.oci.errors import OciError
from toolkit.oci.reference import DOCKER_HUB, Reference
from toolkit.plan.adoption import settings_that_keep
from toolkit.plan.desired import MANIFEST, Desired, DesiredRepository
from toolkit.plan.observed import ExistingRepository, PullThroughRule

_ECR = "ECR"


@dataclass(frozen=True, slots=True)
class UpstreamName:
    """Says that the repository `repository` mirrors `upstream`; a `*` in both stands for the same text."""

    repository: str
    upstream: str

    @classmethod
    def parse(cls, text: str) -> UpstreamName:
        """Read `REPOSITORY=UPSTREAM`. ValueError with a sentence if it is none."""
        repository, is_there, upstream = text.partition("=")
        if not (repository and is_there and upstream):
            raise ValueError(f"{quoted(text)} is not REPOSITORY=UPSTREAM, such as `base/python=python`")
        if repository.count("*") != upstream.count("*") or repository.count("*") > 1:
            raise ValueError(f"{quoted(text)} has a `*` on one side only, or two: write `base/*=docker.io/library/*`")
        try:
            named = Reference.parse(upstream.replace("*", "x"))
        except OciError as error:
            raise ValueError(error.message) from error
        if named.tag or named.digest:
            raise ValueError(f"{quoted(upstream)} has a tag: the tags are those in ECR")
        return cls(repository, upstream)

    def of(self, repository: str) -> str | None:
        """The upstream of the repository called `repository`; None if this says nothing about it."""
        before, star, after = self.repository.partition("*")
        if not star:
            return self.upstream if repository == self.repository else None
        is_one = len(repository) > len(before) + len(after)
        if not (is_one and repository.startswith(before) and repository.endswith(after)):
            return None
        return self.upstream.replace("*", repository[len(before) : len(repository) - len(after)])


@dataclass(frozen=True, slots=True)
class InEcr:
    """A repository and its tags."""

    repository: ExistingRepository
    tags: Sequence[str]


def upstream_of(rule: PullThroughRule) -> UpstreamName:
    """What a pull-through cache rule says about the repositories below its prefix."""
    host = DOCKER_HUB if rule.upstream_host == "registry-1.docker.io" else rule.upstream_host
    parts = (host, rule.upstream_prefix, "*")
    return UpstreamName(_joined(rule.prefix, "*"), _joined(*parts))


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part != "ROOT")  # AWS's word for no prefix


def carry_existing(found: Sequence[InEcr], upstreams: Sequence[UpstreamName], desired: Desired) -> Carried:
    """An entry for each repository, with the settings that it has; `desired` says region and account."""
    images: list[Entry] = []
    waiting: list[Entry] = []
    remarks: list[Remark] = []
    for one in sorted(found, key=lambda one: one.repository.name):
        name = one.repository.name
        if owner := one.repository.resource_tags.get(MANIFEST):
            reason = f"the manifest `{owner}` keeps it already"
            remarks.append(Remark(_ECR, None, name, reason, "let go of it there before another one takes it over"))
            continue
        tags = sorted(tag for tag in one.tags if not is_companion_tag(tag))
        remarks += _remarks(one, tags)
        upstream = next((known for said in upstreams if (known := said.of(name)) is not None), None)
        shown = familiar(Reference.parse(upstream).name) if upstream else "UPSTREAM"
        fields: dict[str, object] = {"source": shown, "tags": tags, "repository": name}
        if settings := settings_that_keep(one.repository, DesiredRepository(name), desired):
            fields["repository_settings"] = dict(settings)
        if upstream and default_repository(Reference.parse(upstream)) == name:
            del fields["repository"]
        if upstream and tags:
            images.append(Entry(fields, f"repository {name}"))
            continue
        waiting.append(Entry(fields, f"repository {name}"))
        if upstream is None:
            reason = "ECR does not know where its images come from"
            instead = f"add `--source '{name}=UPSTREAM'` and run again, or fill it in below `images`"
            remarks.append(Remark(_ECR, None, name, reason, instead))
    shared = _shared([*images, *waiting])
    return Carried(
        where=_ECR,
        images=[_without(entry, shared) for entry in images],
        waiting=[_without(entry, shared) for entry in waiting],
        remarks=remarks,
        repositories=shared,
        adopt=[one.repository.name for one in found if MANIFEST not in one.repository.resource_tags],
        platforms="all",
        region=desired.region,
        account_id=desired.account_id,
    )


def remarks_on(rule: PullThroughRule) -> Iterator[Remark]:
    """What becomes of a rule whose repositories are taken over."""
    reason = "while the rule is there, ECR writes to its repositories too, up to once a day for each tag that is pulled"
    instead = f"after the first apply: `aws ecr delete-pull-through-cache-rule --ecr-repository-prefix {rule.prefix}`"
    yield Remark(_ECR, None, f"rule {rule.prefix}", reason, instead, is_carried=True)
    if rule.credential_arn:
        reason = "the secret of the rule has the keys `username` and `accessToken`"
        instead = "make one with `username`, `password` and `hosts`, and name it in `registries` as `secretsmanager`"
        yield Remark(_ECR, None, rule.credential_arn, reason, instead)


def _remarks(one: InEcr, tags: Sequence[str]) -> Iterator[Remark]:
    name = one.repository.name
    if len(tags) < len(one.tags):
        reason = "signatures (`sha256-….sig`) stay in ECR as they are"
        yield Remark(_ECR, None, name, reason, "set `signatures: keep` to have them follow", is_carried=True)
    if not tags:
        yield Remark(_ECR, None, name, "it has no tag", "name the `tags` that you want, below `images`")


def _shared(entries: Sequence[Entry]) -> Mapping[str, object]:
    """The settings that all repositories have, if there are several."""
    settings = [_settings(entry) for entry in entries]
    if len(settings) < 2:
        return {}
    return {n: v for n, v in settings[0].items() if all(n in other and other[n] == v for other in settings)}


def _settings(entry: Entry) -> dict[str, object]:
    found = entry.fields.get("repository_settings")
    return found if isinstance(found, dict) else {}


def _without(entry: Entry, shared: Mapping[str, object]) -> Entry:
    own = {name: value for name, value in _settings(entry).items() if name not in shared}
    fields = {key: value for key, value in entry.fields.items() if key != "repository_settings"}
    return replace(entry, fields={**fields, "repository_settings": own} if own else fields)
