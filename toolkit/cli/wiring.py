"""Builds what a command needs from the manifest, its flags and the environment."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from toolkit import __version__
from toolkit.aws.credentials import AwsIdentity, EcrCredentials, EcrPublicSignIn, SecretsManagerCredentials
from toolkit.aws.session import AwsSession
from toolkit.errors import ManifestUnusable, Refused, UsageError
from toolkit.events import Emit, NoticeGiven, RetryScheduled
from toolkit.oci.auth import ChainedCredentials, Credential, CredentialProvider
from toolkit.oci.client import RegistryClient
from toolkit.oci.credential_variables import LIST, PREFIX, hosts_of, may_hold_credential
from toolkit.oci.docker_config import DockerConfigCredentials, home_folder, podman_files
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.endpoints import Endpoints, is_loopback
from toolkit.oci.errors import CredentialUnusable, OciError
from toolkit.oci.reference import ECR_PUBLIC, ecr_region
from toolkit.oci.transport import ATTEMPTS, Transport

if TYPE_CHECKING:
    from toolkit.aws.inspection import Statement
    from toolkit.aws.object_folder import ObjectFolder
    from toolkit.aws.text_object import TextObject
    from toolkit.cli.boundary import Run
    from toolkit.oci.alternatives import AlternativeSources
    from toolkit.operations.bundle import BundleStore
    from toolkit.operations.doctor import Tools
    from toolkit.operations.lock_store import LockStore
    from toolkit.operations.plan import Planned
    from toolkit.operations.services import RefreshServices, Services
    from toolkit.plan.desired import Desired, DesiredRegistry
    from toolkit.terraform.runner import TerraformRunner

_ENDPOINTS_VARIABLE = "TOOLKIT_REGISTRY_ENDPOINTS"
_EXTRA_FILES_VARIABLE = "TOOLKIT_ALLOW_EXTRA_FILES"


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags that shape services rather than the run."""

    work_dir: Path | None = None
    cache_dir: Path | None = None
    terraform_bin: str = "terraform"
    jobs: int = 32
    limit_rate: int | None = None
    lock_seconds: int = 120
    provider_lock: Path | None = None
    manifest: Path = Path("images.yaml")
    in_order: bool = False


@contextmanager
def open_services(emit: Emit, desired: Desired, settings: Settings, *, locks: bool = True) -> Iterator[Services]:
    """Everything a use case needs. Holds the working directory's lock; without `locks`, no Terraform is run."""
    if locks:
        _refuse_extra_files(desired)
    from toolkit.aws.contents import ContentService
    from toolkit.aws.ecr import EcrService
    from toolkit.aws.existing import ExistingService
    from toolkit.aws.losses import LossService
    from toolkit.oci.pull_limits import PullLimits
    from toolkit.operations.services import Services
    from toolkit.seed.observe import Observer
    from toolkit.seed.seeder import Seeder
    from toolkit.seed.signatures import SignatureCheck
    from toolkit.terraform.work_dir import WorkDir

    session = AwsSession(desired.region)
    cache = open_cache(emit, settings.cache_dir)
    client = open_client(emit, session, desired.registries, jobs=settings.jobs)
    upstream = open_sources(emit, client, desired.registries)
    ecr = EcrService(session)
    work_path = settings.work_dir or Path(".toolkit") / desired.name / desired.region
    services = Services(
        emit=emit,
        account_id=session.account_id,
        ecr=ecr,
        ecr_in=functools.cache(lambda region: EcrService(AwsSession(region))),
        existing=ExistingService(session),
        losses=LossService(session),
        losses_in=functools.cache(lambda region: LossService(AwsSession(region))),
        contents=ContentService(session),
        terraform=open_terraform(emit, desired, settings),
        observer=Observer(upstream, ecr, emit, cache=cache, find=upstream.find),
        seeder=Seeder(
            upstream,
            client,
            emit,
            jobs=settings.jobs,
            cache=cache,
            puts_per_second=ecr_puts_per_second(desired.put_image_per_second),
            bytes_per_second=settings.limit_rate,
            in_order=settings.in_order,
        ),
        work_path=work_path,
        lock=open_lock(desired, settings.manifest, session),
        verifier=SignatureCheck(PullLimits(client), cache),  # alternatives rarely have signatures
        refresh=_open_refresh(desired, session),
        credential_uses=client.credential_uses,
    )
    if not locks:
        yield services
        return
    with WorkDir(work_path).locked():
        yield services


