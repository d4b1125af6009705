"""A source and a destination on HTTP, both stand-ins behind faults, the seeder between them, and a look at the disk.

The destination may trust its clients blindly, so that only the engine is to blame for what a tag points to.
"""

from __future__ import annotations

import base64
import itertools
import secrets
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from tests.support.clocks import FakeTime
from tests.support.fault_injection import FaultyServer, faulty_server
from tests.support.made_images import MadeImage
from toolkit.events import Event
from toolkit.oci.auth import Credential
from toolkit.oci.client import RegistryClient
from toolkit.oci.copy import CopyRequest
from toolkit.oci.digest import Digest
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.transport import OnRetry, Transport
from toolkit.report import SeedOutcome
from toolkit.sandbox.documents import RegistryFault, read_links
from toolkit.sandbox.ecr import EcrPolicy
from toolkit.sandbox.registry import Policy, RegistryApp
from toolkit.sandbox.store import BlobStore, DiskDocuments, StoredDocument
from toolkit.seed.retry_policy import RetryPolicy
from toolkit.seed.seeder import Seeder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

USERNAME, PASSWORD = "somebody", "pass-word"
# No pause takes time, and how long a missing repository is looked for is counted in looks at the clock.
QUICK = RetryPolicy(upload=(0.0, 0.0, 0.0), missing=0.0, missing_limit=0.3)
_TICK = 0.01


class App(RegistryApp):
    """`trusts`: it takes documents whatever they point to. `links_referred`: like ECR it links only what a document of
    the other repository refers to."""

    trusts = False
    links_referred = False

    def _check_links(self, repository: str, document: StoredDocument) -> None:
        if not self.trusts:
            super()._check_links(repository, document)

    def _mounted(self, request: Request, repository: str, digest: Digest) -> bool:
        there = self._documents.all(request.args.get("from", ""))
        if self.links_referred and not any(str(digest) in read_links(document) for document in there):
            return False
        return super()._mounted(request, repository, digest)


