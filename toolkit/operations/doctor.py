"""Doctor: whether `plan` and `apply` can work here, before the first plan.

`examine` has the list of checks, from this machine to the services far away. They do not depend on one another, except
that some are skipped without credentials. What waits for the network runs side by side. Nothing is changed: an upload
to ECR is opened and cancelled, and the AWS provider is installed into a temporary folder.

A check asks; a function whose name begins with `judge` makes findings of the answers, and is pure.
"""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import re
import resource
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlsplit

from toolkit import __version__
from toolkit.aws.inspection import Bucket, Identity, Inspection, Quota, Statement, proxy_of
from toolkit.errors import AccessDenied, ManifestUnusable, Refused, ToolkitError, some
from toolkit.events import Emit
from toolkit.manifest.grammar import PROVIDER_VERSIONS
from toolkit.oci.client import Ping, PullLimit, RegistryClient
from toolkit.oci.digest import Digest
from toolkit.oci.endpoints import is_loopback, own_url
from toolkit.oci.errors import OciError
from toolkit.oci.reference import DOCKER_HUB, ECR_PUBLIC, Reference, Repository
from toolkit.operations.services import Ecr, Existing, step
from toolkit.report import CheckState as State
from toolkit.report import Finding
from toolkit.seed.companions import fault_of
from toolkit.seed.worker_pool import asking
from toolkit.terraform.explain import StateLock
from toolkit.terraform.runner import TerraformRunner

if TYPE_CHECKING:
    from toolkit.plan.desired import Desired, DesiredBuild, ProviderNeed, S3Backend

T = TypeVar("T")
Fault: TypeAlias = "ToolkitError | OciError | Skipped"
Pings: TypeAlias = "Mapping[str, Future[tuple[Ping, datetime] | Fault]]"
"""By registry, its response and this machine's time then."""

_DISTRIBUTION = "base-image-toolkit"
_FLOOR = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?\s*[>=]=\s*(?P<floor>[\d.]+)")
_THREADS = 16
_MEGABYTE = 1_000_000
# The AWS provider, unpacked, has 675 MB in version 5.100; its archive, which Terraform fetches first, 150 MB.
WORK_BYTES = 1_000 * _MEGABYTE
TEMP_BYTES = 200 * _MEGABYTE
CACHE_BYTES = 50 * _MEGABYTE
# Below it nothing works: a state, a log and a few documents.
_LEAST_BYTES = 10 * _MEGABYTE
# Three connections to one host for each of 36 threads, and the files of Python and of Terraform's output.
_OPEN_FILES = 256
# AWS refuses a signature whose time is five minutes off.
_MOST_SKEW = 300
_ODD_SKEW = 60
_SOON_SECONDS = 1800
_METADATA = "http://169.254.169.254"
_BUNDLES = {"SSL_CERT_FILE": "registries and Terraform", "AWS_CA_BUNDLE": "AWS", "REQUESTS_CA_BUNDLE": "AWS"}
# Registries whose certificates come from a public CA.
_PUBLIC = frozenset({DOCKER_HUB, ECR_PUBLIC, "ghcr.io", "quay.io", "registry.k8s.io", "mcr.microsoft.com", "gcr.io"})
# The image by which Docker's documentation reads the limit.
_LIMIT_PREVIEW = Reference.parse("docker.io/ratelimitpreview/test:latest")
_UPLOAD = "ecr:InitiateLayerUpload"
_MACHINES = {"LINUX_CONTAINER": "linux/", "ARM_CONTAINER": "arm/", "LINUX_GPU_CONTAINER": "linux gpu "}
"""How Service Quotas begins the names of CodeBuild's machines; their size follows."""


class Skipped(Exception):
    """A check cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a run writes to: what stands against that ("" for nothing), and how many bytes are free."""

    path: Path
    fault: str = ""
    free: int = 0


@dataclass(frozen=True, slots=True)
class AwsTools:
    """AWS in one region."""

    region: str
    inspection: Inspection
    ecr: Ecr
    existing: Existing


@dataclass(frozen=True, slots=True)
class Tools:
    """What the checks ask. `aws` is None without a region.

    `public` trusts public CAs alone. `statements` are the rights that `plan` and `apply` need in an account, by
    command. `folders` are those that a run writes to, with the bytes that it may need there. `is_locked`: a lock file
    stands beside the manifest. `now` is this machine's time.
    """

    aws: AwsTools | None
    registries: RegistryClient
    public: RegistryClient
    terraform: TerraformRunner
    folders: Mapping[str, tuple[Path, int]]
    proxy_for: Callable[[str], str]
    statements: Callable[[Desired, str], Mapping[str, Sequence[Statement]]]
    is_locked: bool = True
    is_pipeline: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


Check = Callable[[], Iterable[Finding]]


