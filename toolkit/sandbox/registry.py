"""A registry: the OCI distribution API over a store, as a WSGI application.

The peculiarities of Docker Hub and ECR are in a `Policy`; `Policy` itself is an open registry without quirks. There is
no catalogue and no conversion to old formats.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected, RequestedRangeNotSatisfiable
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import wrap_file

from toolkit.oci.digest import Digest
from toolkit.oci.errors import InvalidDigest
from toolkit.oci.media_types import INDEX_TYPES, OCI_INDEX
from toolkit.sandbox.documents import RegistryFault, choose, describe_referrer, read_links, read_subject
from toolkit.sandbox.store import BlobStore, Documents, StoredDocument, WrongDigest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_CHUNK = 1 << 20
_LARGEST_DOCUMENT = 4 << 20
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_ROUTES = tuple(
    (re.compile(rf"/v2/(?P<repository>.+){tail}"), kind)
    for tail, kind in (
        (r"/blobs/uploads/?", "uploads"),
        (r"/blobs/uploads/(?P<target>[^/]+)", "upload"),
        (r"/blobs/(?P<target>[^/]+)", "blob"),
        (r"/manifests/(?P<target>[^/]+)", "document"),
        (r"/referrers/(?P<target>[^/]+)", "referrers"),
        (r"/tags/list", "tags"),
    )
)


@dataclass(frozen=True, slots=True)
class Access:
    """The access that a request needs: `action` is `pull`, `push` or `delete`; both fields are empty for the ping."""

    repository: str = ""
    action: str = ""


class Policy:
    """The access rules of a registry, and its differences from the standard. This base class admits everybody."""

    mounts_blobs: bool = True
    names_digest_on_get: bool = True
    locates_documents: bool = True
    patch_status: int = 202
    resumes_without_range: bool = True

    def admit(self, request: Request, access: Access) -> None:
        """Raise RegistryFault unless `request` may have `access`."""

    def check_tag(self, repository: str, tag: str) -> None:
        """Raise RegistryFault unless `tag` may be written now."""

    def serve_document(self, request: Request, repository: str, target: str) -> Mapping[str, str]:
        """Headers for the response; called before a document is served, may raise RegistryFault."""
        return {}


class RegistryApp:
    """The application. `log` is called with every request and its response."""

    def __init__(
        self,
        blobs: BlobStore,
        documents: Documents,
        policy: Policy,
        log: Callable[[Request, Response], None] | None = None,
    ) -> None:
        self._blobs = blobs
        self._documents = documents
        self._policy = policy
        self._log = log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        request = Request(environ)
        try:
            response = self._handle(request)
        except RegistryFault as fault:
            response = fault.response()
        except ClientDisconnected:
            response = RegistryFault(400, "SIZE_INVALID", "the body ended early").response()
        except RequestedRangeNotSatisfiable:
            response = RegistryFault(416, "SIZE_INVALID", "the blob ends before this range").response()
        response.headers.setdefault("Docker-Distribution-Api-Version", "registry/2.0")
        if self._log is not None:
            self._log(request, response)
        return response(environ, start_response)

    def _handle(self, request: Request) -> Response:
        if request.path in ("/v2", "/v2/"):
            self._policy.admit(request, Access())
            return Response("{}", content_type="application/json")
        matches = ((pattern.fullmatch(request.path), kind) for pattern, kind in _ROUTES)
        match, kind = next(((m, kind) for m, kind in matches if m), (None, ""))
        if match is None:
            raise RegistryFault(404, "UNSUPPORTED", "there is nothing at this path")
        found = match.groupdict()
        repository, target = found["repository"], found.get("target", "")
        if len(repository) > 255 or not _NAME.fullmatch(repository):
            raise RegistryFault(400, "NAME_INVALID", "invalid repository name", {"name": repository})
        handler = getattr(self, f"_{kind}_{request.method.lower()}", None)
        if handler is None:
            raise RegistryFault(405, "UNSUPPORTED", "the operation is unsupported")
        self._policy.admit(request, Access(repository, _action(kind, request.method)))
        response: Response = handler(request, repository, target) if target else handler(request, repository)
        return response

    # Blobs

    def _blob_get(self, request: Request, repository: str, target: str) -> Response:
        digest = parse_digest(target)
        path = self._blobs.find(repository, digest)
        if path is None:
            raise RegistryFault(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": target})
        size = path.stat().st_size
        response = Response(content_type="application/octet-stream")
        response.headers["Docker-Content-Digest"] = target
        if request.method == "GET":
            response.response = wrap_file(request.environ, path.open("rb"), _CHUNK)
            response.direct_passthrough = True
        response.content_length = size
        return response.make_conditional(request.environ, accept_ranges=True, complete_length=size)

    _blob_head = _blob_get

    def _blob_delete(self, request: Request, repository: str, target: str) -> Response:
        if not self._blobs.unlink(repository, parse_digest(target)):
            raise RegistryFault(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": target})
        return Response(status=202)

    def _uploads_post(self, request: Request, repository: str) -> Response:
        mount = request.args.get("mount")
        if mount is not None and self._mounted(request, repository, parse_digest(mount)):
            return _blob_created(request, repository, mount)
        digest = request.args.get("digest")
        name = self._blobs.begin_upload()
        if digest is None or mount is not None:
            return _upload_response(request, 202, repository, name, 0)
        self._blobs.append(name, _body(request))
        return self._finish(request, repository, name, digest)

    def _mounted(self, request: Request, repository: str, digest: Digest) -> bool:
        if not self._policy.mounts_blobs:
            return False
        source = request.args.get("from")
        try:
            if source is not None:
                self._policy.admit(request, Access(source, "pull"))
        except RegistryFault:
            return False  # the client falls back to an upload, which is allowed
        exists = self._blobs.exists(digest) if source is None else self._blobs.find(source, digest) is not None
        if exists:
            self._blobs.link(repository, digest)
        return exists

    def _upload_get(self, request: Request, repository: str, target: str) -> Response:
        return _upload_response(request, 204, repository, target, self._received(target))

    def _upload_patch(self, request: Request, repository: str, target: str) -> Response:
        self._receive(request, target)
        return _upload_response(request, self._policy.patch_status, repository, target, self._received(target))

    def _upload_put(self, request: Request, repository: str, target: str) -> Response:
        digest = request.args.get("digest")
        if digest is None:
            raise RegistryFault(400, "DIGEST_INVALID", "the digest is missing")
        parse_digest(digest)
        self._receive(request, target)
        return self._finish(request, repository, target, digest)

    def _upload_delete(self, request: Request, repository: str, target: str) -> Response:
        self._received(target)
        self._blobs.cancel_upload(target)
        return Response(status=204)

    def _received(self, name: str) -> int:
        size = self._blobs.upload_size(name) if re.fullmatch(r"[0-9a-f]{32}", name) else None
        if size is None:
            raise RegistryFault(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        return size

    def _receive(self, request: Request, name: str) -> None:
        """Append the body; RegistryFault unless it begins where the upload ends."""
        size = self._received(name)
        announced = re.match(r"(?:bytes )?(\d+)-\d+", request.headers.get("Content-Range", ""))
        start = int(announced[1]) if announced else size if self._policy.resumes_without_range else 0
        chunks = _body(request)
        first = next(chunks, b"")
        if first and start != size:
            message = f"the upload has {size} bytes, this part starts at {start}"
            raise RegistryFault(416, "BLOB_UPLOAD_INVALID", message, headers={"Range": _range(size)})
        self._blobs.append(name, (first,))
        self._blobs.append(name, chunks)

    def _finish(self, request: Request, repository: str, name: str, digest: str) -> Response:
        try:
            self._blobs.finish_upload(name, repository, parse_digest(digest))
        except WrongDigest:
            raise RegistryFault(400, "DIGEST_INVALID", "provided digest did not match uploaded content") from None
        return _blob_created(request, repository, digest)

    # Manifests, indexes and tags

    def _document_get(self, request: Request, repository: str, target: str) -> Response:
        check_target(target)
        headers = self._policy.serve_document(request, repository, target)
        document = self._documents.find(repository, target)
        if document is not None and ":" not in target:
            document = choose(document, request.accept_mimetypes, lambda child: self._documents.find(repository, child))
        if document is None:
            raise RegistryFault(404, "MANIFEST_UNKNOWN", "manifest unknown", {"target": target}, headers)
        response = Response(document.raw, content_type=document.media_type, headers=dict(headers))
        if request.method == "HEAD" or self._policy.names_digest_on_get:
            response.headers["Docker-Content-Digest"] = str(document.digest)
        return response

    _document_head = _document_get

    def _document_put(self, request: Request, repository: str, target: str) -> Response:
        check_target(target)
        raw = b"".join(_body(request, _LARGEST_DOCUMENT))
        document = StoredDocument(request.mimetype, raw)
        tag = None if ":" in target else target
        if tag is None and str(document.digest) != target:
            raise RegistryFault(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self._check_links(repository, document)
        if tag is not None:
            self._policy.check_tag(repository, tag)
        self._documents.put(repository, document, tag)
        response = Response(status=201, headers={"Docker-Content-Digest": str(document.digest)})
        subject = read_subject(document)
        if subject is not None:
            response.headers["OCI-Subject"] = subject
        if self._policy.locates_documents:
            response.location = f"{request.host_url}v2/{repository}/manifests/{document.digest}"
        return response

    def _check_links(self, repository: str, document: StoredDocument) -> None:
        """Raise RegistryFault unless everything that a document points to is in its repository."""
        missing = []
        for digest in read_links(document):
            if document.media_type in INDEX_TYPES:
                exists = self._documents.find(repository, digest) is not None
            else:
                exists = self._blobs.find(repository, parse_digest(digest)) is not None
            if not exists:
                missing.append(digest)
        if missing:
            message = "manifest references a manifest or blob unknown to registry"
            raise RegistryFault(400, "MANIFEST_BLOB_UNKNOWN", message, {"digest": missing[0]})

    def _document_delete(self, request: Request, repository: str, target: str) -> Response:
        check_target(target)
        if not self._documents.delete(repository, target):
            raise RegistryFault(404, "MANIFEST_UNKNOWN", "manifest unknown", {"target": target})
        return Response(status=202)

    def _referrers_get(self, request: Request, repository: str, target: str) -> Response:
        subject = str(parse_digest(target))
        found = [document for document in self._documents.all(repository) if read_subject(document) == subject]
        manifests = [describe_referrer(document) for document in found]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        return Response(json.dumps(index), content_type=OCI_INDEX)

    def _tags_get(self, request: Request, repository: str) -> Response:
        if not self._documents.has_repository(repository):
            raise RegistryFault(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": repository})
        tags = self._documents.tags(repository)
        limit = request.args.get("n", type=int)
        last = request.args.get("last", "")
        page = [tag for tag in tags if tag > last]
        response = Response(content_type="application/json")
        if limit is not None and 0 < limit < len(page):
            page = page[:limit]
            response.headers["Link"] = f'</v2/{repository}/tags/list?last={page[-1]}&n={limit}>; rel="next"'
        response.data = json.dumps({"name": repository, "tags": page})
        return response


def parse_digest(text: str) -> Digest:
    """Read a digest; RegistryFault if `text` is not one."""
    try:
        return Digest.parse(text)
    except InvalidDigest as fault:
        raise RegistryFault(400, "DIGEST_INVALID", fault.message) from None


def check_target(target: str) -> None:
    """Raise RegistryFault unless `target` is a tag or a digest."""
    if ":" in target:
        parse_digest(target)
    elif not _TAG.fullmatch(target):
        raise RegistryFault(400, "TAG_INVALID", "manifest tag did not match URI", {"tag": target})


def _action(kind: str, method: str) -> str:
    if method == "DELETE" and kind in ("blob", "document"):
        return "delete"
    return "pull" if method in ("GET", "HEAD") and kind != "upload" else "push"


def _body(request: Request, limit: int | None = None) -> Iterator[bytes]:
    seen = 0
    while chunk := request.stream.read(_CHUNK):
        seen += len(chunk)
        if limit is not None and seen > limit:
            raise RegistryFault(413, "MANIFEST_INVALID", f"a manifest has {limit} bytes at most")
        yield chunk


def _range(size: int) -> str:
    return f"0-{max(size - 1, 0)}"


def _blob_created(request: Request, repository: str, digest: str) -> Response:
    headers = {"Location": f"{request.host_url}v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Response(status=201, headers=headers)


def _upload_response(request: Request, status: int, repository: str, name: str, size: int) -> Response:
    # The query exposes clients that append `?digest=` instead of extending the query.
    location = f"{request.host_url}v2/{repository}/blobs/uploads/{name}?_state={secrets.token_urlsafe(8)}"
    return Response(status=status, headers={"Location": location, "Range": _range(size), "Docker-Upload-UUID": name})
