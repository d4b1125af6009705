"""Turns a manifest into what it asks for: defaults filled in, names decided, spellings made canonical.

Pure. It never fails on a manifest that the loader accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.lock.model import Bypass, Freshness, Hold, Policy, Verification
from toolkit.manifest.build_model import BatchSpec, BuildProjectSpec
from toolkit.manifest.checks import ADMISSION
from toolkit.manifest.destinations import (
    Destination,
    Mirrors,
    Selection,
    alias_of,
    destinations_of,
    mirrors_of,
    prefixed,
    preset_of,
    repository_name,
    selection_of,
    settings_of,
    tools_of,
    upstream_tag,
    with_tools,
)
from toolkit.manifest.document import format_path
from toolkit.manifest.grammar import MIRROR, PROVIDER_VERSIONS, REFRESH, canonical_host, duration_of, end_of_day
from toolkit.manifest.model import ImageSpec, Manifest, RegistrySpec, RepositorySettingsSpec, VerifySpec
from toolkit.manifest.strategy import Strategy
from toolkit.oci.alternatives import Alternative
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import DOCKER_HUB, Reference
from toolkit.oci.subset import Subset
from toolkit.plan.desired import (
    BuildImage,
    BuildSettings,
    Desired,
    DesiredBuild,
    DesiredImage,
    DesiredRefresh,
    DesiredRegistry,
    DesiredRepository,
    DesiredSelection,
    ProviderNeed,
    S3Backend,
    S3Object,
    Upstream,
)

EXCLUSIONS_SINCE = (6, 8)
"""The first version of the AWS provider with exclusion filters for the tag mutability of a repository."""

ENVIRONMENT_IMAGES = {
    "LINUX_CONTAINER": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
    "LINUX_GPU_CONTAINER": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
    "ARM_CONTAINER": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
    "LINUX_EC2": "aws/codebuild/ami/amazonlinux-x86_64-base:latest",
    "ARM_EC2": "aws/codebuild/ami/amazonlinux-arm-base:latest",
}
"""AWS's own image for each kind of machine: they contain Docker, and cost no pull at Docker Hub."""


def resolve(manifest: Manifest) -> Desired:
    """What `manifest` asks for."""
    prefix = manifest.repositories.prefix
    images: list[DesiredImage] = []
    selections = []
    sources = mirrored_images(manifest)
    for number, image in sources.items():
        images += [_image(manifest, image, found) for found in destinations_of(image, number, prefix)]
        if selection := selection_of(image, number, prefix):
            selections.append(_selection(manifest, image, selection, position=len(images)))
    repositories = {
        repository_name(image, prefix): settings_of(image, manifest.repositories) for image in sources.values()
    }
    mirrors = mirrors_of(sources.items(), prefix)
    mirror_account_id = manifest.repositories.account_id
    if mirror_account_id is not None:  # another manifest makes and fills the repositories
        images, selections, repositories = [], [], {}
    return Desired(
        name=manifest.name,
        region=manifest.aws.region,
        account_id=manifest.aws.account_id,
        put_image_per_second=manifest.aws.put_image_per_second,
        resource_tags=dict(manifest.aws.resource_tags),
        backend=_backend(manifest),
        repositories=tuple(_repository(name, settings) for name, settings in sorted(repositories.items())),
        images=tuple(images),
        selections=tuple(selections),
        builds=tuple(_build(manifest, build, mirrors, _upstreams(sources, prefix)) for build in manifest.builds),
        registries={
            canonical_host(host): _registry(canonical_host(host), registry)
            for host, registry in manifest.registries.items()
        },
        mirror_account_id=mirror_account_id,
        adopt=manifest.adopt,
        ignore=manifest.ignore,
        provider_needs=() if mirror_account_id else _provider_needs(manifest),
        workspace=manifest.terraform.workspace,
        provider_versions=", ".join(filter(None, (PROVIDER_VERSIONS, manifest.terraform.provider_version))),
        lock=_lock(manifest),
        needs_lock=mirror_account_id is None and _needs_lock(manifest),
        keep_previous=manifest.repositories.keep_previous,
        refresh=_refresh(manifest),
        replicate_to=manifest.aws.replicate_to,
        prefix=prefix,
    )


