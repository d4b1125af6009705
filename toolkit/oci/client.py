"""The registry API as calls on our values. Safe to share between threads; it keeps tokens and connections only.

Each request carries a credential for exactly the scopes that it needs, and only to the registry's own address. A
refused header is renewed once.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

from toolkit.oci.auth import CredentialProvider, CredentialUse, NoCredentials
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import ACCEPT, Document, ImageIndex, media_type_of, parse, read_object
from toolkit.oci.endpoints import Endpoints, may_send_to, origin
from toolkit.oci.errors import (
    ConnectionFailed,
    DigestMismatch,
    InvalidDigest,
    InvalidDocument,
    NotFound,
    OciError,
    RegistryError,
    SizeMismatch,
    SubjectRefused,
    TagImmutable,
)
from toolkit.oci.media_types import OCI_INDEX
from toolkit.oci.reference import DOCKER_HUB, Reference, Repository
from toolkit.oci.responses import Headers, PullLimit, Response, read_next_page, read_pull_limit, read_tag_page, refusal
from toolkit.oci.token_exchange import Authorizer, Scopes
from toolkit.oci.transport import CHUNK_BYTES, Transport

__all__ = ["ManifestHead", "Ping", "PullLimit", "RegistryClient", "Upload"]

# From nothing to a header, and from a header that has expired to a good one.
_MOST_RENEWALS = 2
# The most that registries give; some give fewer, and all accept this number.
_TAGS_A_PAGE = 1000
# A list of more pages, bytes or entries is taken for endless. Half a million tags take 80 MB.
_MOST_PAGES = 1000
_MOST_LIST_BYTES = 32 * 2**20
_MOST_TAGS = 500_000
# Python refuses to read numbers of thousands of digits.
_SIZE = re.compile(r"[0-9]{1,18}")
# Parts for a registry behind a proxy that limits requests: Cloudflare's limit is 100 MB, that of nginx often 1 MB. The
# seeder tries a transfer as often as there are sizes here, after the whole blob.
_PART_SIZES = (50 * 2**20, 5 * 2**20, 2**19)
_GZIP = 16 + zlib.MAX_WBITS
_RANGE_START = re.compile(r"bytes\s+([0-9]{1,18})-")
# How registries refuse HEAD, which has no room for words: a GET says what they mean. crane asks again by GET too.
_NO_HEAD_STATUSES = frozenset({400, 403, 405, 406, 501})
# How registries refuse to list referrers; the standard says 404.
_NO_REFERRERS_STATUSES = frozenset({400, 404, 405, 406, 501})


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """What a tag or digest points to, without its content; `pull_limit` where the registry counts pulls."""

    descriptor: Descriptor
    pull_limit: PullLimit | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Which host responded and how, who signed its certificate ("" for plain HTTP), and its own time."""

    host: str
    status: int
    issuer: str = ""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload session for one PUT. Its location may carry the registry's own secrets, so it is not shown."""

    repository: Repository
    location: str = field(repr=False)
    scopes: Scopes = field(default=(), repr=False)


