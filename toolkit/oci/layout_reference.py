"""Names of images in OCI image layouts, spelled as skopeo does: `oci:DIR:NAME`, with `@sha256:…` for a fixed content.

They are references like any other to the copy engine. Their registry is `oci:`, which no host can be called, their
repository is the directory, and their tag is the layout's own word, `org.opencontainers.image.ref.name`, which may be
more than a tag: `oci:images:nginx:1.16`. Docker Hub's image called `oci` needs its host: `docker.io/library/oci:1`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from toolkit.oci.digest import Digest
from toolkit.oci.errors import InvalidReference
from toolkit.oci.reference import Reference, Repository

LAYOUTS = "oci:"

_WORD = r"[A-Za-z0-9]+(?:(?:--|[-._:@+])[A-Za-z0-9]+)*"
_NAME = re.compile(rf"{_WORD}(?:/{_WORD})*")
_PARTS = re.compile(r"(?P<folder>[^:]*?)(?::(?P<name>.*?))?(?:@(?P<digest>sha(?:256|512):[^@:]*))?", re.DOTALL)
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class LayoutRepository(Repository):
    """A layout; `path` is its directory as the user wrote it."""

    def __post_init__(self) -> None:
        _check_folder(self.registry, self.path)

    def __str__(self) -> str:
        return f"{self.registry}{self.path}"

    @property
    def folder(self) -> Path:
        """The directory."""
        return Path(self.path)

    def with_tag(self, tag: str) -> LayoutReference:
        """The image called `tag` here."""
        return LayoutReference(self.registry, self.path, tag=tag)

    def with_digest(self, digest: Digest) -> LayoutReference:
        """The content `digest` here."""
        return LayoutReference(self.registry, self.path, digest=digest)


@dataclass(frozen=True, slots=True)
class LayoutReference(Reference):
    """An image in a layout; without name and digest it is whatever single image the layout holds."""

    def __post_init__(self) -> None:
        _check_folder(self.registry, self.repository)
        if self.tag is not None and (len(self.tag) > _LONGEST_NAME or not _NAME.fullmatch(self.tag)):
            raise InvalidReference(
                f"`{self.tag}` is no name in an image layout: letters and digits, with one of `-._:@+/` between them"
            )

    def __str__(self) -> str:
        return f"{self.name}{self._suffix}"

    @property
    def name(self) -> LayoutRepository:
        """The layout."""
        return LayoutRepository(self.registry, self.repository)

    @property
    def familiar(self) -> str:
        """There is one spelling."""
        return str(self)


def parse_place(text: str) -> Reference:
    """Read `oci:DIR[:NAME][@DIGEST]`, and everything else as the name of an image at a registry."""
    if not text.startswith(LAYOUTS):
        return Reference.parse(text)
    parts = _PARTS.fullmatch(text.removeprefix(LAYOUTS))
    if parts is None or not parts["folder"] or parts["name"] == "":
        raise InvalidReference(
            f"`{text}` is no image in a layout", hint="Write `oci:DIR:NAME`; the directory must not contain `:`."
        )
    digest = Digest.parse(parts["digest"]) if parts["digest"] else None
    return LayoutReference(LAYOUTS, os.path.normpath(parts["folder"]), parts["name"], digest)


def _check_folder(registry: str, folder: str) -> None:
    if registry != LAYOUTS or not folder or "\0" in folder or ":" in folder:
        raise InvalidReference(f"`{registry}{folder}` is no image layout")