def open_lock(desired: Desired, manifest: Path, session: AwsSession) -> LockStore:
    """The lock that the manifest names, or the file beside it."""
    from toolkit.operations.lock_store import LockFile, lock_file_of

    if desired.lock is None:
        return LockFile(lock_file_of(manifest))
    from toolkit.aws.text_object import TextObject

    return TextObject(session, desired.lock.bucket, desired.lock.key, "application/yaml")


def _open_refresh(desired: Desired, session: AwsSession) -> RefreshServices | None:
    """What the refreshes of the manifest share, if it has any."""
    if desired.refresh is None:
        return None
    from toolkit.aws.build_batches import BuildBatches
    from toolkit.aws.event_bus import EventBus
    from toolkit.aws.text_object import TextObject
    from toolkit.operations import bundle, lease
    from toolkit.operations.services import RefreshServices

    bucket, prefix = desired.refresh.bucket, desired.refresh.prefix

    def text(name: str, content_type: str = "application/json") -> TextObject:
        return TextObject(session, bucket, f"{prefix}/{name}", content_type, changed=lease.taken_meanwhile)

    return RefreshServices(
        f"s3://{bucket}/{prefix}",
        text(bundle.NAME),
        text(lease.NAME),
        EventBus(session, time.sleep),
        text,
        BuildBatches(session, desired.refresh.project.project_name),
    )


def open_bundle(bucket: str, prefix: str) -> BundleStore:
    """The manifest that was applied last, by the place of a refresh; S3 finds the bucket from any region."""
    from toolkit.aws.inspection import default_region
    from toolkit.aws.text_object import TextObject
    from toolkit.operations import bundle

    session = AwsSession(default_region() or "us-east-1")
    return TextObject(session, bucket, f"{prefix}/{bundle.NAME}", "application/json")


def open_folder(bucket: str, prefix: str) -> ObjectFolder:
    """A folder in S3, whose bucket is found from any region."""
    from toolkit.aws.inspection import default_region
    from toolkit.aws.object_folder import ObjectFolder

    return ObjectFolder(AwsSession(default_region() or "us-east-1"), bucket, prefix)


@contextmanager
def open_planning(
    run: Run, file: Path, settings: Settings, out: Path | None
) -> Iterator[tuple[Desired, Services, Callable[[Planned], None]]]:
    """What a plan of the manifest `file` needs, and a function for the finished plan.

    The function shows the plan, raises when the plan must not be applied, and saves it in `out` if that is given.
    """
    from toolkit.cli.saved_plan import prepare, save_plan
    from toolkit.manifest.loader import read
    from toolkit.operations.guards import refuse_if_unsafe
    from toolkit.operations.load import desired_of

    text = read(file)
    desired = desired_of(text, file)
    with open_services(run.emit, desired, settings) as services:
        origin = prepare(out, file, text, (services.work_path, settings.cache_dir)) if out else None

        def finish(planned: Planned) -> None:
            run.show_plan(planned.plan)
            refuse_if_unsafe(planned.plan)
            if out and origin:
                save_plan(run.emit, out, planned, desired, origin)

        yield desired, services, finish


def open_tools(emit: Emit, desired: Desired | None, settings: Settings) -> Tools:
    """What `doctor` asks. Raises ManifestUnusable where the manifest names variables that are not for registries."""
    from urllib.request import getproxies_environment

    from toolkit.aws.ecr import EcrService
    from toolkit.aws.existing import ExistingService
    from toolkit.aws.inspection import Inspection, default_region, public_cas
    from toolkit.aws.session import partition_of
    from toolkit.oci.connections import proxy_for
    from toolkit.operations.doctor import CACHE_BYTES, TEMP_BYTES, WORK_BYTES, AwsTools, Tools
    from toolkit.terraform import iam_policy

    region = desired.region if desired else default_region()
    session = AwsSession(region or "us-east-1")
    registries = desired.registries if desired else {}
    named = Path(".toolkit") / desired.name / desired.region if desired else Path(".toolkit")
    folders = {
        "work_dir": (settings.work_dir or named, WORK_BYTES),
        "cache_dir": (settings.cache_dir or cache_folder(), CACHE_BYTES),
        "temp_dir": (Path(os.environ.get("TMPDIR") or "/tmp"), TEMP_BYTES),  # noqa: S108  as Terraform does
    }
    lock = settings.provider_lock

    def needed(desired: Desired, account: str) -> Mapping[str, Sequence[Statement]]:
        place = iam_policy.Place(account, desired.region, *partition_of(desired.region))
        return {"plan": iam_policy.plan_policy(desired, place), "apply": iam_policy.apply_policy(desired, place)}

    return Tools(
        aws=AwsTools(region, Inspection(session), EcrService(session), ExistingService(session)) if region else None,
        registries=open_client(emit, session, registries, jobs=1, attempts=2),
        public=open_client(emit, session, registries, jobs=1, attempts=1, ca_file=public_cas()),
        terraform=open_terraform(emit, desired, settings),
        folders={name: (path, wanted) for name, (path, wanted) in folders.items() if path},
        proxy_for=lambda url: proxy_for(urlsplit(url), getproxies_environment()),
        statements=needed,
        is_locked=lock is not None and lock.exists(),
        is_pipeline=is_pipeline(),
    )


