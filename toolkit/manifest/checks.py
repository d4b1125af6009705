"""Faults that no single field can show: names that collide, and parts that contradict each other.

They are looked for in the well-formed parts of the document, so that a typing error in one image does not hide a
collision of two others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from toolkit.manifest.build_checks import MOST_TAGS
from toolkit.manifest.destinations import Destination, destinations_of, naming_of, repository_name, settings_of
from toolkit.manifest.document import Finding, Path, format_path
from toolkit.manifest.grammar import (
    LONGEST_TAG,
    MIRROR,
    REFRESH,
    REPOSITORY_NAME,
    TAG_PLACE,
    Platforms,
    canonical_host,
    listed,
    quoted,
)
from toolkit.manifest.model import ImageSpec, RepositorySettingsSpec
from toolkit.manifest.readable import Readable
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.alternatives import Alternative
from toolkit.oci.reference import ECR_PUBLIC, Reference, ecr_region

ADMISSION = ("freshness", "min_age", "verify", "suspend", "bypass")
"""The fields that say which digests the lock may admit."""

LONGEST_REPOSITORY_NAME = 255
"""ECR takes 256, Docker's references 255."""


def check(readable: Readable) -> Iterator[Finding]:
    """Every contradiction, in no particular order."""
    yield from _check_encryption_keys(readable)
    yield from _check_replicas(readable)
    yield from _check_statements(readable)
    yield from _check_exclusions(readable)
    yield from _check_tags_of_repositories(readable)
    yield from _check_other_account(readable)
    yield from _check_registries(readable)
    yield from _check_alternatives(readable)
    yield from _check_resource_tags(readable)
    yield from _check_refresh(readable)
    for number, image in readable.images.items():
        yield from _check_tags(image, number)
        yield from _check_tag_names(image, number)
        yield from _check_admission(image, number)
        yield from _check_platforms(image.platforms, ("images", number, "platforms"))
        yield from _check_repository_name(image, number, readable)
    yield from _check_platforms(readable.platforms, ("platforms",))
    yield from _check_collisions(readable)
    yield from _check_settings(readable)


def _destinations(readable: Readable) -> list[Destination]:
    return [
        destination
        for number, image in readable.images.items()
        for destination in destinations_of(image, number, readable.repositories.prefix)
    ]


def _check_tags(image: ImageSpec, number: int) -> Iterator[Finding]:
    source = Reference.parse(image.source)
    path = ("images", number, "source")
    if source.digest is not None and isinstance(image.tags, TagSelectionSpec):
        name, _, digest = image.source.partition("@")
        yield Finding(
            path, f"a digest pins one image, `tags` selects many: leave `@{digest[:14]}…` out of {quoted(name)}"
        )
    elif source.tag is not None and image.tags:
        yield Finding(path, f"{quoted(image.source)} has a tag and `tags` beside it: keep one of them")
    elif source.tag is None and not image.tags:
        name, at, _ = image.source.partition("@")
        if at:
            yield Finding(path, f"{quoted(name)} is pinned but has no tag: write `{name}:TAG@sha256:…`")
        else:
            yield Finding(path, f"{quoted(name)} has no tag: add one, `{name}:latest` if that is what you mean")


def _check_tag_names(image: ImageSpec, number: int) -> Iterator[Finding]:
    path = ("images", number, "tag_as")
    if image.tag_as is None:
        return
    if image.tags and TAG_PLACE not in image.tag_as:
        example = f"{image.tag_as}-{TAG_PLACE}"
        yield Finding(path, f"names one tag for several: say where each one's own stands, such as `{example}`")
    longest = max((tag for tag in image.tags if isinstance(tag, str)), key=len, default="")
    if len(name := naming_of(image).renamed(longest)) > LONGEST_TAG:
        yield Finding(path, f"makes {quoted(name)} of `{longest}`, and a tag has at most {LONGEST_TAG} characters")


def _check_admission(image: ImageSpec, number: int) -> Iterator[Finding]:
    if Reference.parse(image.source).digest is None:
        return
    for name in ADMISSION:
        if name in image.model_fields_set:
            yield Finding(("images", number, name), "has no effect: the digest in `source` is what is copied")


def _check_platforms(platforms: Platforms | None, path: Path) -> Iterator[Finding]:
    if platforms is None or platforms == "all":
        return
    for position, text in enumerate(platforms):
        if text in platforms[:position]:
            yield Finding((*path, position), f"`{text}` is listed twice")


def _check_repository_name(image: ImageSpec, number: int, readable: Readable) -> Iterator[Finding]:
    name = repository_name(image, readable.repositories.prefix)
    path = ("images", number, "repository" if image.repository else "source")
    if not 2 <= len(name) <= LONGEST_REPOSITORY_NAME:
        limits = f"2 to {LONGEST_REPOSITORY_NAME}"
        yield Finding(path, f"the repository {quoted(name)} has {len(name)} characters, ECR takes {limits}")
    elif not re.fullmatch(REPOSITORY_NAME, name):
        yield Finding(path, f"{quoted(name)} is not a repository name that ECR accepts: set `repository`")


