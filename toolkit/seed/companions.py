"""Finds what upstream keeps beside an image: cosign's tags by HEAD, referrers by the registry's list of them.

These requests are no counted pulls. But the search needs the children of an index, so an index that no run has read yet
is read here: one counted pull, which the copy then saves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.errors import AccessDenied, denied_by_aws
from toolkit.oci.client import ManifestHead
from toolkit.oci.companions import cosign_tags, find_subjects, referrers_index, referrers_tag
from toolkit.oci.copy import CopyError
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import ConnectionFailed, OciError, RegistryError, TooManyRequests
from toolkit.oci.filtered_index import Document
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.observed import SourceFault
from toolkit.seed.explain import row_for

if TYPE_CHECKING:
    from toolkit.oci.pull_limits import Upstream

_LATER = "run again later"
_TOO_MANY = 429
_HINT = "mend the access to this registry, or leave signatures behind: `signatures: drop`"


@dataclass(frozen=True, slots=True)
class Companion:
    """A tag that belongs to the digest `subject`, or the reason why it is unknown whether there is one."""

    subject: Digest
    tag: str
    head: ManifestHead | SourceFault


@dataclass(frozen=True, slots=True)
class Found:
    """What belongs to one image. `recount` is a HEAD made after its index was read, which tells the pulls left."""

    companions: tuple[Companion, ...] = ()
    recount: ManifestHead | None = None


class CompanionSearch:
    """Looks upstream. It stores an index of referrers that it composes in `cache`, for the registry has none."""

    def __init__(self, upstream: Upstream, cache: DocumentCache) -> None:
        self._upstream = upstream
        self._cache = cache

    def find(
        self,
        source: Reference,
        descriptor: Descriptor,
        subset: Subset,
        stored: bytes | None = None,
    ) -> Found:
        """The companions of the image `descriptor` at the tag `source`; `stored` is what the destination tag holds now.

        A request that fails ends the search, and the last companion has its fault: a copy that should keep signatures
        must not lose them silently, and a registry that does not respond is not asked again.
        """
        was_read = False

        def read() -> Document:
            nonlocal was_read
            reference = source.name.with_digest(descriptor.digest)
            document, was_read = self._cache.get_or_read(
                descriptor.digest, lambda: self._upstream.get_manifest(reference)
            )
            return document

        try:
            subjects = find_subjects(descriptor, subset, stored, read)
            recount = self._upstream.head_manifest(source) if was_read else None
        except OciError as error:
            tag = referrers_tag(descriptor.digest)
            return Found((Companion(descriptor.digest, tag, fault_of(error)),))
        return Found(tuple(self._companions(source.name, subjects)), recount)

    def _companions(self, repository: Repository, subjects: Iterable[Digest]) -> Iterator[Companion]:
        tags = [(subject, tag) for subject in subjects for tag in (*cosign_tags(subject), referrers_tag(subject))]
        for subject, tag in tags:
            try:
                if tag == referrers_tag(subject):
                    head = self._referrers(repository, subject)
                else:
                    head = self._upstream.head_manifest(repository.with_tag(tag))
            except OciError as error:
                yield Companion(subject, tag, replace(fault_of(error), hint=_HINT))
                return
            if head is not None:
                yield Companion(subject, tag, head)

    def _referrers(self, repository: Repository, subject: Digest) -> ManifestHead | None:
        """The index of the referrers: composed from the registry's list, or else the one that the publisher keeps.

        Where the registry lists them, its list decides: publishers then keep no index, and an older one is out of date.
        """
        referrers = self._upstream.list_referrers(repository, subject)
        if referrers is None:
            return self._upstream.head_manifest(repository.with_tag(referrers_tag(subject)))
        if not referrers:
            return None
        index = referrers_index(referrers)
        self._cache.put(index.digest, index)
        return ManifestHead(index.descriptor)


def fault_of(error: OciError) -> SourceFault:
    """The reason why upstream does not give what was asked for: see `SourceFault` for the kinds."""
    if isinstance(error, TooManyRequests) or (isinstance(error, RegistryError) and error.status == _TOO_MANY):
        return SourceFault("limited", error.message, error.hint or _LATER)
    if isinstance(error, RegistryError | ConnectionFailed) and error.is_temporary:
        return SourceFault("unreachable", error.message, error.hint or _LATER)
    row, kind = row_for(CopyError("source", "", error))
    if row.kind is AccessDenied and (denied := denied_by_aws(error.message)):
        return SourceFault(kind, denied.message, denied.hint)
    return SourceFault(kind, error.message, error.hint or row.hint)
