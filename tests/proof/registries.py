"""The registries of the trap: Docker Hub and its like, where every image exists, and an ECR that was seeded."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.ecr.models import ecr_backends
from werkzeug.wrappers import Request

from tests.proof.base_images import make_runnable
from toolkit.oci.digest import Digest
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.sandbox.docker_hub import DockerHubPolicy, PullCounter
from toolkit.sandbox.documents import read_links
from toolkit.sandbox.ecr import EcrApp, EcrPolicy
from toolkit.sandbox.moto_ecr import EcrTokens, MotoDocuments
from toolkit.sandbox.registry import RegistryApp
from toolkit.sandbox.store import BlobStore, DiskDocuments, StoredDocument

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACCOUNT, REGION = "123456789012", "eu-west-1"
ECR_HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
HUB_ACCOUNT = ("proof", "hub pass-word")
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.docker.io"})
_DOCKER_HUB_REALM = re.compile(r"https://[a-z0-9.-]*docker\.io/")


@dataclass(frozen=True, slots=True)
class Seed:
    """An image of the mirror: its upstream name, canonical and with a tag, and its repository in ECR."""

    name: str
    repository: str

    @property
    def tag(self) -> str:
        """The tag, the same on both sides."""
        return self.name.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Extras:
    """What particular images have besides the filesystem, by the beginning of their name.

    `configs` are settings (`OnBuild`), `program_files` the files of this machine to be found at a path in the image.
    """

    configs: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    program_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, name: str) -> dict[str, Any]:
        """The arguments of `make_runnable` for the image `name`."""
        files = next((files for key, files in self.program_files.items() if name.startswith(key)), {})
        return {
            "config": next((value for key, value in self.configs.items() if name.startswith(key)), None),
            "programs": {path: Path(file).read_bytes() for path, file in files.items()},
        }

    def with_file(self, name: str, path: str, file: Path) -> Extras:
        """These, and one more file in the images whose name begins with `name`."""
        files = {**self.program_files.get(name, {}), path: str(file)}
        return Extras(self.configs, {**self.program_files, name: files})


class Ecr:
    """The sandbox's stand-in for ECR, seeded with `seeds`, and the password that opens it."""

    def __init__(self, folder: Path, seeds: Iterable[Seed], extras: Extras) -> None:
        tokens = EcrTokens()
        self.password, _ = tokens.issue(ACCOUNT, REGION)
        self.documents = MotoDocuments(ACCOUNT, REGION)
        self.blobs = BlobStore(folder)
        policy = EcrPolicy(self.documents, self.blobs, ACCOUNT)
        registry = RegistryApp(self.blobs, self.documents, policy)
        self.app: WSGIApplication = EcrApp(tokens, lambda *_: registry)
        for seed in seeds:
            self._seed(seed, extras)

    def find_by_digest(self, digest: str) -> StoredDocument | None:
        """A document of any repository."""
        repositories = ecr_backends[ACCOUNT][REGION].repositories
        return next((found for name in repositories if (found := self.documents.find(name, digest))), None)

    def _seed(self, seed: Seed, extras: Extras) -> None:
        if not self.documents.has_repository(seed.repository):
            ecr_backends[ACCOUNT][REGION].create_repository(seed.repository, None, {}, None, "MUTABLE", [])
        made = make_runnable(
            "ecr",
            seed.name,
            lambda blob: self.blobs.put(seed.repository, blob),
            lambda document: self.documents.put(seed.repository, document, None),
            **extras.of(seed.name),
        )
        self.documents.put(seed.repository, made, seed.tag)


class Outside:
    """Every registry but ECR. An image that is asked for by name is made then; by digest, it is ECR's."""

    def __init__(self, folder: Path, ecr: Ecr, extras: Extras) -> None:
        self._folder = folder
        self._ecr = ecr
        self._extras = extras
        self._apps: dict[str, _OutsideApp] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, to the registry or the token server that its `Host` names."""
        host = Request(environ).host
        name = "docker.io" if host in _DOCKER_HUB or host == "auth.docker.io" else host
        with self._lock:
            if name not in self._apps:
                documents = _MadeUpDocuments(self._folder / name, name, self._ecr, self._extras)
                self._apps[name] = _OutsideApp(self._folder / name, documents)
        return self._apps[name](environ, start_response)


class _OutsideApp:
    """A registry that wants a token, as Docker Hub does, and gives one to everybody."""

    def __init__(self, folder: Path, documents: _MadeUpDocuments) -> None:
        pulls = PullCounter(folder / "pulls.json")
        self._policy = DockerHubPolicy(lambda repository: True, pulls, accounts=dict([HUB_ACCOUNT]))
        self._registry = RegistryApp(documents.blobs, documents, self._policy)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/token":
            return self._policy.grant(Request(environ))(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            told = [(name, _DOCKER_HUB_REALM.sub("https://auth.docker.io/", value)) for name, value in headers]
            return start_response(status, told, exc_info)

        return self._registry(environ, start)


class _MadeUpDocuments(DiskDocuments):
    """Documents that come into being when they are looked for."""

    def __init__(self, folder: Path, host: str, ecr: Ecr, extras: Extras) -> None:
        super().__init__(folder)
        self.blobs = ecr.blobs
        self._host = host
        self._ecr = ecr
        self._extras = extras
        self._making = threading.RLock()

    def find(self, repository: str, target: str) -> StoredDocument | None:
        with self._making:
            found = super().find(repository, target)
            if found is not None:
                return found
            return self._borrow(repository, target) if ":" in target else self._make(repository, target)

    def _borrow(self, repository: str, digest: str) -> StoredDocument | None:
        document = self._ecr.find_by_digest(digest)
        if document is not None:
            self.put(repository, document, None)
            for link in read_links(document) if document.media_type not in INDEX_TYPES else ():
                self.blobs.link(repository, Digest.parse(link))
        return document

    def _make(self, repository: str, tag: str) -> StoredDocument:
        name = f"{self._host}/{repository}:{tag}"
        made = make_runnable(
            "hub",
            name,
            lambda blob: self.blobs.put(repository, blob),
            lambda document: self.put(repository, document, None),
            **self._extras.of(name),
        )
        self.put(repository, made, tag)
        return made
