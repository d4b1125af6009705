"""What a CodeBuild project of the manifest cannot do, where its fields alone do not show it.

Settings that contradict one another, which AWS would report in the middle of an apply or never; strategies that do not
serve an image; base images that nothing mirrors. A missing base image would be pulled from its upstream in the middle
of a build, and often without a word. Which Git hosts can do what is from CodeBuild's API reference; what the Terraform
provider drops silently is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from toolkit.manifest.build_model import (
    BuildProjectSpec,
    CacheSpec,
    EnvironmentType,
    FilterSpec,
    SourceSpec,
    WebhookSpec,
)
from toolkit.manifest.destinations import (
    BUILDKIT,
    Destination,
    Mirrors,
    default_repository,
    mirrors_of,
    prefixed,
    upstream_tag,
)
from toolkit.manifest.document import Finding, NewImage, Path
from toolkit.manifest.grammar import MIRROR, listed, quoted
from toolkit.manifest.readable import Readable
from toolkit.manifest.strategy import Strategy
from toolkit.oci.descriptor import Platform
from toolkit.oci.errors import OciError
from toolkit.oci.reference import DOCKER_HUB, HUB_HOSTS, Reference

_LONGEST_POLICY = 10_240
"""Characters of all policies of a role together, without white space."""


def check_builds(readable: Readable) -> Iterator[Finding]:
    """Every fault of the builds that their fields alone do not show."""
    mirrors = mirrors_of(readable.images.items(), readable.repositories.prefix)
    names: dict[str, int] = {}
    for number, build in readable.builds.items():
        path: Path = ("builds", number)
        first = names.setdefault(build.name, number)
        if first != number:
            message = f"`{build.name}` is the name of {readable.where(('builds', first))} already"
            yield Finding((*path, "name"), message)
        yield from check_settings(build, path, readable)
        yield from check_strategy(build, path, readable)
        yield from _check_environment(build, path, readable, mirrors)
        yield from _check_images(build, path, readable, mirrors)
        yield from _check_policy_size(build, path, readable, mirrors)


def _check_images(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    seen: dict[object, str] = {}
    for position, original in enumerate(build.images):
        here = (*path, "images", position)
        reference = Reference.parse(original)
        mirror = mirrors.find_named(reference)
        # `docker.io/nginx` and `nginx` are two names for `docker tag`.
        host = original.partition("/")[0]
        key = (reference.digest or upstream_tag(original), reference.name, host if host in HUB_HOSTS else "")
        if key in seen:
            yield Finding(here, f"{quoted(original)} is listed already, as {quoted(seen[key])}")
        elif mirror:
            yield from _check_platforms(build, mirror, here, readable)
            yield from check_served(build, original, mirror, here, readable)
        elif reference.name not in readable.doubtful:
            yield Finding(here, missing_sentence(original))
        seen.setdefault(key, original)


def _check_environment(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    if build.environment_image is None or not build.environment_image.startswith(MIRROR):
        return
    original = build.environment_image.removeprefix(MIRROR)
    if mirror := mirrors.find(upstream_tag(original)):
        yield from _check_platforms(build, mirror, (*path, "environment_image"), readable)
    elif Reference.parse(original).name not in readable.doubtful:
        yield Finding((*path, "environment_image"), missing_sentence(original))


def _check_policy_size(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    """A policy that is certainly too long, which AWS would report only when the role exists already."""
    if build.service_role_arn is not None:
        return
    found = (mirrors.find(upstream_tag(original)) for original in build.images)
    repositories = {mirror.repository for mirror in found if mirror}
    arn = f'"arn:aws:ecr:{readable.region}:123456789012:repository/",'
    own = sum(len(arn) + len(name) for name in repositories)
    extra = sum(
        len(re.sub(r"\s", "", statement.model_dump_json(exclude_defaults=True)))
        for statement in build.policy_statements
    )
    if own + extra > _LONGEST_POLICY:
        rights = f"rights for {len(repositories)} repositories" + (" and `policy_statements`" if extra else "")
        message = f"needs {rights}, {own + extra:,} characters of policy, and IAM takes {_LONGEST_POLICY:,} in a role"
        yield Finding(path, f"{message}: split the build")


def _check_platforms(
    build: BuildProjectSpec, destination: Destination, path: Path, readable: Readable
) -> Iterator[Finding]:
    """An image that is not mirrored for the machine's architecture would be pulled from elsewhere."""
    machine = Platform("linux", "arm64" if build.environment_type.startswith("ARM_") else "amd64")
    own = readable.images[destination.number].platforms
    platforms = readable.platforms if own is None else own
    if platforms == "all" or any(machine.matches(Platform.parse(text)) for text in platforms):
        return
    message = f"is mirrored for {listed(platforms)} only, but the build runs on `{machine}`: add it to `platforms`"
    yield Finding(path, f"`{destination.source.familiar}` {message}")