def _backend(manifest: Manifest) -> S3Backend | None:
    if manifest.terraform.backend is None:
        return None
    s3 = manifest.terraform.backend.s3
    return S3Backend(s3.bucket, s3.key, s3.region or manifest.aws.region, s3.kms_key_id, s3.dynamodb_table)


def _repository(name: str, settings: RepositorySettingsSpec) -> DesiredRepository:
    return DesiredRepository(
        name=name,
        tag_mutability=settings.tag_mutability.upper(),
        tag_mutability_exclusions=settings.tag_mutability_exclusions,
        scan_on_push=settings.scan_on_push,
        encryption_type=settings.encryption.type,
        kms_key=settings.encryption.kms_key,
        expire_untagged_after_days=settings.expire_untagged_after_days,
        pull_principals=settings.pull_principals,
        organization_id=settings.organization_id,
        policy_statements=settings.policy_statements,
        force_delete=settings.force_delete,
        resource_tags=dict(settings.resource_tags),
    )


def _provider_needs(manifest: Manifest) -> tuple[ProviderNeed, ...]:
    """The fields in use that only some of the supported AWS providers have."""
    places = {"repositories": manifest.repositories.tag_mutability_exclusions}
    for number, image in enumerate(manifest.images):
        places[f"images[{number}].repository_settings"] = image.repository_settings.tag_mutability_exclusions
    return tuple(
        ProviderNeed(f"{place}.tag_mutability_exclusions", EXCLUSIONS_SINCE) for place, set_ in places.items() if set_
    )


def _lock(manifest: Manifest) -> S3Object | None:
    return _s3_object(manifest.lock)


def _s3_object(url: str | None) -> S3Object | None:
    return S3Object(*url.removeprefix("s3://").split("/", 1)) if url else None


def _refresh(manifest: Manifest) -> DesiredRefresh | None:
    if (refresh := manifest.refresh) is None:
        return None
    project = DesiredBuild(
        name=REFRESH,
        project_name=f"{manifest.name}-{REFRESH}",
        source_type="NO_SOURCE",
        source_location="",
        source_version=None,
        buildspec_commands=(),
        images=(),
        compute_type="BUILD_GENERAL1_SMALL",
        environment_type="ARM_CONTAINER",
        environment_image=refresh.tool.image or ENVIRONMENT_IMAGES["ARM_CONTAINER"],
        environment_variables={},
        timeout_minutes=60,
        log_retention_days=90,
        settings=BuildSettings(batch=BatchSpec(timeout_minutes=2160)),  # as in the module `image-refresh`
        refreshes=True,
    )
    return DesiredRefresh(
        project=project,
        schedule=refresh.schedule,
        time_zone=refresh.time_zone,
        bucket=refresh.bucket,
        prefix=refresh.prefix or f"{manifest.name}/refresh",
        tool_image=refresh.tool.image,
        tool_wheel=_s3_object(refresh.tool.wheel),
        wheel_sha256=refresh.tool.sha256,
        notify=refresh.notify,
        silent_for=duration_of(refresh.alarms.silent_for),
        behind=duration_of(refresh.alarms.behind),
        pulls_left=refresh.alarms.pulls_left,
    )


def _needs_lock(manifest: Manifest) -> bool:
    is_asked = not manifest.model_fields_set.isdisjoint(("lock", *ADMISSION))
    return is_asked or any(not image.model_fields_set.isdisjoint(ADMISSION) for image in manifest.images)