def _check_collisions(readable: Readable) -> Iterator[Finding]:
    taken: dict[tuple[str, str], Destination] = {}
    for destination in _destinations(readable):
        first = taken.setdefault((destination.repository, destination.tag), destination)
        if first is destination:
            continue
        there = readable.where(first.path)
        if (first.source.name, first.source.tag) == (destination.source.name, destination.source.tag):
            yield Finding(destination.path, f"`{destination.source.familiar}` is asked for by {there} already")
        else:
            place = f"`{destination.repository}:{destination.tag}`"
            yield Finding(
                destination.path,
                f"lands on {place}, as {there} does: give one of them another `repository` or `tag_as`",
            )


def _check_settings(readable: Readable) -> Iterator[Finding]:
    seen: dict[str, tuple[int, RepositorySettingsSpec]] = {}
    for number, image in readable.images.items():
        name = repository_name(image, readable.repositories.prefix)
        settings = settings_of(image, readable.repositories)
        first, known = seen.setdefault(name, (number, settings))
        other = [
            field for field in RepositorySettingsSpec.model_fields if getattr(settings, field) != getattr(known, field)
        ]
        if other:
            there = readable.where(("images", first))
            message = f"{there} wants another {listed(other)} for the same repository `{name}`: say the same in both"
            yield Finding(("images", number, "repository_settings"), message)


def _check_encryption_keys(readable: Readable) -> Iterator[Finding]:
    keys: dict[Path, str | None] = {("repositories",): readable.repositories.encryption.kms_key}
    for number, image in readable.images.items():
        keys["images", number, "repository_settings"] = image.repository_settings.encryption.kms_key
    for path, key in keys.items():
        region = key.split(":")[3] if key else readable.region
        if readable.region is not None and region != readable.region:
            message = f"the key is in `{region}`, but the repositories are in `{readable.region}`"
            yield Finding((*path, "encryption", "kms_key"), message)


def _check_replicas(readable: Readable) -> Iterator[Finding]:
    path: Path = ("aws", "replicate_to")
    seen: set[str] = set()
    for position, region in readable.replicas.items():
        if region == readable.region:
            yield Finding((*path, position), f"`{region}` is the region of the repositories themselves")
        if region in seen:
            yield Finding((*path, position), f"`{region}` is listed twice")
        if readable.region and _partition(region) != _partition(readable.region):
            message = f"`{region}` is in another partition of AWS than `{readable.region}`, with accounts of its own"
            yield Finding((*path, position), message)
        seen.add(region)
    if not seen:
        return
    if readable.repositories.account_id is None and not readable.repositories.prefix:
        message = "needs `repositories.prefix`: ECR copies every repository whose name begins with it, and no other"
        yield Finding(path, message)
    for place, settings in _settings(readable):
        key = settings.encryption.kms_key
        if key is not None and "key/mrk-" not in key:
            message = "the key exists in one region only, and `aws.replicate_to` needs a multi-Region key, `mrk-…`"
            yield Finding((*place, "encryption", "kms_key"), message)


def _partition(region: str) -> str:
    """How the regions of an AWS partition begin, "" for the public one."""
    return re.match(r"(cn-|eusc-|us-gov-|(us|eu)-iso[a-z]?-)?", region)[0]  # type: ignore[index]  # it may be empty


def _check_statements(readable: Readable) -> Iterator[Finding]:
    """An id may be in a policy only once, and two ids are ours."""
    for path, settings in _settings(readable):
        seen = {"PullByPrincipals": "the toolkit itself", "PullByOrganization": "the toolkit itself"}
        for position, statement in enumerate(settings.policy_statements):
            here = (*path, "policy_statements", position)
            if statement.sid is not None:
                user = seen.setdefault(statement.sid, f"`{format_path(here)}`")
                if user != f"`{format_path(here)}`":
                    yield Finding((*here, "sid"), f"`{statement.sid}` is the id of a statement of {user} already")


def _check_exclusions(readable: Readable) -> Iterator[Finding]:
    for path, settings in _settings(readable):
        names = settings.tag_mutability_exclusions
        for position in (p for p, name in enumerate(names) if name in names[:p]):
            yield Finding((*path, "tag_mutability_exclusions", position), f"`{names[position]}` is listed twice")


def _check_tags_of_repositories(readable: Readable) -> Iterator[Finding]:
    """AWS limits the tags of `aws` and of the repository together."""
    for path, settings in _settings(readable):
        count = len({*readable.resource_tag_keys, *settings.resource_tags})
        if settings.resource_tags and count > MOST_TAGS:
            message = f"makes {count} resource tags together with those of `aws`; AWS allows {MOST_TAGS} beside ours"
            yield Finding((*path, "resource_tags"), message)


def _settings(readable: Readable) -> Iterator[tuple[Path, RepositorySettingsSpec]]:
    """Every place where the manifest has settings of repositories, with these settings."""
    yield ("repositories",), readable.repositories
    for number, image in readable.images.items():
        yield ("images", number, "repository_settings"), image.repository_settings