class RegistryClient:
    """Talks to every registry that a reference may name."""

    def __init__(
        self,
        *,
        credentials: CredentialProvider | None = None,
        endpoints: Endpoints | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = endpoints or Endpoints()
        self._transport = transport or Transport()
        self._part_sizes: dict[str, int] = {}
        self._authorizer = Authorizer(self._transport, credentials or NoCredentials(), self._endpoints, clock=clock)

    def credential_uses(self) -> tuple[CredentialUse, ...]:
        """Which credential was sent where so far."""
        return self._authorizer.uses()

    def url_of(self, registry: str) -> str:
        """Where `registry` is served."""
        return self._endpoints.base_url(registry)

    def ping(self, registry: str) -> Ping:
        """How `registry` responds to a request without a credential. Raises ConnectionFailed if it does not."""
        response, issuer = self._transport.probe(f"{self._endpoints.base_url(registry)}/v2/")
        try:
            date = parsedate_to_datetime(response.headers.get("Date") or "")
        except ValueError:
            date = None
        return Ping(response.host, response.status, issuer, date)

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """What `ref` points to; None when tag or repository are not there. Never a counted pull.

        Some registries, such as Red Hat's, leave out what a HEAD is for, or refuse it. The document tells it too, and
        is read where no pulls are counted.
        """
        response = self._send(
            "HEAD", ref.registry, self._manifest_url(ref), self._pull(ref.name), headers={"Accept": ACCEPT}
        )
        if response.status == 404:
            return None
        pull_limit = read_pull_limit(response.headers)
        counts_pulls = ref.registry == DOCKER_HUB or pull_limit is not None
        if not response.is_success and (counts_pulls or response.status not in _NO_HEAD_STATUSES):
            raise refusal(response, f"`{ref}`")
        digest = ref.digest or _digest_header(response.headers)
        size = response.headers.get("Content-Length") or ""
        media_type = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
        if response.is_success and digest is not None and _SIZE.fullmatch(size) and media_type:
            return ManifestHead(Descriptor(media_type, digest, int(size)), pull_limit)
        if counts_pulls:
            raise OciError(
                f"`{response.host}` does not tell digest, size and type of `{ref}` on HEAD",
                code="oci.no_digest_on_head",
            )
        try:
            document = self.get_manifest(ref)
        except NotFound:
            return None
        found = ref.digest or Digest.of(document.raw, digest.algorithm if digest else document.digest.algorithm)
        return ManifestHead(Descriptor(document.media_type, found, len(document.raw)))

    def get_manifest(self, ref: Reference) -> Document:
        """The document that `ref` points to, checked against its digest. May be a counted pull."""
        response = self._send(
            "GET", ref.registry, self._manifest_url(ref), self._pull(ref.name), headers={"Accept": ACCEPT}
        )
        if not response.is_success:
            raise refusal(response, f"`{ref}`")
        wanted = ref.digest or _digest_header(response.headers)
        if wanted is not None:
            found = Digest.of(response.body, wanted.algorithm)
            if found != wanted:
                raise DigestMismatch(f"`{ref}` came with other content than `{wanted}`: its digest is `{found}`")
        try:
            media_type = media_type_of(response.headers.get("Content-Type"), response.body)
        except InvalidDocument as fault:  # a page for people, for one
            raise InvalidDocument(f"`{response.host}` sent no document for `{ref}`: {fault.message}") from None
        return Document(media_type, response.body)

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """The documents in `repository` that name `subject` as theirs, as the registry lists them.

        None where the registry does not list them, or sends something else. Never a counted pull.
        """
        found: list[Descriptor] = []
        what = f"the referrers of `{repository}@{subject}`"
        for response in self._pages(repository, f"referrers/{subject}", what, accept=OCI_INDEX):
            if not found and response.status in _NO_REFERRERS_STATUSES:
                return None
            if not response.is_success:
                raise refusal(response, what)
            if (response.headers.get("Content-Type") or "").partition(";")[0].strip() != OCI_INDEX:
                return None
            try:
                index = parse(Document(OCI_INDEX, response.body))
            except InvalidDocument as fault:
                raise InvalidDocument(f"`{response.host}` sent no list of {what}: {fault.message}") from None
            found += index.manifests if isinstance(index, ImageIndex) else ()
        return tuple(found)

    def list_tags(self, repository: Repository, *, page_size: int = _TAGS_A_PAGE) -> tuple[str, ...]:
        """Every tag, in the registry's order. Never a counted pull. Raises NotFound without the repository."""
        what = f"the tags of `{repository}`"
        tags: dict[str, None] = {}
        for response in self._pages(repository, f"tags/list?n={page_size}", what):
            if not response.is_success:
                raise refusal(response, what)
            tags |= dict.fromkeys(read_tag_page(response, what))
            if len(tags) > _MOST_TAGS:
                raise _endless(repository, what)
        return tuple(tags)

    def _pages(self, repository: Repository, rest: str, what: str, *, accept: str = "*/*") -> Iterator[Response]:
        """The pages of a list, whatever their status, until one names no next."""
        url: str | None = self._url(repository, rest)
        seen: set[str] = set()
        size = 0
        while url is not None:
            if url in seen or len(seen) == _MOST_PAGES:
                raise _endless(repository, what)
            seen.add(url)
            response = self._send("GET", repository.registry, url, self._pull(repository), headers={"Accept": accept})
            size += len(response.body)
            if size > _MOST_LIST_BYTES:
                raise _endless(repository, what)
            yield response
            try:
                following = read_next_page(response.headers)
            except InvalidDocument as fault:
                raise InvalidDocument(f"`{response.host}` breaks off when asked for {what}: {fault.message}") from None
            url = None if following is None else self._own(repository.registry, url, following)

    def put_manifest(self, ref: Reference, document: Document) -> None:
        """Store `document` under the digest of `ref`, or else its tag, byte for byte."""
        headers = {"Content-Type": document.media_type}
        response = self._send(
            "PUT", ref.registry, self._manifest_url(ref), self._push(ref.name), headers=headers, body=document.raw
        )
        if not response.is_success:
            raise _put_refusal(response, ref, document)
        found = _digest_header(response.headers)
        if found is not None and found != Digest.of(document.raw, found.algorithm):
            raise DigestMismatch(f"`{response.host}` stored `{ref}` as `{found}`, which is not what it was given")

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether `repository` itself has the blob."""
        response = self._send(
            "HEAD", repository.registry, self._url(repository, f"blobs/{digest}"), self._pull(repository)
        )
        if response.status in (404, 405):  # 405: a registry without HEAD, which is sent the blob
            return False
        if not response.is_success:
            raise refusal(response, f"blob `{digest}` of `{repository}`")
        return True

    @contextmanager
    def open_blob(self, repository: Repository, descriptor: Descriptor, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The blob's bytes from `offset` on, not verified.

        They are decoded only if they were packed on the way, which is the case where their number says so.
        """
        url = self._url(repository, f"blobs/{descriptor.digest}")
        scopes = self._pull(repository)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        header = self._authorizer.header(repository.registry, scopes)
        with ExitStack() as stack:
            for _ in range(_MOST_RENEWALS + 1):
                response, chunks = stack.enter_context(self._transport.open(url, _with(headers, header)))
                renewed = self._renewed(repository.registry, scopes, response, header)
                if renewed is None:
                    break
                header = renewed
            if not response.is_success:
                raise refusal(response, f"blob `{descriptor.digest}` of `{repository}`")
            if _is_packed(response, descriptor.size - offset):
                chunks = _unpacked(response, chunks, descriptor)
            yield _from_offset(response, chunks, offset, descriptor)

    def begin_upload(
        self, repository: Repository, digest: Digest, mount_from: Repository | None = None
    ) -> Upload | None:
        """A session for one blob; None when the registry could link it from `mount_from` instead."""
        url = self._url(repository, "blobs/uploads/")
        scopes = self._push(repository)
        if mount_from is not None:
            if mount_from.registry != repository.registry:
                raise ValueError(f"{mount_from} and {repository} are on different registries")
            url = f"{url}?{urlencode({'mount': str(digest), 'from': self._endpoints.path(mount_from)})}"
            if mount_from != repository:
                scopes += self._pull(mount_from)
        response = self._send("POST", repository.registry, url, scopes)
        if response.status == 201 and mount_from is not None:
            return None
        location = response.headers.get("Location")
        if response.status != 202 or not location:
            raise refusal(response, f"an upload to `{repository}`")
        return Upload(repository, self._absolute(repository.registry, response.url, location), scopes)

    def put_blob(self, upload: Upload, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Send all of a blob and complete `upload`. One attempt: after a failure begin another upload.

        The blob is sent as one request. Where that is refused as too large, the next attempts send it in parts.
        """
        location, part_size = upload.location, self._part_sizes.get(upload.repository.registry)
        if part_size is None:
            self._send_part(upload, descriptor, "PUT", location, chunks, descriptor.size, None)
            return
        rest = _Rest(chunks)
        for start in range(0, descriptor.size, part_size):
            size = min(part_size, descriptor.size - start)
            response = self._send_part(
                upload, descriptor, "PATCH", location, rest.take(size), size, part_size, start=start
            )
            following = response.headers.get("Location") or location
            location = self._absolute(upload.repository.registry, location, following)
        rest.check_end()
        self._send_part(upload, descriptor, "PUT", location, (), 0, part_size)

    def _send_part(
        self,
        upload: Upload,
        descriptor: Descriptor,
        method: str,
        url: str,
        chunks: Iterable[bytes],
        size: int,
        part_size: int | None,
        *,
        start: int = 0,
    ) -> Response:
        """Send bytes of a blob: PATCH adds them to the session, PUT completes it too."""
        registry = upload.repository.registry
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        if method == "PUT":
            joint = "&" if urlsplit(url).query else "?"
            url = f"{url}{joint}{urlencode({'digest': str(descriptor.digest)})}"
        else:
            headers["Content-Range"] = f"{start}-{start + size - 1}"
        header = self._header_for(registry, url, upload.scopes)
        response = self._transport.upload(url, _with(headers, header), chunks, method)
        if response.status == (201 if method == "PUT" else 202):
            return response
        error = refusal(response, f"blob `{descriptor.digest}` to `{upload.repository}`")
        # The bytes are gone, but the next attempt has a header that is good again, or sends smaller parts.
        if self._renewed(registry, upload.scopes, response, header) is not None:
            raise ConnectionFailed(error.message, host=response.host, reason="token expired") from error
        if response.status == 413 and self._has_smaller_parts(registry, part_size):
            raise ConnectionFailed(error.message, host=response.host, reason="request too large") from error
        raise error

    def _has_smaller_parts(self, registry: str, refused: int | None) -> bool:
        """Whether the next attempt sends smaller parts than those that were `refused`; None is a whole blob."""
        if self._part_sizes.get(registry) == refused:
            smaller = [size for size in _PART_SIZES if refused is None or size < refused]
            if not smaller:
                return False
            self._part_sizes[registry] = smaller[0]
        return True

    def cancel_upload(self, upload: Upload) -> None:
        """Tell the registry that nothing more will come.

        Errors are ignored: registries drop sessions by themselves, and some do not support cancelling.
        """
        try:
            header = self._header_for(upload.repository.registry, upload.location, upload.scopes)
            self._transport.send_once("DELETE", upload.location, _with({}, header))
        except OciError:
            return

    def _send(
        self,
        method: str,
        registry: str,
        url: str,
        scopes: Scopes,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        header = self._authorizer.header(registry, scopes)
        for _ in range(_MOST_RENEWALS):
            response = self._transport.send(method, url, _with(headers or {}, header), body)
            renewed = self._renewed(registry, scopes, response, header)
            if renewed is None:
                return response
            header = renewed
        return self._transport.send(method, url, _with(headers or {}, header), body)

    def _renewed(self, registry: str, scopes: Scopes, response: Response, rejected: str | None) -> str | None:
        if (
            response.status not in (400, 401, 403)
            or response.host != urlsplit(self._endpoints.base_url(registry)).netloc
        ):
            return None  # fine, or storage's refusal behind a redirect, which is not about our header
        return self._authorizer.renewed_header(registry, scopes, response, rejected)

    def _header_for(self, registry: str, url: str, scopes: Scopes) -> str | None:
        """The header for an address that the registry gave us; None where that is another host."""
        if origin(url) != origin(self._endpoints.base_url(registry)):
            return None
        return self._authorizer.header(registry, scopes)

    def _pull(self, repository: Repository) -> Scopes:
        return (f"repository:{self._endpoints.path(repository)}:pull",)

    def _push(self, repository: Repository) -> Scopes:
        return (f"repository:{self._endpoints.path(repository)}:pull,push",)

    def _url(self, repository: Repository, rest: str) -> str:
        return f"{self._endpoints.base_url(repository.registry)}/v2/{self._endpoints.path(repository)}/{rest}"

    def _manifest_url(self, ref: Reference) -> str:
        return self._url(ref.name, f"manifests/{quote(ref.target, safe=':')}")

    def _own(self, registry: str, url: str, location: str) -> str:
        """`location` as a whole URL of the registry's own, where its credential may go."""
        found = self._absolute(registry, url, location)
        if origin(found) != origin(self._endpoints.base_url(registry)):
            raise ConnectionFailed(
                f"`{registry}` goes on with its list on another host, which is not followed",
                host=registry,
                is_temporary=False,
            )
        return found

    def _absolute(self, registry: str, url: str, location: str) -> str:
        """`location` as a whole URL. A registry behind a TLS proxy may write `http`."""
        try:
            parts = urlsplit(urljoin(url, location))
            base = urlsplit(self._endpoints.base_url(registry))
            if parts.scheme == "http" and base.scheme == "https" and parts.hostname == base.hostname:
                parts = parts._replace(scheme=base.scheme, netloc=base.netloc)
            is_usable = parts.scheme in ("http", "https") and (parts.scheme == "https" or base.scheme == "http")
            is_usable = is_usable and may_send_to(base.hostname or "", urlunsplit(parts))
            found = urlunsplit(parts) if is_usable and origin(urlunsplit(parts))[1] else None
        except ValueError:
            found = None
        if found is None:
            raise ConnectionFailed(f"`{registry}` gave an unusable address", host=registry, is_temporary=False)
        return found


class _Rest:
    """What is left of the chunks of a blob."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def take(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes."""
        while size and (chunk := self._left or next(self._chunks, b"")):
            self._left = chunk[size:]
            yield chunk[:size]
            size -= min(size, len(chunk))

    def check_end(self) -> None:
        """Let the chunks find that there are no more of them."""
        next(self._chunks, None)


def _endless(repository: Repository, what: str) -> OciError:
    return OciError(f"`{repository.registry}` goes on listing {what} without end", code="oci.endless_list")


def _with(headers: Mapping[str, str], authorization: str | None) -> Mapping[str, str]:
    return headers if authorization is None else {**headers, "Authorization": authorization}


def _digest_header(headers: Headers) -> Digest | None:
    try:
        return Digest.parse(headers.get("Docker-Content-Digest") or "")
    except InvalidDigest:
        return None


def _put_refusal(response: Response, ref: Reference, document: Document) -> RegistryError:
    """ECR refuses to move an immutable tag with `TAG_INVALID`, Harbor with 412. Malformed tags never get here.

    A registry without OCI 1.1 refuses documents of it with 405 or `UNSUPPORTED`.
    """
    error = refusal(response, f"`{ref}`")
    kind, is_tag = type(error), ref.digest is None
    says_so = {(400, "TAG_INVALID"), (409, "TAG_IMMUTABLE")} & {(response.status, code) for code in error.error_codes}
    if is_tag and (says_so or response.status == 412):
        kind = TagImmutable
    elif (response.status == 405 or "UNSUPPORTED" in error.error_codes) and _is_new(document):
        kind = SubjectRefused
    else:
        return error
    return kind(error.message, status=error.status, host=error.host, error_codes=error.error_codes)


def _is_new(document: Document) -> bool:
    return not read_object(document.raw).keys().isdisjoint({"subject", "artifactType"})


def _from_offset(response: Response, chunks: Iterator[bytes], offset: int, descriptor: Descriptor) -> Iterator[bytes]:
    """The chunks from `offset` on, whether or not the registry knows ranges."""
    if response.status == 206:
        start = _RANGE_START.match(response.headers.get("Content-Range") or "")
        if start is None or int(start[1]) != offset:
            raise SizeMismatch(f"`{response.host}` sent another part of `{descriptor.digest}` than was asked for")
        return chunks
    return _skip(chunks, offset) if offset else chunks


def _is_packed(response: Response, size: int) -> bool:
    """Whether a proxy or storage has packed the blob. Some say `gzip` of a layer that is itself a gzip file."""
    coding = (response.headers.get("Content-Encoding") or "").strip().lower()
    return coding in ("gzip", "x-gzip") and response.headers.get("Content-Length") != str(size)


def _unpacked(response: Response, chunks: Iterator[bytes], descriptor: Descriptor) -> Iterator[bytes]:
    if response.status == 206:
        raise SizeMismatch(f"`{response.host}` sent a part of `{descriptor.digest}` in a packed form")
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:  # a part at a time: a small chunk may unpack to a thousand times its size
                if part := unpacker.decompress(rest, CHUNK_BYTES):
                    yield part
                rest = unpacker.unconsumed_tail
        if part := unpacker.flush():
            yield part
    except zlib.error:
        raise SizeMismatch(f"`{response.host}` sent `{descriptor.digest}` in a packed form that is damaged") from None


def _skip(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for chunk in chunks:
        if count >= len(chunk):
            count -= len(chunk)
        else:
            yield chunk[count:] if count else chunk
            count = 0