_DOCKER_BUILD = re.compile(r"(?m)(?:^|[;&|(])[ \t]*(?:sudo +|\w+=\S* +)*docker +(?:(?:buildx|builder|image) +)?build\s")


def check_strategy(build: BuildProjectSpec, path: Path, readable: Readable) -> Iterator[Finding]:
    """Faults in the fields of `build` other than its images."""
    if build.strategy.serves:
        if not build.images and build.has_docker:
            yield Finding((*path, "images"), "is missing: list what the Dockerfiles start from")
        elif build.strategy is Strategy.BUILDER and not _has_buildkit(build, readable):
            message = "`builder` runs `moby/buildkit:buildx-stable-1`: say `build_tools: true`, or list it in `images`"
            yield Finding((*path, "strategy"), message)
        if len(build.dockerfiles) > 1 and not build.commands and build.buildspec is None:
            message = "lists several, and the build would use only the first: write `commands` that build them"
            yield Finding((*path, "dockerfiles"), message)
        yield from _check_commands(build, path)
        return
    for field in ("images", "on_miss", "dockerfiles"):
        if field in build.model_fields_set:
            message = "means nothing with `strategy: login`, which pulls from Docker Hub: leave it out"
            yield Finding((*path, field), message)
    if DOCKER_HUB not in readable.secrets:
        message = (
            "`login` needs an account: set `registries.docker.io.credential.secretsmanager` to the ARN of a secret"
        )
        yield Finding((*path, "strategy"), message)


def _check_commands(build: BuildProjectSpec, path: Path) -> Iterator[Finding]:
    """A command that ignores the exported variable pulls from the upstreams, silently with `on_miss: upstream`."""
    name = build.strategy.variable
    for position, command in enumerate(build.commands):
        if name not in command and _DOCKER_BUILD.search(command):
            option = f'--file "${name}"' if build.strategy is Strategy.DIRECT else f"${name}"
            message = f"builds without what `{build.strategy}` exports: write `docker build {option}`"
            yield Finding((*path, "commands", position), message)


def _has_buildkit(build: BuildProjectSpec, readable: Readable) -> bool:
    return readable.build_tools or any(Reference.parse(original).name == BUILDKIT for original in build.images)


def check_served(
    build: BuildProjectSpec, original: str, mirror: Destination, path: Path, readable: Readable
) -> Iterator[Finding]:
    """Why the strategy cannot serve `original`, which is mirrored at `mirror`."""
    source = mirror.source
    digest = Reference.parse(original).digest
    if digest is not None:
        name = original.partition("@")[0]
        if build.strategy is Strategy.RETAG:
            message = (
                f"`docker tag` cannot give a local image a name with a digest: name {quoted(name)}, or choose another "
                "`strategy`, such as `auto`"
            )
            yield Finding(path, message)
        own = readable.images[mirror.number].platforms
        if (readable.platforms if own is None else own) != "all":
            message = "the digest may be that of an index, and only `platforms: all` copies an index unchanged"
            yield Finding(path, f"{message}: set it for {quoted(source.familiar)}")
    wanted = prefixed(readable.repositories.prefix, default_repository(source))
    needs_path = build.strategy.needs_upstream_path or (build.strategy is Strategy.AUTO and digest is not None)
    if not needs_path or source.name == BUILDKIT:
        return
    looks = f"`{build.strategy}` looks for {quoted(original)}"
    if mirror.repository != wanted:
        message = f"{looks} in `{wanted}`, but it is mirrored to `{mirror.repository}`: leave `repository` out there"
        yield Finding(path, f"{message}, or use `contexts` or `direct`")
    if digest is None and mirror.is_renamed:
        message = (
            f"{looks} under the tag `{source.tag}`, but it is mirrored as `{mirror.tag}`: leave `tag_as` out there"
        )
        yield Finding(path, f"{message}, or use `contexts` or `direct`")