def policy_of(manifest: Manifest, image: ImageSpec) -> Policy:
    """What must hold before the lock admits a digest of `image`."""
    verify = manifest.verify if image.verify is None else image.verify
    suspend = image.suspend or manifest.suspend
    return Policy(
        freshness=Freshness(image.freshness or manifest.freshness),
        min_age=duration_of(image.min_age or manifest.min_age),
        verify=Verification(verify.key, verify.attestation) if isinstance(verify, VerifySpec) else None,
        suspend=Hold(suspend.reason, end_of_day(suspend.until)) if suspend else None,
        bypass=Bypass(Digest.parse(image.bypass.digest), image.bypass.reason) if image.bypass else None,
    )


def _image(manifest: Manifest, image: ImageSpec, destination: Destination) -> DesiredImage:
    return DesiredImage(
        source=destination.source,
        repository=destination.repository,
        tag=destination.tag,
        subset=subset_of(manifest, image),
        path=field_of(manifest, destination),
        keeps_signatures=_keeps_signatures(manifest, image),
        policy=policy_of(manifest, image),
    )


def _selection(manifest: Manifest, image: ImageSpec, selection: Selection, *, position: int) -> DesiredSelection:
    return DesiredSelection(
        source=selection.source,
        repository=selection.repository,
        tags=selection.tags,
        naming=selection.naming,
        subset=subset_of(manifest, image),
        path=format_path(selection.path),
        position=position,
        keeps_signatures=_keeps_signatures(manifest, image),
        policy=policy_of(manifest, image),
    )


def _keeps_signatures(manifest: Manifest, image: ImageSpec) -> bool:
    return (image.signatures or manifest.signatures) == "keep"


def field_of(manifest: Manifest, destination: Destination) -> str:
    """The manifest field that asks for the destination, for messages."""
    is_listed = destination.number < len(manifest.images)
    return (
        format_path(destination.path) if is_listed else preset_of(mirrored_images(manifest)[destination.number].source)
    )


def subset_of(manifest: Manifest, image: ImageSpec) -> Subset:
    """The parts of `image` to mirror."""
    names = manifest.platforms if image.platforms is None else image.platforms
    platforms = None if names == "all" else tuple(Platform.parse(name) for name in names)
    return Subset(platforms, keeps_attestations=(image.attestations or manifest.attestations) == "keep")


def mirrored_images(manifest: Manifest) -> dict[int, ImageSpec]:
    """The images to mirror by number: those of `manifest`, then the tools that it asks for."""
    images = dict(enumerate(manifest.images))
    return with_tools(images, len(images), manifest.repositories.prefix, _tools_of(manifest))


def _tools_of(manifest: Manifest) -> tuple[str, ...]:
    return tools_of(build_tools=manifest.build_tools, test_tools=manifest.test_tools)


def _upstreams(images: Mapping[int, ImageSpec], prefix: str) -> tuple[Upstream, ...]:
    hosts = sorted({DOCKER_HUB, *(Reference.parse(image.source).registry for image in images.values())})
    return tuple(Upstream(host, prefixed(prefix, alias_of(host))) for host in hosts)


def _build_images(manifest: Manifest, build: BuildProjectSpec, mirrors: Mirrors) -> Iterator[BuildImage]:
    """The images that the Dockerfiles of `build` name, then the tools that builders and tests also fetch."""
    listed = {upstream_tag(original) for original in build.images}
    tools = [name for name in _tools_of(manifest) if upstream_tag(name) not in listed]
    fetches = build.strategy.serves and (build.has_docker or build.images)
    for original in (*build.images, *tools) if fetches else ():
        reference = Reference.parse(original)
        if mirror := mirrors.find_named(reference):
            yield BuildImage(original, mirror.repository, mirror.tag, reference.digest)


def _docker_hub_secret(manifest: Manifest) -> str | None:
    for host, registry in manifest.registries.items():
        if canonical_host(host) == DOCKER_HUB:
            return registry.credential.secretsmanager
    return None