def examine(desired: Desired | None, manifest: Finding, tools: Tools, emit: Emit) -> tuple[Finding, ...]:
    """Every finding. `manifest` is the one about the manifest, and `desired` None where that cannot be used."""
    images = _probes(desired)
    with step(emit, "examine"), asking(_THREADS) as pool:
        account = _Account(tools.aws, pool.ask(partial(_attempt, partial(_identity, tools))))
        pings = {host: pool.ask(partial(_attempt, partial(_ping, tools, host))) for host in images}
        far: dict[str, Check] = {
            "terraform.program": partial(check_terraform, desired, tools, emit),
            "clock": partial(check_clock, tools, pings),
            "tls": partial(check_tls, tools, pings),
            "aws.credentials": partial(check_credentials, account, tools),
            "aws.account": partial(check_account, desired, account),
            "aws.region": partial(check_region, account),
            "aws.rights": partial(check_rights, desired, tools, account),
            "state.bucket": partial(check_state, desired, tools, account),
            "ecr.registry": partial(check_ecr, desired, tools, account),
        }
        for host, image in images.items():
            far[f"registry {host}"] = partial(check_registry, image, desired, pings, tools)
        far["quota.repositories"] = partial(check_ecr_quotas, desired, account)
        far["quota.builds"] = partial(check_build_quotas, desired, account)
        asked = [pool.ask(partial(_findings, name, check)) for name, check in far.items()]
        near = [finding for name, check in _near(desired, tools).items() for finding in _findings(name, check)]
        return (*near[:1], manifest, *near[1:], *(finding for answer in asked for finding in answer.result()))


def _near(desired: Desired | None, tools: Tools) -> Mapping[str, Check]:
    """The checks of this machine."""
    return {
        "toolkit": check_toolkit,
        "machine.open_files": check_open_files,
        "machine.work_dir": partial(check_folders, tools.folders),
        "machine.proxy": partial(check_proxy, desired, tools),
        "machine.ca": partial(check_ca, tools.environment),
    }


def _probes(desired: Desired | None) -> Mapping[str, Reference]:
    """An image of each upstream, by which its registry is tried."""
    if desired is None:
        return {DOCKER_HUB: _LIMIT_PREVIEW}
    found = [selection.source.with_tag("latest") for selection in desired.selections]
    found += [image.source for image in reversed(desired.images)]
    return dict(sorted({image.registry: image for image in found}.items()))


def _attempt(question: Callable[[], T]) -> T | Fault:
    try:
        return question()
    except (ToolkitError, OciError, Skipped) as error:
        return error


def _findings(check: str, body: Check) -> tuple[Finding, ...]:
    """What `body` finds; an error that it meets is a finding too."""
    name, _, subject = check.partition(" ")
    try:
        return tuple(body())
    except Skipped as skipped:
        return (Finding(name, State.SKIPPED, str(skipped), subject=subject),)
    except ToolkitError as error:
        return (failure(name, error, subject),)
    except OciError as error:
        return (judge_fault(name, error, subject),)


def failure(check: str, error: ToolkitError, subject: str = "") -> Finding:
    """A check that failed with `error`."""
    is_denied = isinstance(error, AccessDenied)
    return Finding(check, State.FAILED, error.message, error.hint, subject, error.code, is_denied)


def judge_fault(check: str, error: OciError, subject: str = "") -> Finding:
    """A registry that does not give what was asked for; one that limits requests works, but not now."""
    fault = fault_of(error)
    state = State.WARNING if fault.kind == "limited" else State.FAILED
    cure = "check the network, `HTTPS_PROXY` and `NO_PROXY`" if fault.kind == "unreachable" else fault.hint
    return Finding(check, state, fault.message, cure, subject, f"source.{fault.kind}", fault.is_denied)


def refuse_failed(findings: Sequence[Finding]) -> None:
    """Raise if a check failed: AccessDenied if credentials or rights are the cause of all failures, else Refused."""
    failed = [finding for finding in findings if finding.state is State.FAILED]
    if not failed:
        return
    names = ", ".join(f"`{finding.name}`" for finding in failed)
    count = "1 check" if len(failed) == 1 else f"{len(failed)} checks"
    if all(finding.is_denied for finding in failed):
        raise AccessDenied("doctor.failed", f"{count} failed: {names}", hint=failed[0].cure)
    raise Refused("doctor.failed", f"{count} failed: {names}", hint=failed[0].cure)


def judge_manifest(file: Path | None, desired: Desired | None, fault: ManifestUnusable | None) -> Finding:
    """The manifest: there is none, it cannot be used because of `fault`, or it asks for `desired`."""
    if fault is not None:
        first = f": {fault.issues[0]}" if fault.issues else ""
        cure = f"`toolkit validate --file {file}`" if fault.issues else fault.hint
        return Finding("manifest", State.FAILED, f"{fault.message}{first}", cure, code=fault.code)
    if desired is None:
        return Finding("manifest", State.SKIPPED, "there is no `images.yaml` here; what needs none is checked")
    counts = f"repositories {len(desired.repositories)}, images {len(desired.images)}, builds {len(desired.builds)}"
    return Finding("manifest", State.OK, f"`{file}` is valid: {counts}")


# This machine


def check_toolkit() -> Iterator[Finding]:
    """The versions of the toolkit, of Python and of what it depends on."""
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # it runs from its sources
        requirements = []
    yield judge_dependencies(requirements, installed_version)