def missing_sentence(original: str) -> str:
    """The message for an image that nothing mirrors."""
    reference = Reference.parse(original)
    if reference.digest is not None:
        entry = NewImage(f"{reference.name.with_tag(reference.tag or 'TAG').familiar}@{reference.digest}", "all")
        return f"nothing mirrors what {quoted(original)} is pinned to: add `- {entry.text}` to `images`"
    repository, tag = upstream_tag(original)
    wanted = repository.with_tag(tag).familiar
    meaning = "" if reference.tag else f" (it means {quoted(wanted)})"
    return f"nothing mirrors {quoted(original)}{meaning}: add `- {NewImage(wanted).text}` to `images`"


_BUCKET_AND_KEY = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+")
_CODECOMMIT = re.compile(r"https://git-codecommit(-fips)?\.[a-z0-9-]+\.[a-z0-9.]+/v1/repos/[A-Za-z0-9._-]+")

_WITHOUT_LOCATION = ("CODEPIPELINE", "NO_SOURCE")
_GITHUB = ("GITHUB", "GITHUB_ENTERPRISE")
_GITLAB = ("GITLAB", "GITLAB_SELF_MANAGED")
_HOSTS = (*_GITHUB, *_GITLAB, "BITBUCKET")
"""Git hosts that can start builds and receive their status."""
_GIT = (*_HOSTS, "CODECOMMIT")
_EC2 = ("LINUX_EC2", "ARM_EC2")
_MACHINE_IMAGES = "aws/codebuild/ami/"
_EC2_COMPUTE = ("BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE")
_COMPUTE = {
    "LINUX_GPU_CONTAINER": ("BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE"),
    "LINUX_EC2": _EC2_COMPUTE,
    "ARM_EC2": _EC2_COMPUTE,
}
"""Machines that do not come in every size; AWS: "Build environment compute modes and types"."""
MOST_TAGS = 48
"""AWS allows 50, and two are ours."""


def check_settings(build: BuildProjectSpec, path: Path, readable: Readable) -> Iterator[Finding]:
    """Every contradiction in one build."""
    yield from _check_source(build.source, (*path, "source"), has_role=build.service_role_arn is not None)
    yield from _check_buildspec(build, path)
    yield from _check_machine(build, path)
    yield from _check_privileged(build, path)
    yield from _check_role(build, path)
    if build.webhook is not None:
        yield from _check_webhook(build, build.webhook, (*path, "webhook"))
    if build.cache is not None:
        yield from _check_cache(build, build.cache, (*path, "cache"))
    if build.badge and build.source.type not in _GIT:
        yield Finding((*path, "badge"), f"a badge needs a Git repository, and the source is `{build.source.type}`")
    if build.artifacts is not None and build.source.type == "CODEPIPELINE":
        yield Finding((*path, "artifacts"), "the pipeline itself takes what its builds leave")
    if build.vpc is not None:
        for name in ("subnets", "security_groups"):
            ids = getattr(build.vpc, name)
            for position in (p for p, one in enumerate(ids) if one in ids[:p]):
                yield Finding((*path, "vpc", name, position), f"`{ids[position]}` is listed twice")
    yield from _check_keys(build, path, readable)
    yield from _check_tags(build, path, readable)


def _check_source(source: SourceSpec, path: Path, *, has_role: bool) -> Iterator[Finding]:
    yield from _check_location(source, path)
    for name, kinds, needs in (
        ("clone_depth", _GIT, "a Git repository"),
        # The provider leaves it out for GitLab, and plans it again each time.
        ("submodules", (*_GITHUB, "BITBUCKET", "CODECOMMIT"), "a Git repository that is not at GitLab"),
        ("report_build_status", _HOSTS, "a repository at GitHub, GitLab or Bitbucket"),
        ("connection", _HOSTS, "a repository at GitHub, GitLab or Bitbucket"),
        ("secret", (*_GITHUB, "BITBUCKET"), "a repository at GitHub or Bitbucket"),
        ("pipeline_bucket", ("CODEPIPELINE",), "the source `CODEPIPELINE`"),
        ("pipeline", ("CODEPIPELINE",), "the source `CODEPIPELINE`"),
    ):
        if getattr(source, name) and source.type not in kinds:
            yield Finding((*path, name), f"needs {needs}, and the source is `{source.type}`")
    if source.connection and source.secret:
        yield Finding((*path, "secret"), "has a `connection` beside it: keep one")
    if source.type == "CODEPIPELINE" and source.pipeline_bucket is None:
        message = "is missing: the build reads and writes there, as the artifact store of its pipeline"
        yield Finding((*path, "pipeline_bucket"), message)
    if source.type == "CODEPIPELINE" and source.pipeline is None and not has_role:
        message = "is missing: without it the build could read and change what other pipelines keep in that bucket"
        yield Finding((*path, "pipeline"), message)


