"""Descriptors: the type, digest and size by which one document points to content, and platforms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from toolkit.oci.digest import Digest
from toolkit.oci.errors import DigestMismatch, InvalidPlatform, SizeMismatch

Annotations = tuple[tuple[str, str], ...]

_PLATFORM_PART = re.compile(r"[a-z0-9_.-]+")
_OS_VERSION = re.compile(r"[A-Za-z0-9_.*-]+")
# The variant of an architecture that names none.
_IMPLIED_VARIANTS = {"arm64": "v8", "amd64": "v1"}


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """What an image runs on, in Go's words: `linux/amd64`, `linux/arm/v7`, `windows/amd64:10.0.20348.2700`.

    Windows runs only images for its own build, so an index has one image for each. A wanted version may have `*` in it.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        name = "/".join(part for part in (self.os, self.architecture, self.variant) if part)
        return f"{name}:{self.os_version}" if self.os_version else name

    @property
    def may_be_several(self) -> bool:
        """Whether it may be wanted of an index and match more than one image, as far as is known."""
        versions = self.os == "windows" and (not self.os_version or "*" in self.os_version)
        return versions or (self.architecture == "arm" and not self.variant)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/architecture[/variant][:version of the os]`, as crane and oras write it."""
        name, colon, version = text.partition(":")
        parts = name.split("/")
        is_named = len(parts) in (2, 3) and all(_PLATFORM_PART.fullmatch(part) for part in parts)
        if not is_named or bool(colon) is not (_OS_VERSION.fullmatch(version) is not None):
            raise InvalidPlatform(
                f"`{text}` is no platform",
                hint="Write `os/architecture`, such as `linux/amd64`, `linux/arm/v7` or `windows/amd64:10.0.20348.*`.",
            )
        system, architecture, *variant = parts
        return cls(system, architecture, "".join(variant), version)

    def matches(self, wanted: Platform) -> bool:
        """Whether an image for this platform is one that `wanted` asks for.

        Without a variant `wanted` takes every variant: `linux/arm64` takes `linux/arm64/v8`, `linux/arm` takes v5, v6
        and v7. With one it takes that variant only; `arm64` alone is `arm64/v8` and `amd64` alone is `amd64/v1`, while
        `arm` alone is no particular one. Without a version of the system it takes every version.
        """
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return False
        if wanted.os_version and not fnmatchcase(self.os_version, wanted.os_version):
            return False
        if not wanted.variant:
            return True
        return (self.variant or _IMPLIED_VARIANTS.get(self.architecture, "")) == wanted.variant


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content. `size` counts bytes; `platform` is set on the children of an index.

    `annotations` are pairs in the document's order, so that the value stays hashable.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Annotations = ()
    artifact_type: str | None = None
    urls: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.digest} ({self.media_type}, {self.size} bytes)"

    def annotation(self, key: str) -> str | None:
        """The annotation called `key`."""
        return next((value for name, value in self.annotations if name == key), None)


def verify(chunks: Iterable[bytes], descriptor: Descriptor) -> Iterator[bytes]:
    """The same chunks, checked against `descriptor` while they pass.

    The chunk that completes the content is held back until the digest has been checked: a reader that gets all of it
    has the right bytes, and an upload of wrong bytes is never completed. One byte too many is an error as soon as it
    comes.
    """
    hasher = descriptor.digest.hasher()
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > descriptor.size:
            raise SizeMismatch(f"`{descriptor.digest}` has more than the {descriptor.size} bytes that were announced")
        hasher.update(chunk)
        if seen == descriptor.size:
            _check(hasher.hexdigest(), descriptor)
        yield chunk
    if seen != descriptor.size:
        raise SizeMismatch(f"`{descriptor.digest}` ended after {seen} of {descriptor.size} bytes")
    if not seen:
        _check(hasher.hexdigest(), descriptor)


def _check(found: str, descriptor: Descriptor) -> None:
    wanted = descriptor.digest
    if found != wanted.hex:
        raise DigestMismatch(f"`{wanted}` has other content: its digest is `{wanted.algorithm}:{found}`")