def open_terraform(emit: Emit, desired: Desired | None, settings: Settings) -> TerraformRunner:
    """Terraform with the provider and the workspace of this run."""
    from toolkit.terraform.provider_lock import ProviderLock
    from toolkit.terraform.provider_mirror import find
    from toolkit.terraform.runner import TerraformRunner

    lock_file = settings.provider_lock
    return TerraformRunner(
        settings.terraform_bin,
        emit,
        find_mirror=lambda: find(os.environ, home_folder()),
        lock_seconds=settings.lock_seconds,
        workspace=desired.workspace if desired else "default",
        provider_lock=ProviderLock(lock_file, is_made=not is_pipeline()) if lock_file else None,
    )


def is_pipeline() -> bool:
    """CodeBuild does not set `CI`."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false") or "CODEBUILD_BUILD_ID" in os.environ


def _refuse_extra_files(desired: Desired) -> None:
    """Terraform runs them while it plans, with the pipeline's secrets, and they come with the pull request."""
    if desired.extra_files and is_pipeline() and os.environ.get(_EXTRA_FILES_VARIABLE) != "1":
        raise Refused(
            "terraform.extra_files_not_allowed",
            "`terraform.extra_files` are code that Terraform runs while it plans, and a pull request can change them",
            hint=f"set `{_EXTRA_FILES_VARIABLE}=1` in the environment where only trusted people's changes are planned",
        )


def ecr_puts_per_second(rate: float = 8) -> Callable[[str], float | None]:
    """The rate limit for image manifests by registry: `rate` for ECR, which has a quota, and none for others."""
    return lambda registry: rate if ecr_region(registry) else None


def cache_folder() -> Path | None:
    """Where the registry documents of earlier runs are kept by default; None without a home."""
    home = home_folder()
    caches = Path(given) if (given := os.environ.get("XDG_CACHE_HOME")) else home / ".cache" if home else None
    return caches / "base-image-toolkit" if caches else None


def open_cache(emit: Emit, folder: Path | None) -> DocumentCache:
    """The registry documents of earlier runs; only of this run if the folder cannot be written."""

    def unusable(directory: Path, error: OSError) -> None:
        message = f"registry documents cannot be kept in `{directory}`: {error.strerror or error}"
        hint = (
            "name a folder that can be written with --cache-dir; otherwise the next run reads and pays for them again"
        )
        emit(NoticeGiven("cache.unusable", message, hint))

    return DocumentCache(folder or cache_folder(), on_unusable=unusable)


def open_client(
    emit: Emit,
    session: AwsSession,
    registries: Mapping[str, DesiredRegistry],
    *,
    jobs: int,
    attempts: int = ATTEMPTS,
    ca_file: str | None = None,
) -> RegistryClient:
    """A registry client with every credential that this run may use, each for its own registry.

    It sends a request up to `attempts` times. With a `ca_file` it trusts no other CAs than those in it.
    """

    def retried(host: str, reason: str, attempt: int, seconds: float) -> None:
        emit(RetryScheduled(host, reason, attempt, round(seconds, 3)))

    def not_signed_in(fault: CredentialUnusable) -> None:
        message = f"images of `{ECR_PUBLIC}` are read anonymously, one a second: {fault.message}"
        emit(NoticeGiven("registry.anonymous", message, fault.hint))

    identities = {
        host: AwsIdentity(registry.role_arn, registry.profile)
        for host, registry in registries.items()
        if registry.role_arn or registry.profile
    }
    secrets = {host: registry.secret_arn for host, registry in registries.items() if registry.secret_arn}
    endpoints = _endpoints(registries)
    elsewhere = [host for host in registries if endpoints.base_url(host) != endpoints.trusted_url(host)]
    served_at = {host: urlsplit(endpoints.base_url(host)).netloc for host in elsewhere}
    providers: list[CredentialProvider] = [
        EnvironmentCredentials(registries, os.environ),
        SecretsManagerCredentials(session, secrets),
        EcrCredentials(session, identities),
        DockerConfigCredentials(served_at=served_at),
        *(DockerConfigCredentials(file, name="auth.json", served_at=served_at) for file in podman_files()),
    ]
    public = registries.get(ECR_PUBLIC)
    if _is_aws_or_local(endpoints.base_url(ECR_PUBLIC)) and not (public and public.is_docker_config):
        providers.append(EcrPublicSignIn(session, not_signed_in))
    return RegistryClient(
        credentials=ChainedCredentials(*providers),
        endpoints=endpoints,
        transport=Transport(
            pool_size=max(jobs, 32) + 4,  # observing both sides uses 32 threads of its own
            attempts=attempts,
            ca_file=ca_file,
            on_retry=retried,
            user_agent=f"base-image-toolkit/{__version__}",
        ),
    )