def _check_location(source: SourceSpec, path: Path) -> Iterator[Finding]:
    here = (*path, "location")
    location = source.location
    if source.type in _WITHOUT_LOCATION:
        if location is not None or source.version is not None:
            yield Finding(path, f"`{source.type}` has no `location` and no `version`")
    elif location is None:
        yield Finding(here, f"is missing: `{source.type}` needs one")
    elif source.type == "S3":
        if not _BUCKET_AND_KEY.fullmatch(location):
            yield Finding(here, f"{quoted(location)} is not `bucket/key`, with a `/` at the end for a folder")
    elif not _is_clean_url(location):
        yield Finding(here, "is not the `https://` address of a Git repository, without user or password")
    elif source.type == "CODECOMMIT" and not _CODECOMMIT.fullmatch(location):
        form = "https://git-codecommit.<region>.amazonaws.com/v1/repos/<name>"
        yield Finding(here, f"{quoted(location)} is not the address of a CodeCommit repository: `{form}`")


def _is_clean_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        host = url.hostname
    except ValueError:
        return False
    return url.scheme == "https" and bool(host) and "@" not in url.netloc and url.path not in ("", "/")


def _check_buildspec(build: BuildProjectSpec, path: Path) -> Iterator[Finding]:
    """Fields that only the generated buildspec uses, or only a buildspec in the source."""
    if build.buildspec is None:
        if build.source.type == "NO_SOURCE" and not build.commands:
            yield Finding(path, "without a source there is nothing for `docker build`: give `commands`")
        if build.batch is not None:
            message = "a batch is described by a buildspec in the source: name it with `buildspec`"
            yield Finding((*path, "batch"), message)
        if build.artifacts is not None and not build.artifacts.files:
            yield Finding((*path, "artifacts", "files"), "is missing: nothing else says what a build leaves")
        if build.cache is not None and not build.cache.paths and _has_paths(build.cache):
            yield Finding((*path, "cache", "paths"), "is missing: nothing else says what is kept")
        return
    if build.source.type == "NO_SOURCE":
        yield Finding((*path, "buildspec"), f"without a source there is no {quoted(build.buildspec)}: give `commands`")
    for name, value in (
        (("commands",), build.commands),
        (("artifacts", "files"), build.artifacts.files if build.artifacts else ()),
        (("cache", "paths"), build.cache.paths if build.cache else ()),
    ):
        if value:
            yield Finding((*path, *name), f"belongs in {quoted(build.buildspec)}, which `buildspec` names: keep one")


def _has_paths(cache: CacheSpec) -> bool:
    return cache.location is not None or "LOCAL_CUSTOM_CACHE" in cache.modes


def _check_machine(build: BuildProjectSpec, path: Path) -> Iterator[Finding]:
    if sizes := _COMPUTE.get(build.environment_type):
        message = f"is not available for `{build.environment_type}`: choose {listed(sizes, 'or')}"
        if build.compute_type not in sizes:
            yield Finding((*path, "compute_type"), f"`{build.compute_type}` {message}")
        for position, compute in enumerate((build.batch and build.batch.compute_types) or ()):
            if compute not in sizes:
                yield Finding((*path, "batch", "compute_types", position), f"`{compute}` {message}")
    image = build.environment_image
    here = (*path, "environment_image")
    if image is not None and build.environment_type in _EC2 and not image.startswith(_MACHINE_IMAGES):
        message = f"`{build.environment_type}` builds without a container: leave it out, or name one of AWS's images of"
        yield Finding(here, f"{message} machines, `{_MACHINE_IMAGES}…`")
        return
    if image is None or image.startswith(MIRROR):
        return
    if image.startswith("aws/codebuild/"):
        if fault := _family_fault(image, build.environment_type):
            yield Finding(here, f"{quoted(image)} {fault}")
    elif _is_at_docker_hub(image):
        better = f"mirror it, and write `{MIRROR}{image}`"
        yield Finding(here, f"{quoted(image)} would be pulled from Docker Hub for every build: {better}")