def _build(
    manifest: Manifest, build: BuildProjectSpec, mirrors: Mirrors, upstreams: tuple[Upstream, ...]
) -> DesiredBuild:
    settings = _build_settings(build, mirrors)
    return DesiredBuild(
        name=build.name,
        project_name=f"{manifest.name}-{build.name}",
        source_type=build.source.type,
        source_location=build.source.location or "",
        source_version=build.source.version,
        buildspec_commands=build.commands,
        images=tuple(_build_images(manifest, build, mirrors)),
        compute_type=build.compute_type,
        environment_type=build.environment_type,
        environment_image=_environment_image(build, settings),
        environment_variables=_variables(build, "value"),
        timeout_minutes=build.timeout_minutes,
        log_retention_days=build.log_retention_days,
        description=build.description,
        strategy=build.strategy,
        on_miss=build.on_miss,
        dockerfiles=build.dockerfiles,
        upstreams=upstreams,
        docker_hub_secret=_docker_hub_secret(manifest) if build.strategy is Strategy.LOGIN else None,
        settings=settings,
        rebuilds=build.rebuild == "on_update",
    )


def _build_image(original: str, mirrors: Mirrors) -> BuildImage | None:
    mirror = mirrors.find(upstream_tag(original))
    return BuildImage(original, mirror.repository, mirror.tag) if mirror else None


def _build_settings(build: BuildProjectSpec, mirrors: Mirrors) -> BuildSettings:
    image = build.environment_image or ""
    return BuildSettings(
        source=build.source,
        buildspec_path=build.buildspec,
        environment_mirror=_build_image(image.removeprefix(MIRROR), mirrors) if image.startswith(MIRROR) else None,
        parameter_variables=_variables(build, "parameter"),
        secret_variables=_variables(build, "secret"),
        is_privileged=_is_privileged(build),
        fleet=build.fleet,
        vpc=build.vpc,
        cache=build.cache,
        queued_timeout_minutes=build.queued_timeout_minutes,
        concurrent_build_limit=build.concurrent_build_limit,
        batch=build.batch,
        webhook=build.webhook,
        has_badge=build.badge,
        artifacts=build.artifacts,
        s3_logs=build.s3_logs,
        log_kms_key=build.log_kms_key,
        kms_key=build.kms_key,
        service_role_arn=build.service_role_arn,
        policy_statements=build.policy_statements,
        permissions_boundary=build.permissions_boundary,
        resource_tags=dict(build.resource_tags),
    )


def _environment_image(build: BuildProjectSpec, settings: BuildSettings) -> str:
    """The environment image; a mirrored one without the registry's host, which only Terraform knows."""
    if mirror := settings.environment_mirror:
        return f"{mirror.repository}:{mirror.tag}"
    return build.environment_image or ENVIRONMENT_IMAGES[build.environment_type]


def _is_privileged(build: BuildProjectSpec) -> bool:
    """Docker in a container needs privileged mode; on an EC2 machine Docker runs without it."""
    return not build.environment_type.endswith("_EC2") if build.privileged is None else build.privileged


def _variables(build: BuildProjectSpec, kind: str) -> dict[str, str]:
    """The environment variables of one kind, in the order of the manifest."""
    texts = {name: getattr(variable, kind) for name, variable in build.environment_variables.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _registry(host: str, registry: RegistrySpec) -> DesiredRegistry:
    credential = registry.credential
    return DesiredRegistry(
        host=host,
        endpoint=registry.endpoint,
        is_insecure=registry.insecure,
        username_env=credential.env.username if credential.env else None,
        password_env=credential.env.password if credential.env else None,
        secret_arn=credential.secretsmanager,
        role_arn=credential.role_arn,
        profile=credential.profile,
        is_docker_config="credential" in registry.model_fields_set and not credential.model_fields_set,
        token_server=registry.token_server,
        alternatives=tuple(map(Alternative.parse, registry.alternatives)),
    )
