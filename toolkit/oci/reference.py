"""Names of images: registry, repository path, tag and digest, read the way Docker reads them.

`nginx` is `docker.io/library/nginx`. The first component is a host only if it has a dot or a colon or is `localhost`.
Unlike Docker, we add no tag, write host names in lower case, and treat every host of Docker Hub as `docker.io`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from toolkit.oci.digest import Digest
from toolkit.oci.errors import InvalidDigest, InvalidReference

DOCKER_HUB = "docker.io"
HUB_HOSTS = ("registry-1.docker.io", "registry.hub.docker.com")
"""Hosts of Docker Hub that Docker takes for registries of their own; `docker.io` is served at the first."""
HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", *HUB_HOSTS})
ECR_HOST_PART = r"\.dkr[.-]ecr(?:-fips)?\."
"""A pattern for what stands between account and region in each host of ECR, in the dual-stack form (`dkr-ecr`) too."""
ECR_PUBLIC = "public.ecr.aws"
# An ECR host contains its region in every partition. The domain must be one of AWS, because anybody can own a host
# such as `123456789012.dkr.ecr.eu-west-1.evil.example`.
_AWS_DOMAIN = (
    r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.(?:com\.cn|eu)"
    r"|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
_ECR_HOST = re.compile(rf"\d{{12}}{ECR_HOST_PART}([a-z0-9-]+)\.{_AWS_DOMAIN}")
_OFFICIAL = "library/"

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_BARE_ID = re.compile(r"[0-9a-f]{64}")
_LONGEST_PATH = 255
_AT_WITHOUT_DIGEST = re.compile(r"@(?!sha(?:256|512):)")


def ecr_region(registry: str) -> str | None:
    """The region of an ECR host, None for any other host."""
    match = _ECR_HOST.fullmatch(registry)
    return match.group(1) if match else None


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A place for images on a registry: `quay.io` and `prometheus/node-exporter`."""

    registry: str
    path: str

    def __post_init__(self) -> None:
        _check_name(self.registry, self.path)

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"

    def with_tag(self, tag: str) -> Reference:
        """The image under `tag` here."""
        return Reference(self.registry, self.path, tag=tag)

    def with_digest(self, digest: Digest) -> Reference:
        """The content `digest` here."""
        return Reference(self.registry, self.path, digest=digest)


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image; `repository` is the path. Only valid names can exist; `str` is the full spelling."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        _check_name(self.registry, self.repository)
        if self.tag is not None and not TAG.fullmatch(self.tag):
            raise InvalidReference(
                f"`{self.tag}` is no tag: 1 to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`"
            )

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{self._suffix}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as users write it; InvalidReference says what is wrong with it."""
        if not text:
            raise InvalidReference("an image reference is empty")
        shown = without_credential(text)
        if shown != text:
            raise InvalidReference(
                f"`{shown}` is no image reference: only a digest may follow `@`",
                hint="Give credentials by `docker login`.",
            )
        if any(c.isspace() for c in text):
            raise InvalidReference(f"`{text}` is no image reference: it contains white space")
        if "://" in text:
            raise InvalidReference(
                f"`{text}` is no image reference: it starts with a scheme", hint="Leave out everything up to `://`."
            )
        name, at, digest_text = text.partition("@")
        name, tag = _split_tag(name)
        try:
            digest = Digest.parse(digest_text) if at else None
            registry, path = _split_registry(name)
            return cls(registry, path, tag, digest)
        except (InvalidDigest, InvalidReference) as fault:
            if fault.message.startswith(f"`{text}`"):
                raise
            raise InvalidReference(f"`{text}` is no image reference: {fault.message}", hint=fault.hint) from None

    @property
    def name(self) -> Repository:
        """The repository with its registry."""
        return Repository(self.registry, self.repository)

    @property
    def target(self) -> str:
        """What a manifest URL ends in: the digest if there is one, else the tag."""
        if self.digest is not None:
            return str(self.digest)
        if self.tag is not None:
            return self.tag
        raise InvalidReference(f"`{self}` names neither a tag nor a digest")

    @property
    def familiar(self) -> str:
        """The short spelling that Docker shows, where it means the same: `nginx:1.16`."""
        if self.registry != DOCKER_HUB:
            return str(self)
        official = self.repository.removeprefix(_OFFICIAL)
        for path in (official, self.repository):
            short = f"{path}{self._suffix}"
            try:
                if Reference.parse(short) == self:
                    return short
            except InvalidReference:
                continue
        return str(self)

    def with_tag(self, tag: str) -> Reference:
        """The same repository under `tag`, without a digest."""
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        """The same name with its content fixed; the tag stays, for readers."""
        return replace(self, digest=digest)

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag


def without_credential(text: str) -> str:
    """`text` for a message: without a user name and password that somebody wrote into it."""
    ends = [found.start() for found in _AT_WITHOUT_DIGEST.finditer(text)]
    # To the last of them: a password may have any character, also `/` and `@`.
    return f"…{text[ends[-1] :]}" if ends and ":" in text[: ends[-1]] else text


def _split_tag(name: str) -> tuple[str, str | None]:
    """A colon after the last slash starts the tag; one before it starts a port."""
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, None
    return head, tag


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first.lower() == "localhost"):
        registry, path = DOCKER_HUB, name
    else:
        registry, path = first.lower(), rest
    if registry in HUB_NAMES:
        registry = DOCKER_HUB
        if "/" not in path:
            if not slash and _BARE_ID.fullmatch(path):
                raise InvalidReference("64 hex digits are an image's id, not its name")
            path = _OFFICIAL + path
    return registry, path


def _check_name(registry: str, path: str) -> None:
    if not _HOST.fullmatch(registry) or not _has_usable_address(registry):
        raise InvalidReference(f"`{registry}` is no registry host")
    if registry in HUB_NAMES and (registry != DOCKER_HUB or "/" not in path):
        raise InvalidReference(f"`{registry}/{path}` is not spelled canonically", hint="Use `Reference.parse`.")
    if path != path.lower():
        raise InvalidReference(
            "a repository name is in lower case", hint=f"Write `{path.lower().removeprefix(_OFFICIAL)}`."
        )
    if not _PATH.fullmatch(path):
        raise InvalidReference(
            f"`{path}` is no repository name: lower-case letters and digits, with one `.`, "
            "one or two `_` or any number of `-` between them"
        )
    if len(path) > _LONGEST_PATH:
        raise InvalidReference(f"a repository name of {len(path)} characters is longer than {_LONGEST_PATH}")


def _has_usable_address(registry: str) -> bool:
    try:
        _ = urlsplit(f"//{registry}").port
    except ValueError:  # an IPv6 address or a port that cannot be
        return False
    return True


def parsed(text: str) -> Reference | None:
    """The reference; None if `text` is not an image name."""
    try:
        return Reference.parse(text)
    except (InvalidDigest, InvalidReference):
        return None