def installed_version(name: str) -> str:
    """The version of an installed package, "" for a missing one."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def judge_dependencies(requirements: Iterable[str], version_of: Callable[[str], str]) -> Finding:
    """Whether every package that is required without a condition has at least the version that it must have."""
    faults = []
    for requirement in requirements:
        floor = _FLOOR.match(requirement)
        if floor and ";" not in requirement:
            version = version_of(floor["name"])
            if _numbers(version) < _numbers(floor["floor"]):
                faults.append(f"`{floor['name']}` is {version or 'missing'}, and {floor['floor']} is needed")
    about = f"toolkit {__version__} on Python {platform.python_version()}"
    if faults:
        return Finding("toolkit", State.FAILED, f"{about}: {'; '.join(faults)}", f"`pip install {_DISTRIBUTION}` again")
    return Finding("toolkit", State.OK, f"{about}, with the packages that it needs")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:4])


def check_open_files() -> Iterator[Finding]:
    """How many files and connections a process may have open."""
    yield judge_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def judge_open_files(limit: int) -> Finding:
    """Whether so many files suffice for the usual `--jobs`."""
    if 0 <= limit < _OPEN_FILES:
        reason = f"a process may open {limit} files, and copies with the usual `--jobs` need up to {_OPEN_FILES}"
        return Finding("machine.open_files", State.WARNING, reason, f"`ulimit -n {4 * _OPEN_FILES}`, or fewer `--jobs`")
    shown = "any number of" if limit < 0 else f"{limit:,}"
    return Finding("machine.open_files", State.OK, f"a process may open {shown} files")


def look_at(path: Path) -> Folder:
    """What stands against writing to `path`, which need not exist, without writing there."""
    place = path.absolute()
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            return Folder(path, f"`{place}` is no folder")
        if not os.access(place, os.W_OK | os.X_OK):
            return Folder(path, f"`{place}` cannot be written")
        about = os.statvfs(place)
    except OSError as error:
        return Folder(path, f"`{place}`: {error.strerror}")
    if about.f_files and not about.f_favail:
        return Folder(path, f"the file system of `{place}` has room for no more files")
    return Folder(path, free=about.f_bavail * about.f_frsize)


def check_folders(folders: Mapping[str, tuple[Path, int]]) -> Iterator[Finding]:
    """The working directory, the cache and the temporary folder."""
    for name, (path, wanted) in folders.items():
        yield judge_folder(name, wanted, look_at(path))


def judge_folder(name: str, wanted: int, folder: Folder) -> Finding:
    """Whether a run can write to its folder `name`, where it may need `wanted` bytes."""
    check = f"machine.{name}"
    option = {"work_dir": "--work-dir", "cache_dir": "--cache-dir", "temp_dir": "TMPDIR"}[name]
    cure = f"make room there, or name another folder by `{option}`"
    if folder.fault:
        return Finding(check, State.FAILED, f"`{folder.path}` is not usable: {folder.fault}", cure)
    left = f"`{folder.path}` has {folder.free / 1e9:,.1f} GB left"
    if folder.free < _LEAST_BYTES:
        return Finding(check, State.FAILED, left, cure)
    if folder.free < wanted:
        return Finding(check, State.WARNING, f"{left}, and a run may need {wanted / 1e9:,.1f} GB", cure)
    return Finding(check, State.OK, left)


def check_proxy(desired: Desired | None, tools: Tools) -> Iterator[Finding]:
    """The proxies of the environment. Our registry client and AWS's read the variables in their own ways."""
    registries = [tools.registries.url_of(host) for host in _probes(desired)]
    proxies = {url: tools.proxy_for(url) for url in registries}
    endpoint = _attempt(tools.aws.inspection.endpoint) if tools.aws else None
    for url in filter(None, (endpoint if isinstance(endpoint, str) else "", _METADATA)):
        proxies[url] = proxy_of(url)
    names = ("http_proxy", "https_proxy", "no_proxy")
    both = [(tools.environment.get(name, ""), tools.environment.get(name.upper(), "")) for name in names]
    unequal = [name for name, (lower, upper) in zip(names, both, strict=True) if lower and upper and lower != upper]
    yield judge_proxy(proxies, unequal)


def judge_proxy(proxies: Mapping[str, str], unequal: Sequence[str]) -> Finding:
    """By address, the proxy through which it is reached; `unequal` variables differ in lower and upper case."""
    through: dict[str, list[str]] = {}
    needless = []
    for url, proxy in proxies.items():
        address = urlsplit(url).netloc
        if proxy and (url == _METADATA or is_loopback(urlsplit(url).hostname or "")):
            needless.append(address)
        elif url != _METADATA:
            through.setdefault(urlsplit(proxy).netloc.rpartition("@")[2], []).append(f"`{address}`")
    parts = [f"{', '.join(hosts)} {f'through `{proxy}`' if proxy else 'directly'}" for proxy, hosts in through.items()]
    if needless:
        shown = "`, `".join(needless)
        reason = f"{'; '.join(parts)}; the proxy is asked for `{shown}` too, which only this machine reaches"
        return Finding("machine.proxy", State.WARNING, reason, f"add `{','.join(needless)}` to `NO_PROXY`")
    if unequal:
        shown = "`, `".join(unequal)
        reason = f"{'; '.join(parts)}; `{shown}` differs in upper case, which Terraform prefers, and AWS's client not"
        return Finding("machine.proxy", State.WARNING, reason, "give both spellings the same value")
    return Finding("machine.proxy", State.OK, "; ".join(parts) if set(through) - {""} else "no proxy is in use")