def _family_fault(image: str, environment: EnvironmentType) -> str | None:
    family = image.removeprefix("aws/codebuild/").partition(":")[0]
    if image.startswith(_MACHINE_IMAGES) and environment not in _EC2:
        return f"is the image of a machine, for {listed(_EC2)}, and `{environment}` builds in a container"
    if any(word in family for word in ("windows", "macos", "lambda")):
        return "cannot run Docker: take a Linux image that is not for Lambda"
    is_arm = "aarch64" in family or "-arm-" in family
    if is_arm != environment.startswith("ARM_"):
        return f"is for {'ARM' if is_arm else 'x86-64'}, and the machine is `{environment}`"
    return None


def _check_privileged(build: BuildProjectSpec, path: Path) -> Iterator[Finding]:
    """Docker needs `privileged` in a container, but not on a machine without one."""
    if build.environment_type in _EC2 and build.privileged:
        message = f"`{build.environment_type}` builds without a container, and has Docker anyway: leave it out"
        yield Finding((*path, "privileged"), message)
    if build.has_docker:
        return
    message = "needs Docker, and Docker needs `privileged`: leave one of the two out"
    if build.strategy is Strategy.LOGIN:
        yield Finding((*path, "strategy"), f"`login` {message}")
    if build.cache is not None and "LOCAL_DOCKER_LAYER_CACHE" in build.cache.modes:
        position = build.cache.modes.index("LOCAL_DOCKER_LAYER_CACHE")
        yield Finding((*path, "cache", "modes", position), f"`LOCAL_DOCKER_LAYER_CACHE` {message}")
    if build.buildspec is not None:
        return
    for name in ("images", "dockerfiles"):
        if getattr(build, name):
            yield Finding((*path, name), f"what the generated buildspec does with them {message}")
    if not build.commands:
        yield Finding((*path, "commands"), "is missing: without `privileged` there is no Docker for `docker build`")


def _check_role(build: BuildProjectSpec, path: Path) -> Iterator[Finding]:
    """Fields that change a role, when the role is not ours."""
    if build.service_role_arn is not None:
        for name in ("policy_statements", "permissions_boundary"):
            if getattr(build, name):
                message = "would have no effect: the role of `service_role_arn` is left as it is. Give the role itself"
                yield Finding((*path, name), f"{message} what the build may do")


def _is_at_docker_hub(image: str) -> bool:
    try:
        return Reference.parse(image).registry == DOCKER_HUB
    except OciError:
        return False


def _check_webhook(build: BuildProjectSpec, webhook: WebhookSpec, path: Path) -> Iterator[Finding]:
    kind = build.source.type
    if kind not in _HOSTS:
        yield Finding(path, f"needs a repository at GitHub, GitLab or Bitbucket, and the source is `{kind}`")
        return
    if not webhook.allow_forks and not webhook.filter_groups:
        yield Finding(path, f"without `filter_groups` everybody's pull requests are built: {_NAME_ACTORS}")
    if webhook.build_type == "BUILD_BATCH" and build.batch is None:
        yield Finding((*path, "build_type"), "`BUILD_BATCH` needs `batch`")
    for number, group in enumerate(webhook.filter_groups):
        events = {event for spec in group for event in spec.events}
        if not webhook.allow_forks and _is_open(group):
            yield Finding((*path, "filter_groups", number), f"builds everybody's pull requests: {_NAME_ACTORS}")
        for position, spec in enumerate(group):
            here = (*path, "filter_groups", number, position)
            for event in spec.events:
                if kind not in _hosts_of(event):
                    yield Finding((*here, "pattern"), f"`{event}` is no event of `{kind}`")
            if (wanted := _events_with(spec.type)) and not events <= wanted:
                others = listed(sorted(events - wanted))
                have = "has" if len(events - wanted) == 1 else "have"
                message = f"{others} {have} no `{spec.type}`, so the filter would never match: give it its own group"
                yield Finding((*here, "type"), message)