class TrustingBlobs(BlobStore):
    """Takes a blob whatever its digest; a body that ended early is none."""

    def finish_upload(self, name: str, repository: str, digest: Digest) -> None:
        place = self._content(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        (self._uploads / name).replace(place)
        self.link(repository, digest)


class EcrDocuments(DiskDocuments):
    """Documents of repositories that all exist, as ECR's rules ask for them."""

    def __init__(self, folder: Path, *, immutable: bool) -> None:
        super().__init__(folder)
        self._immutable = immutable

    def repository(self, name: str) -> EcrDocuments:
        return self

    def is_tag_immutable(self) -> bool:
        return self._immutable


class TokenServer:
    """A registry that wants a token, and the server that gives one to USERNAME, or to anybody if `anonymous`."""

    def __init__(self, app: WSGIApplication, *, anonymous: bool = False) -> None:
        self.realm = ""
        self.valid: set[str] = set()
        self._app = app
        self._anonymous = anonymous

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path == "/token":
            return self._token(request)(environ, start_response)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in self.valid:
            return self._app(environ, start_response)
        challenge = {"WWW-Authenticate": f'Bearer realm="{self.realm}",service="tests"'}
        return RegistryFault(401, "UNAUTHORIZED", "sign in", headers=challenge).response()(environ, start_response)

    def _token(self, request: Request) -> Response:
        expected = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if not self._anonymous and request.headers.get("Authorization") != expected:
            return RegistryFault(401, "UNAUTHORIZED", "who are you?").response()
        token = secrets.token_hex(8)
        self.valid.add(token)
        return Response(f'{{"token": "{token}", "expires_in": 300}}', content_type="application/json")


class Elsewhere:
    """A registry whose blobs are read at a storage on another host."""

    def __init__(self, app: WSGIApplication, storage: str) -> None:
        self._app = app
        self._storage = storage

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.method == "GET" and "/blobs/sha256:" in request.path:
            headers = {"Location": f"{self._storage}{request.path}?signature=secret"}
            return Response(status=307, headers=headers)(environ, start_response)
        return self._app(environ, start_response)


class Storage:
    """Serves what `app` has to those who come without the credentials that are meant for it, as S3 does."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_AUTHORIZATION" in environ:
            return Response("one credential is enough", status=400)(environ, start_response)
        return self._app(environ, start_response)


@dataclass(slots=True)
class Side:
    """One of the two registries; `app` is the registry itself, whatever stands before it."""

    server: FaultyServer
    folder: Path
    documents: DiskDocuments
    blobs: BlobStore
    app: WSGIApplication

    def name(self, path: str) -> Repository:
        return Repository(self.server.host, path)

    def keep(self, made: MadeImage, path: str, tag: str | None = None) -> Reference:
        """Have an image from the start; its reference with the digest."""
        for child in made.children:
            self.keep(child, path)
        for content in made.blobs.values():
            self.blobs.put(path, content)
        self.documents.put(path, StoredDocument(made.document.media_type, made.document.raw), tag)
        return self.name(path).with_digest(made.digest)

    def tags(self) -> dict[str, str]:
        """The digest of every tag, read from the disk."""
        tags = {}
        for reference in self.documents.references():
            path, _, tag = reference.rpartition(":")
            found = self.documents.find(path, tag)
            tags[reference] = str(found.digest) if found else "nothing"
        return tags

    def damage(self) -> list[str]:
        """Tags without all of their content, and blobs that are not what they are called; read from the disk."""
        found = [f"blob {p.name}" for p in self.folder.glob("blobs/sha256/*/*") if _digest_of(p).hex != p.name]
        for reference in self.documents.references():
            path, _, tag = reference.rpartition(":")
            found += [f"{reference}: {what}" for what in self._lacks(path, tag)]
        return found

    def _lacks(self, path: str, target: str) -> Iterator[str]:
        document = self.documents.find(path, target)
        if document is None or (":" in target and str(document.digest) != target):
            yield f"no {target}"
        elif document.media_type in INDEX_TYPES:
            for child in read_links(document):
                yield from self._lacks(path, child)
        else:
            yield from (f"no {d}" for d in read_links(document) if self.blobs.find(path, Digest.parse(d)) is None)


def open_side(server: FaultyServer, folder: Path, *, ecr: str = "", links: str = "all", trusts: bool = False) -> Side:
    """An empty registry in `folder`, served from now on: open, or with `ecr` one by ECR's rules, `mutable` or `immutable`.

    `links` are the mounts that it accepts: `all`, `none` or those of blobs that are `referred` to.
    """
    blobs = (TrustingBlobs if trusts else BlobStore)(folder)
    documents = EcrDocuments(folder, immutable=ecr == "immutable")
    rules = EcrPolicy(documents, blobs, "123456789012") if ecr else Policy()  # type: ignore[arg-type]  # a fake
    rules.mounts_blobs = links != "none"
    app = App(blobs, documents, rules)
    app.trusts, app.links_referred = trusts, links == "referred"
    server.restart(app)
    return Side(server, folder, documents, blobs, app)


@dataclass(slots=True)
class Passing:
    """A clock that goes on a little with each look."""

    count: Iterator[float] = field(default_factory=lambda: itertools.count(1_000.0, _TICK))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        with self.lock:
            return next(self.count)


class Login:
    """USERNAME and PASSWORD for these hosts."""

    def __init__(self, *hosts: str) -> None:
        self._hosts = hosts

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential(USERNAME, PASSWORD) if registry in self._hosts else None


def quick_transport(time: FakeTime, *, attempts: int = 6, on_retry: OnRetry | None = None) -> Transport:
    """A transport whose pauses take no time."""
    return Transport(
        read_timeout=5,
        upload_timeout=5,
        attempts=attempts,
        on_retry=on_retry,
        sleep=time.sleep,
        clock=time.clock,
        wall_clock=time.clock,
        proxies={},
    )


@dataclass(slots=True)
class Play:
    """Both registries, and the time of those who wait for them. `events` are those of the last run.

    `transport` may be shared between plays: it takes longer to make than a small image to copy.
    """

    source: Side
    destination: Side
    time: FakeTime = field(default_factory=FakeTime)
    transport: Transport | None = None
    login: Login = field(default_factory=Login)
    endpoints: Endpoints = field(default_factory=Endpoints)
    events: list[Event] = field(default_factory=list)

    def requests(self, images: Mapping[str, MadeImage], **options: Any) -> list[CopyRequest]:
        """Copies of images by `repository:tag`, which the source has from now on."""
        found = []
        for key, made in images.items():
            path, _, tag = key.partition(":")
            pinned = self.source.keep(made, path, tag)
            found.append(CopyRequest(key, pinned, self.destination.name(path).with_tag(tag), **options))
        return found

    def seed(self, requests: list[CopyRequest], *, jobs: int = 3) -> list[SeedOutcome]:
        """A run as the program makes it."""
        self.events = []
        self.transport = self.transport or quick_transport(self.time)
        client = RegistryClient(
            transport=self.transport, credentials=self.login, endpoints=self.endpoints, clock=self.time.clock
        )
        return Seeder(client, client, self.events.append, jobs=jobs, retry_policy=QUICK, clock=Passing()).seed(requests)


@contextmanager
def two_servers() -> Iterator[tuple[FaultyServer, FaultyServer]]:
    """Servers for the two sides, which outlive what they serve."""
    with idle_server() as source, idle_server() as destination:
        yield source, destination


def idle_server(tls: ssl.SSLContext | None = None) -> AbstractContextManager[FaultyServer]:
    """A server that has nothing to serve yet."""
    return faulty_server(_nobody, tls=tls)


def _nobody(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return RegistryFault(404, "NAME_UNKNOWN", "nothing is served yet").response()(environ, start_response)


def _digest_of(path: Path) -> Digest:
    return Digest.of(path.read_bytes())