def open_sources(emit: Emit, client: RegistryClient, registries: Mapping[str, DesiredRegistry]) -> AlternativeSources:
    """Where images are read: the alternatives first; an upstream without pulls left is not asked again."""
    from toolkit.oci.alternatives import AlternativeSources
    from toolkit.oci.pull_limits import PullLimits

    def given_up(subject: str, error: OciError) -> None:
        message = f"this run asks the upstream instead of `{subject}` from now on: {error.message}"
        emit(NoticeGiven("source.alternative_unusable", message, error.hint))

    alternatives = {host: registry.alternatives for host, registry in registries.items()}
    return AlternativeSources(PullLimits(client), alternatives, given_up)


def _endpoints(registries: Mapping[str, DesiredRegistry]) -> Endpoints:
    """The environment's rules before the manifest's: a sandbox or a mirror can be put under any manifest."""
    try:
        rules = Endpoints.parse(os.environ.get(_ENDPOINTS_VARIABLE, "")).rules
    except OciError as error:
        raise UsageError("usage.endpoints", f"`{_ENDPOINTS_VARIABLE}`: {error.message}", hint=error.hint) from error
    return Endpoints(
        rules,
        tuple((host, r.endpoint) for host, r in registries.items() if r.endpoint),
        tuple((host, r.token_server) for host, r in registries.items() if r.token_server),
    )


def _is_aws_or_local(url: str) -> bool:
    """Whether ECR Public is served by AWS or a stand-in on this machine. A mirror of it has passwords of its own."""
    host = urlsplit(url).hostname or ""
    return host == ECR_PUBLIC or is_loopback(host)


class EnvironmentCredentials:
    """The credentials that a manifest takes from environment variables.

    Raises ManifestUnusable if it names a variable that the environment does not allow for registries.
    """

    def __init__(self, registries: Mapping[str, DesiredRegistry], environment: Mapping[str, str]) -> None:
        self._registries = registries
        self._environment = environment
        for host, registry in registries.items():
            for field, name in (("username", registry.username_env), ("password", registry.password_env)):
                if name is not None and not may_hold_credential(name, environment):
                    raise ManifestUnusable(
                        "manifest.credential_variable",
                        f"`registries.{host}.credential.env.{field}` names a variable that is not for registries",
                        hint=f"call it `{PREFIX}…`, or let the environment list it in `{LIST}`",
                    )

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """The registry's credential; None where the manifest names no variables. Raises CredentialUnusable."""
        asked = self._registries.get(registry)
        if asked is None or asked.username_env is None or asked.password_env is None:
            return None
        missing = [name for name in (asked.username_env, asked.password_env) if not self._environment.get(name)]
        if missing:
            raise CredentialUnusable(
                f"the manifest takes the credential of `{registry}` from `{'` and `'.join(missing)}`, which is not set",
                hint="set it in the pipeline's secrets, or remove the credential to pull anonymously",
                code="registry.credential_missing",
            )
        named = [hosts_of(name, self._environment) for name in (asked.username_env, asked.password_env)]
        hosts = {registry, urlsplit(asked.endpoint or "").netloc}
        for bound in filter(None, named):
            hosts &= bound
        return Credential(
            self._environment[asked.username_env],
            self._environment[asked.password_env],
            origin=f"variables `{asked.username_env}` and `{asked.password_env}`",
            hosts=frozenset(hosts or {""}),  # without any it would be for `registry`
        )