_NAME_ACTORS = "filter `ACTOR_ACCOUNT_ID` by whole ids, such as `^(1234567|2345678)$`, or say `allow_forks: true`"
_ID = r"(?:\\?\{)?[0-9A-Fa-f:-]+(?:\\?\})?"
_WHOLE_IDS = re.compile(rf"\^{_ID}\$(?:\|\^{_ID}\$)*|\^\((?:\?:)?{_ID}(?:\|{_ID})*\)\$")
"""Without anchors at both ends, `1234567` also admits the account 91234567, which anybody may wait for and register."""


def builds_foreign_code(webhook: WebhookSpec) -> bool:
    """Whether everybody who can open a pull request can start a build."""
    return not webhook.filter_groups or any(map(_is_open, webhook.filter_groups))


def _is_open(group: Sequence[FilterSpec]) -> bool:
    """A merged pull request was accepted; opening, changing, reopening and closing one is up to its author."""
    events = {event for spec in group for event in spec.events if event.startswith("PULL_REQUEST_")}
    return bool(events - {"PULL_REQUEST_MERGED"}) and not any(
        spec.type == "ACTOR_ACCOUNT_ID" and not spec.exclude and _WHOLE_IDS.fullmatch(spec.pattern) for spec in group
    )


def _hosts_of(event: str) -> tuple[str, ...]:
    match event:
        case "PULL_REQUEST_REOPENED" | "WORKFLOW_JOB_QUEUED":
            return (*_GITHUB, *_GITLAB)
        case "RELEASED":
            return ("GITHUB", *_GITLAB)
        case "PRERELEASED":
            return ("GITHUB",)
        case _:
            return _HOSTS


def _events_with(kind: str) -> frozenset[str]:
    """Events that have the property that a filter looks at; empty if all have it."""
    pulls = {f"PULL_REQUEST_{what}" for what in ("CREATED", "UPDATED", "CLOSED", "REOPENED", "MERGED")}
    match kind:
        case "BASE_REF":
            return frozenset(pulls)
        case "FILE_PATH" | "COMMIT_MESSAGE":
            return frozenset(pulls | {"PUSH"})
        case "TAG_NAME" | "RELEASE_NAME":
            return frozenset({"RELEASED", "PRERELEASED"})
        case "WORKFLOW_NAME":
            return frozenset({"WORKFLOW_JOB_QUEUED"})
        case _:
            return frozenset()


def _check_cache(build: BuildProjectSpec, cache: CacheSpec, path: Path) -> Iterator[Finding]:
    if "LOCAL_SOURCE_CACHE" in cache.modes and build.source.type not in _GIT:
        position = cache.modes.index("LOCAL_SOURCE_CACHE")
        message = f"`LOCAL_SOURCE_CACHE` needs a Git repository, and the source is `{build.source.type}`"
        yield Finding((*path, "modes", position), message)
    if cache.paths and not _has_paths(cache):
        yield Finding((*path, "paths"), "folders are kept in S3 or by `LOCAL_CUSTOM_CACHE` only")


def _check_keys(build: BuildProjectSpec, path: Path, readable: Readable) -> Iterator[Finding]:
    for name, key in (("kms_key", build.kms_key), ("log_kms_key", build.log_kms_key)):
        region = key.split(":")[3] if key else readable.region
        if readable.region is not None and region != readable.region:
            message = f"the key is in `{region}`, but the project is in `{readable.region}`"
            yield Finding((*path, name), message)


def _check_tags(build: BuildProjectSpec, path: Path, readable: Readable) -> Iterator[Finding]:
    """They count together with those of `aws`. IAM ignores the case of keys."""
    known = {key.lower(): key for key in readable.resource_tag_keys}
    for key in build.resource_tags:
        first = known.setdefault(key.lower(), key)
        if first != key:
            yield Finding((*path, "resource_tags", key), f"is the same key as `{first}` to IAM, which ignores case")
    if len(known) > MOST_TAGS:
        message = f"makes {len(known)} resource tags together with those of `aws`; AWS allows {MOST_TAGS} beside ours"
        yield Finding((*path, "resource_tags"), message)