def check_ca(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The files of CAs that the environment names."""
    named = {whose: name for name, whose in reversed(_BUNDLES.items()) if environment.get(name)}
    named = {name: environment[name] for name in sorted(named.values(), reverse=True)}
    yield judge_ca({name: (path, _fault_of_bundle(path)) for name, path in named.items()})


def _fault_of_bundle(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        return "it has no certificate in PEM form"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def judge_ca(bundles: Mapping[str, tuple[str, str]]) -> Finding:
    """By variable, a file of CAs and what is wrong with it."""
    faults = [f"`{name}` names `{path}`: {fault}" for name, (path, fault) in bundles.items() if fault]
    if faults:
        cure = "correct the variable; the file holds the CAs in PEM form, the public ones too"
        return Finding("machine.ca", State.FAILED, "; ".join(faults), cure)
    parts = [f"{_BUNDLES[name]}: `{path}`" for name, (path, _) in bundles.items()]
    return Finding("machine.ca", State.OK, "; ".join(parts) or "the system's CAs are trusted")


# Terraform


def check_terraform(desired: Desired | None, tools: Tools, emit: Emit) -> Iterator[Finding]:
    """The program, whether its version is one that does wrong, and the provider that it installs."""
    path, version = tools.terraform.path(), tools.terraform.version()
    yield Finding("terraform.program", State.OK, f"{tools.terraform.product} {version}, `{path}`")
    yield from _findings("terraform.provider", partial(check_provider, desired, tools, emit))


def check_provider(desired: Desired | None, tools: Tools, emit: Emit) -> Iterator[Finding]:
    """The AWS provider, as `init` gets it here."""
    versions, backend = (desired.provider_versions, desired.backend) if desired else (PROVIDER_VERSIONS, None)
    with step(emit, "terraform init"):
        version, mirror = tools.terraform.try_provider(versions, backend)
    yield judge_provider(
        version,
        f"the mirror `{mirror}`" if mirror else "where Terraform itself takes it",
        desired.provider_needs if desired else (),
        is_lost=bool(desired) and tools.is_pipeline and not tools.is_locked,
    )


def judge_provider(version: str, origin: str, needs: Sequence[ProviderNeed], *, is_lost: bool) -> Finding:
    """Whether `version` of the provider has what the manifest `needs`; `is_lost`: the next run may take another."""
    found = f"AWS provider {version}, from {origin}"
    for need in needs:
        if _numbers(version)[:2] < need.version:
            wanted = ".".join(map(str, need.version))
            reason = f"{found}; `{need.path}` needs {wanted}"
            cure = f"lock {wanted} or newer with `toolkit lock-provider`, or leave the field out"
            return Finding("terraform.provider", State.FAILED, reason, cure, code="terraform.provider_too_old")
    if is_lost:
        cure = "run `toolkit lock-provider` and commit the file"
        reason = f"{found}; no lock file fixes it, so the next run may take another one"
        return Finding("terraform.provider", State.WARNING, reason, cure)
    return Finding("terraform.provider", State.OK, found)


# Hosts


def _ping(tools: Tools, host: str) -> tuple[Ping, datetime]:
    return tools.registries.ping(host), tools.now()


def _pong(pings: Pings) -> Mapping[str, tuple[Ping, datetime]]:
    answers = {host: answer.result() for host, answer in pings.items()}
    return {host: answer for host, answer in answers.items() if isinstance(answer, tuple)}


def check_clock(tools: Tools, pings: Pings) -> Iterator[Finding]:
    """This machine's clock against AWS's and against those of the registries."""
    times = {ping.host: (ping.date, now) for ping, now in _pong(pings).values() if ping.date}
    if tools.aws:
        found = _attempt(tools.aws.inspection.time)
        if isinstance(found, datetime):
            times["AWS"] = (found, tools.now())
    if not times:
        raise Skipped("no service told its time")
    yield judge_clock({name: (here - there).total_seconds() for name, (there, here) in times.items()})


def judge_clock(skews: Mapping[str, float]) -> Finding:
    """By service, how many seconds this machine's clock is ahead; AWS's word counts before that of others."""
    name = "AWS" if "AWS" in skews else max(skews, key=lambda name: abs(skews[name]))
    skew = skews[name]
    which = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {'AWS' if name == 'AWS' else f'`{name}`'}"
    cure = "set this machine's clock, by NTP for example"
    if abs(skew) >= _MOST_SKEW:
        reason = f"this machine's clock is {which}; AWS refuses signatures that are 5 minutes off"
        return Finding("clock", State.FAILED, reason, cure)
    if abs(skew) >= _ODD_SKEW:
        return Finding("clock", State.WARNING, f"this machine's clock is {which}", cure)
    shown = "`, `".join(sorted(skews))
    return Finding("clock", State.OK, f"this machine's clock agrees with `{shown}`")


def check_tls(tools: Tools, pings: Pings) -> Iterator[Finding]:
    """Whether somebody between here and a public registry decrypts what is sent."""
    at_home = {
        host: ping
        for host, (ping, _) in _pong(pings).items()
        if host in _PUBLIC and tools.registries.url_of(host) == own_url(host)
    }
    if not at_home:
        raise Skipped("no public registry responds at its own address")
    host, ping = next(iter(at_home.items()))
    answer = _attempt(partial(tools.public.ping, host))
    is_opened = isinstance(answer, OciError) and answer.code == "oci.certificate_untrusted"
    if not is_opened and not isinstance(answer, Ping):
        raise answer
    has_bundle = bool(tools.environment.get("AWS_CA_BUNDLE") or tools.environment.get("REQUESTS_CA_BUNDLE"))
    yield judge_tls(ping, is_opened=is_opened, has_bundle=has_bundle)


def judge_tls(ping: Ping, *, is_opened: bool, has_bundle: bool) -> Finding:
    """`is_opened`: no public CA signed the certificate. `has_bundle`: AWS's client has been told of other CAs."""
    if not is_opened:
        reason = f"nobody decrypts on the way: `{ping.host}` has a certificate of `{ping.issuer}`"
        return Finding("tls", State.OK, reason)
    reason = f"a proxy decrypts what is sent: `{ping.host}` has a certificate of `{ping.issuer}`, which is no public CA"
    if has_bundle:
        return Finding("tls", State.OK, reason)
    cure = "name the file with that CA in `AWS_CA_BUNDLE` too: AWS's client does not read the system's CAs"
    return Finding("tls", State.WARNING, reason, cure)


def check_registry(image: Reference, desired: Desired | None, pings: Pings, tools: Tools) -> Iterator[Finding]:
    """An upstream: whether it responds and takes the credential, and how many counted pulls are left there."""
    host = image.registry
    answer = pings[host].result()
    if not isinstance(answer, tuple):
        raise answer
    head = tools.registries.head_manifest(image)
    uses = [use.credential for use in tools.registries.credential_uses() if use.registry == host]
    how = f"signed in with {uses[0]}" if uses else "anonymous"
    if head is None:
        reason = f"responds, {how}; it has no `{image.familiar}`, by which it was tried"
        yield Finding("registry", State.OK, reason, subject=host)
    else:
        yield Finding("registry", State.OK, f"gives `{image.familiar}`, {how}", subject=host)
    if host == DOCKER_HUB and head is not None:
        here = {image.source for image in desired.images if image.source.registry == host} if desired else set()
        yield judge_pulls(head.pull_limit, len(here), is_signed_in=bool(uses))


def judge_pulls(limit: PullLimit | None, images: int, *, is_signed_in: bool) -> Finding:
    """The pull limit of Docker Hub and whose pulls it counts; the manifest has so many `images` from there."""
    if limit is None:
        return Finding("pulls", State.OK, "Docker Hub counts no pulls here", subject=DOCKER_HUB)
    try:
        ipaddress.ip_address(limit.source)
        whose = f"of the address `{limit.source}`, which all machines behind it share"
    except ValueError:
        whose = f"of the account `{limit.source}`" if limit.source else "of nobody that Docker Hub names"
    reason = f"{limit.remaining} of {limit.limit} pulls in {limit.window_seconds / 3600:g} h are left {whose}"
    if limit.remaining > 0 and limit.remaining >= images:
        return Finding("pulls", State.OK, reason, subject=DOCKER_HUB)
    reason += f", and the manifest's {images} images need one or more each where ECR lacks them" if images else ""
    cure = "wait until the window has passed" if is_signed_in else "sign in: `docker login`, or `registries`"
    return Finding("pulls", State.WARNING, reason, f"{cure}; or plan with `--on-budget`", subject=DOCKER_HUB)


# AWS


def _identity(tools: Tools) -> Identity:
    if tools.aws is None:
        raise Skipped("no region: neither a manifest nor `AWS_REGION` names one")
    return tools.aws.inspection.identity()


@dataclass(frozen=True, slots=True)
class _Account:
    """AWS for the checks that need accepted credentials; `aws.credentials` says why there are none."""

    _aws: AwsTools | None
    answer: Future[Identity | Fault]

    def identity(self) -> Identity:
        """Whose credentials are accepted. Raises Skipped."""
        answer = self.answer.result()
        if isinstance(answer, Identity):
            return answer
        raise (
            answer
            if isinstance(answer, Skipped)
            else Skipped("AWS has not accepted credentials: see `aws.credentials`")
        )

    def aws(self) -> AwsTools:
        """What to ask with them. Raises Skipped."""
        self.identity()
        if self._aws is None:
            raise Skipped("no region")
        return self._aws


def check_credentials(account: _Account, tools: Tools) -> Iterator[Finding]:
    """Whose credentials these are, where they were found and when they expire."""
    found = account.answer.result()
    if not isinstance(found, Identity):
        raise found
    yield judge_identity(found, tools.now())


def judge_identity(identity: Identity, now: datetime) -> Finding:
    """Whether the credentials last long enough for an apply."""
    about = f"`{identity.arn}`, found in `{identity.source}`"
    if identity.expires is None:
        return Finding("aws.credentials", State.OK, f"{about}, without an expiry that could be read")
    left = (identity.expires - now).total_seconds()
    until = f"{about}, valid until {identity.expires:%Y-%m-%d %H:%M} UTC"
    if identity.is_renewable:
        return Finding("aws.credentials", State.OK, f"{until} and renewed then")
    if left < _SOON_SECONDS:
        cure = "renew them before a long apply: `aws sso login`, or a new role session"
        return Finding("aws.credentials", State.WARNING, f"{until}, in {left / 60:.0f} min", cure)
    return Finding("aws.credentials", State.OK, until)


def check_account(desired: Desired | None, account: _Account) -> Iterator[Finding]:
    """The guard of the manifest."""
    found = account.identity().account_id
    if desired is None:
        raise Skipped("no manifest")
    yield judge_account(desired.account_id, found)


def judge_account(wanted: str | None, found: str) -> Finding:
    """Whether the credentials are for the account that the manifest wants."""
    if wanted is None:
        reason = f"the manifest accepts any account, because it has no `aws.account_id`; this one is `{found}`"
        return Finding("aws.account", State.OK, reason)
    if wanted == found:
        return Finding("aws.account", State.OK, f"`{found}`, as the manifest wants it")
    reason = f"these credentials belong to account `{found}`, the manifest is for `{wanted}`"
    cure = "switch the profile or role, or correct `aws.account_id`"
    return Finding("aws.account", State.FAILED, reason, cure, code="aws.wrong_account")


def check_region(account: _Account) -> Iterator[Finding]:
    """Whether ECR of the region works for the account."""
    aws = account.aws()
    host = aws.ecr.registry_host()
    yield Finding("aws.region", State.OK, f"`{aws.region}` is enabled; its registry is `{host}`")


def check_rights(desired: Desired | None, tools: Tools, account: _Account) -> Iterator[Finding]:
    """The rights, by simulation where IAM may be asked, else by calls that change nothing."""
    identity, aws = account.identity(), account.aws()
    if desired is not None:
        statements = tools.statements(desired, identity.account_id)
        simulated = {
            command: _attempt(partial(aws.inspection.simulate, identity.arn, needed))
            for command, needed in statements.items()
        }
        refused = {command: found for command, found in simulated.items() if isinstance(found, frozenset)}
        if len(refused) == len(simulated):
            yield judge_simulation(identity, refused)
            return
    yield judge_calls(*_harmless_calls(desired, tools, aws))


def judge_simulation(identity: Identity, refused: Mapping[str, frozenset[str]]) -> Finding:
    """By command, what IAM's simulation refuses; a role that only plans lacks what apply needs."""
    lacking = next((command for command, names in refused.items() if names), None)
    if lacking is None:
        reason = f"IAM's simulation allows everything that {' and '.join(refused)} need"
        return Finding("aws.rights", State.OK, reason)
    names = sorted(refused[lacking])
    cure = f"give it the policy that `toolkit iam-policy {lacking}` prints"
    reason = f"IAM's simulation refuses to `{identity.arn}` what {lacking} needs: {some(names)}"
    if any(not found for found in refused.values()):
        enough = next(command for command, found in refused.items() if not found)
        return Finding("aws.rights", State.WARNING, f"{reason}; {enough} is allowed", cure)
    return Finding("aws.rights", State.FAILED, reason, cure, code="aws.access_denied", is_denied=True)


def _harmless_calls(
    desired: Desired | None, tools: Tools, aws: AwsTools
) -> tuple[Mapping[str, ToolkitError | OciError | None], str]:
    """By call, its error or None; and the repository in which an upload was opened and cancelled, or ""."""
    existing = _attempt(aws.ecr.repositories)
    calls: dict[str, object] = {
        "ecr:DescribeRepositories": existing,
        "ecr:GetAuthorizationToken": _attempt(aws.ecr.registry_host),
    }
    if desired is not None and desired.builds:
        build = desired.builds[0]
        calls["codebuild:BatchGetProjects"] = _attempt(lambda: aws.existing.projects([build.project_name]))
        calls["iam:GetRole"] = _attempt(lambda: aws.existing.role(build.role_name(aws.region)))
        calls["logs:DescribeLogGroups"] = _attempt(lambda: aws.existing.log_group(build.log_group_name))
    names = [repository.name for repository in desired.repositories] if desired is not None else []
    mine = next((name for name in names if isinstance(existing, Mapping) and name in existing), "")
    if mine:
        calls[_UPLOAD] = _attempt(lambda: _try_upload(tools, aws, mine))
    return {name: found if isinstance(found, ToolkitError | OciError) else None for name, found in calls.items()}, mine


def _try_upload(tools: Tools, aws: AwsTools, name: str) -> None:
    upload = tools.registries.begin_upload(Repository(aws.ecr.registry_host(), name), Digest.of(b""))
    if upload is not None:
        tools.registries.cancel_upload(upload)


def judge_calls(calls: Mapping[str, ToolkitError | OciError | None], uploaded_to: str) -> Finding:
    """What calls that change nothing say of the rights."""
    failed = {name: error for name, error in calls.items() if error is not None}
    if failed:
        names = ", ".join(f"`{name}`" for name in failed)
        first = next(iter(failed.values()))
        is_denied = all(isinstance(error, AccessDenied) or fault_is_denied(error) for error in failed.values())
        reason = f"of the calls that change nothing, {len(failed)} failed ({names}): {first.message}"
        if is_denied and failed.keys() == {_UPLOAD}:
            cure = "it is enough to plan; to apply and seed, use a role with the policy of `toolkit iam-policy apply`"
            return Finding("aws.rights", State.WARNING, reason, cure)
        cure = "give this role the policy that `toolkit iam-policy apply` prints"
        return Finding("aws.rights", State.FAILED, reason, cure, code=first.code, is_denied=is_denied)
    shown = ", ".join(f"`{name}`" for name in calls)
    upload = f", by an upload to `{uploaded_to}` that was cancelled" if uploaded_to else ""
    reason = f"IAM may not be asked; calls that change nothing were allowed: {shown}{upload}. Others were not tried"
    return Finding("aws.rights", State.OK, reason)


def fault_is_denied(error: ToolkitError | OciError) -> bool:
    """Whether a registry refused for want of a credential or right."""
    return isinstance(error, OciError) and fault_of(error).is_denied


def check_ecr(desired: Desired | None, tools: Tools, account: _Account) -> Iterator[Finding]:
    """The registry of ECR, by a HEAD of an image that need not exist."""
    host = account.aws().ecr.registry_host()
    name = desired.repositories[0].name if desired is not None and desired.repositories else "toolkit-doctor"
    tools.registries.head_manifest(Repository(host, name).with_tag("latest"))
    yield Finding("ecr.registry", State.OK, f"`{host}` responds and accepts ECR's token")


# Terraform's state


def check_state(desired: Desired | None, tools: Tools, account: _Account) -> Iterator[Finding]:
    """Where Terraform keeps its state, and whether somebody holds its lock; nothing is written there."""
    if desired is None:
        raise Skipped("no manifest")
    backend = desired.backend
    if backend is None:
        yield judge_local_state(is_pipeline=tools.is_pipeline)
        return
    inspection = account.aws().inspection
    bucket = judge_bucket(backend, inspection.bucket(backend.bucket, backend.region))
    yield bucket
    if bucket.state is not State.FAILED:
        yield from _findings("state.lock", partial(check_lock, backend, desired.workspace, inspection))


def judge_local_state(*, is_pipeline: bool) -> Finding:
    """A state that is a file in the working directory."""
    reason = "the state is a file in the working directory"
    if is_pipeline:
        cure = "keep it in a bucket: `terraform.backend.s3`"
        return Finding("state.bucket", State.WARNING, f"{reason}, which a pipeline loses", cure)
    return Finding("state.bucket", State.OK, reason)


def judge_bucket(backend: S3Backend, bucket: Bucket | None) -> Finding:
    """Whether the state can be kept in `bucket`, and got back when it is damaged."""
    name = backend.bucket
    if bucket is None:
        cure = "create it first, with versioning, or correct `terraform.backend.s3`"
        reason = f"the bucket `{name}` for Terraform's state does not exist"
        return Finding("state.bucket", State.FAILED, reason, cure, code="terraform.bucket_missing")
    if bucket.region != backend.region:
        reason = f"the bucket `{name}` is in `{bucket.region}`, the manifest looks for it in `{backend.region}`"
        cure = f"write `region: {bucket.region}` into `terraform.backend.s3`"
        return Finding("state.bucket", State.FAILED, reason, cure)
    encryption = f"encrypted with {bucket.encryption}" if bucket.encryption else "whose encryption may not be read"
    about = f"`{name}` in `{bucket.region}`, {encryption}"
    if bucket.is_versioned is None:
        return Finding("state.bucket", State.OK, f"{about}; whether it has versions may not be read")
    if not bucket.is_versioned:
        cure = f"`aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled`"
        reason = f"{about}, without versioning: a damaged state cannot be got back"
        return Finding("state.bucket", State.WARNING, reason, cure)
    return Finding("state.bucket", State.OK, f"{about}, versioned")


def check_lock(backend: S3Backend, workspace: str, inspection: Inspection) -> Iterator[Finding]:
    """The lock file beside the state, and the item in the table if there is one."""
    key = backend.key_in(workspace)
    texts = {f"`{key}.tflock`": inspection.stored(backend.bucket, f"{key}.tflock", backend.region)}
    if table := backend.dynamodb_table:
        texts[f"table `{table}`"] = inspection.item(table, f"{backend.bucket}/{key}", backend.region)
    yield judge_lock({where: read_lock(text) for where, text in texts.items() if text is not None}, list(texts))


def read_lock(text: str) -> StateLock:
    """The lock that Terraform describes in its own JSON; what it does not say is unknown."""
    try:
        found = json.loads(text)
        since = datetime.fromisoformat(found["Created"])
        return StateLock(str(found["Who"]), since if since.tzinfo else since.replace(tzinfo=UTC))
    except (ValueError, KeyError, TypeError, RecursionError):
        return StateLock("somebody", datetime.min.replace(tzinfo=UTC))


def judge_lock(locks: Mapping[str, StateLock], places: Sequence[str]) -> Finding:
    """The locks that are held, by place."""
    for where, lock in locks.items():
        since = f" since {lock.since:%Y-%m-%d %H:%M} UTC" if lock.since.year > 2000 else ""
        cure = "wait for that run; if it died, run `terraform force-unlock` in the working directory"
        reason = f"`{lock.who}` holds the state's lock{since} ({where})"
        return Finding("state.lock", State.WARNING, reason, cure, code="state.locked")
    return Finding("state.lock", State.OK, f"nobody holds the lock: {', '.join(places)}")


# Quotas


def check_ecr_quotas(desired: Desired | None, account: _Account) -> Iterator[Finding]:
    """ECR's quotas against what the manifest makes."""
    aws = account.aws()
    quotas = _quotas(aws, "ecr")
    existing = aws.ecr.repositories()
    names = {repository.name for repository in desired.repositories} if desired is not None else set()
    rate = desired.put_image_per_second if desired is not None else None
    yield from judge_ecr_quotas(quotas, len(existing), len(names - existing.keys()), rate)


def _quotas(aws: AwsTools, service: str) -> Mapping[str, Quota]:
    """Raises Skipped where there are none to see: no run needs the right to read them."""
    try:
        quotas = aws.inspection.quotas(service)
    except AccessDenied as error:
        raise Skipped("these credentials may not read quotas (`servicequotas:ListServiceQuotas`)") from error
    if not quotas:
        raise Skipped("Service Quotas lists none")
    return quotas


def judge_ecr_quotas(quotas: Mapping[str, Quota], existing: int, new: int, rate: float | None) -> Iterator[Finding]:
    """Repositories and image manifests a second."""
    if quota := quotas.get("registered repositories"):
        reason = f"{existing:,} of {quota.value:,.0f} repositories exist, and {new} are to be made"
        state = State.WARNING if existing + new > quota.value else State.OK
        cure = increase(quota, "ecr", existing + new) if state is State.WARNING else None
        yield Finding("quota.repositories", state, reason, cure)
    if quota := quotas.get("rate of putimage requests"):
        begun = quotas.get("rate of initiatelayerupload requests")
        layers = f", and {begun.value:,.0f} uploads of layers" if begun else ""
        reason = f"ECR takes {quota.value:,.0f} image manifests a second{layers}"
        reason += f"; a run writes up to {rate}" if rate else ""
        if rate and rate > quota.value:
            cure = f"lower `aws.put_image_per_second`, or: {increase(quota, 'ecr', int(rate))}"
            yield Finding("quota.put_image", State.WARNING, reason, cure)
        else:
            yield Finding("quota.put_image", State.OK, reason)


def check_build_quotas(desired: Desired | None, account: _Account) -> Iterator[Finding]:
    """How many builds CodeBuild runs at a time."""
    aws = account.aws()
    if desired is None:
        raise Skipped("no manifest")
    if not desired.projects:
        raise Skipped("the manifest has no builds")
    yield from judge_build_quotas(_quotas(aws, "codebuild"), desired.projects)


def judge_build_quotas(quotas: Mapping[str, Quota], builds: Sequence[DesiredBuild]) -> Iterator[Finding]:
    """A finding per kind of machine; a new account has 0 or 1 of most kinds."""
    kinds = Counter((build.environment_type, build.compute_type) for build in builds)
    for (environment, compute), count in sorted(kinds.items()):
        machine = f"{environment} {compute}"
        start = _MACHINES.get(environment)
        size = compute.rpartition("_")[2].lower()
        quota = quotas.get(f"concurrently running builds for {start}{size} environment")
        if start is None or quota is None:
            reason = "Service Quotas does not list how many run at a time"
            yield Finding("quota.builds", State.SKIPPED, reason, subject=machine)
            continue
        reason = f"{quota.value:.0f} builds run at a time, and the manifest has {count} of this kind"
        if quota.value >= count:
            yield Finding("quota.builds", State.OK, reason, subject=machine)
            continue
        effect = "no build starts" if quota.value < 1 else "the others wait"
        cure = increase(quota, "codebuild", count)
        yield Finding("quota.builds", State.WARNING, f"{reason}: {effect}", cure, subject=machine)


def increase(quota: Quota, service: str, wanted: int) -> str:
    """The command that asks AWS for a higher quota."""
    return (
        f"request an increase of `{quota.code}`: `aws service-quotas request-service-quota-increase --service-code "
        f"{service} --quota-code {quota.code} --desired-value {wanted}`"
    )