def _check_other_account(readable: Readable) -> Iterator[Finding]:
    """Settings without effect, because a manifest of another account makes the repositories."""
    if readable.repositories.account_id is None:
        return
    paths: list[Path] = [
        ("repositories", name)
        for name in (*RepositorySettingsSpec.model_fields, "keep_previous")
        if name in readable.repositories.model_fields_set
    ]
    paths += [
        ("images", number, name)
        for number, image in readable.images.items()
        for name in ("repository_settings", *ADMISSION)
        if name in image.model_fields_set
    ]
    data = readable.document.data
    paths += [(name,) for name in ("lock", "refresh", *ADMISSION) if isinstance(data, dict) and name in data]
    paths += [("aws", "replicate_to")] if readable.replicas else []
    for path in paths:
        account = readable.repositories.account_id
        yield Finding(path, f"has no effect here: a manifest of the account `{account}` makes the repositories")
    if isinstance(data, dict) and not data.get("builds"):
        yield Finding(("repositories", "account_id"), "leaves nothing to create, because there are no `builds`")


def _check_registries(readable: Readable) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for host in readable.registry_hosts:
        first = seen.setdefault(canonical_host(host), host)
        if first != host:
            yield Finding(("registries", host), f"is the same registry as {readable.where(('registries', first))}")
        name = canonical_host(host)
        if name in readable.identities and name != ECR_PUBLIC and ecr_region(name) is None:
            message = "is no registry of ECR, which alone takes a role or a profile"
            yield Finding(("registries", host, "credential"), message)


def _check_alternatives(readable: Readable) -> Iterator[Finding]:
    for host in readable.registry_hosts:
        seen: dict[Alternative, str] = {}
        for position, text in readable.alternatives.get(host, {}).items():
            path = ("registries", host, "alternatives", position)
            alternative = Alternative.parse(text)
            if alternative == Alternative(canonical_host(host)):
                yield Finding(path, f"{quoted(text)} is the registry itself")
            elif alternative in seen:
                yield Finding(path, f"{quoted(text)} is listed already, as {quoted(seen[alternative])}")
            seen.setdefault(alternative, text)


def _check_resource_tags(readable: Readable) -> Iterator[Finding]:
    """IAM ignores the case of keys, and refuses a role with two keys that differ in nothing else."""
    seen: dict[str, str] = {}
    for key in readable.resource_tag_keys:
        first = seen.setdefault(key.lower(), key)
        if first != key:
            yield Finding(("aws", "resource_tags", key), f"is the same key as `{first}` to IAM, which ignores case")


def _check_refresh(readable: Readable) -> Iterator[Finding]:
    """What a run inside AWS cannot have, and the builds that it is to start."""
    data = readable.document.data if isinstance(readable.document.data, dict) else {}
    path: Path = ("refresh",)
    for number, build in readable.builds.items():
        here = ("builds", number, "rebuild")
        if build.rebuild == "never":
            continue
        if "refresh" not in data:
            yield Finding(here, "needs `refresh`, which moves images and tells of it")
        elif build.source.type == "CODEPIPELINE":
            yield Finding(here, "has no effect: only its pipeline can start the build")
        elif not build.images and not (build.environment_image or "").startswith(MIRROR):
            yield Finding(here, "has no effect: the build uses no mirrored image")
    if "refresh" not in data or readable.repositories.account_id is not None:
        return
    if "lock" not in data:
        yield Finding(path, "needs `lock: s3://…`: a build in AWS cannot commit a lock file")
    for number, build in readable.builds.items():
        if build.name == REFRESH:
            yield Finding(("builds", number, "name"), f"`{REFRESH}` is the name of the build that refreshes")
    for host in readable.registry_hosts:
        for name in sorted(readable.of_a_machine.get(canonical_host(host), ())):
            message = "is not there in AWS, where `refresh` runs: use `secretsmanager`"
            yield Finding(("registries", host, "credential", name), message)
    notify = readable.refresh.notify if readable.refresh else None
    if notify and readable.region and (region := notify.split(":")[3]) != readable.region:
        yield Finding((*path, "notify"), f"the topic is in `{region}`, and alarms of `{readable.region}` cannot use it")
    if refresh := readable.refresh:
        prefix = refresh.prefix or f"{data.get('name')}/{REFRESH}"
        folder = f"s3://{refresh.bucket}/{prefix}"
        for place, url in _objects(data):
            if re.fullmatch(rf"{re.escape(folder)}/(bundle\.json|lease\.json|(runs|shards)/.*)", url):
                yield Finding(place, f"is an object that a refresh writes: keep it outside of `{folder}`")


def _objects(data: Any) -> Iterator[tuple[Path, str]]:
    """The objects in S3 that are no part of `refresh`, as `s3://` addresses, by their fields."""
    yield ("lock",), str(data.get("lock"))
    try:
        s3 = data["terraform"]["backend"]["s3"]
        yield ("terraform", "backend", "s3", "key"), f"s3://{s3['bucket']}/{s3['key']}"
    except (KeyError, TypeError):
        """There is none, or it has a fault of its own."""
