"""Makes a registry behave like ECR: AWS's token, repositories that must exist, immutable tags, and ECR's quirks.

moto holds the repositories and documents; only blobs are kept here. A repository that is created again in AWS starts
without blobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from moto.utilities.utils import get_partition
from werkzeug.wrappers import Request

from toolkit.sandbox.access_control import Principal, Right, registry_rights
from toolkit.sandbox.documents import RegistryFault
from toolkit.sandbox.moto_ecr import EcrToken, EcrTokens, MotoDocuments
from toolkit.sandbox.registry import Access, Policy, RegistryApp
from toolkit.sandbox.store import BlobStore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class EcrPolicy(Policy):
    """The rules of ECR in one region. `mounts_blobs` is the account setting BLOB_MOUNTING."""

    names_digest_on_get = False
    locates_documents = False
    patch_status = 201
    resumes_without_range = False

    def __init__(self, documents: MotoDocuments, blobs: BlobStore, account_id: str, mounts_blobs: bool = False) -> None:
        self._documents = documents
        self._blobs = blobs
        self._account_id = account_id
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.mounts_blobs = mounts_blobs

    def admit(self, request: Request, access: Access) -> None:
        """Refuse deletions, and requests for a repository that does not exist."""
        if not access.repository:
            return
        if access.action == "delete":
            raise RegistryFault(405, "UNSUPPORTED", "The operation is unsupported.")
        repository = self._documents.repository(access.repository)
        if repository is None:
            message = (
                f"The repository with name '{access.repository}' does not exist "
                f"in the registry with id '{self._account_id}'"
            )
            raise RegistryFault(404, "NAME_UNKNOWN", message)
        with self._lock:
            known = self._known.setdefault(access.repository, repository)
            if known is not repository:
                self._blobs.forget(access.repository)
                self._known[access.repository] = repository

    def serve_document(self, request: Request, repository: str, target: str) -> Mapping[str, str]:
        """Remember the pull, as ECR does."""
        if request.method == "GET":
            self._documents.note_pull(repository, target)
        return {}

    def check_tag(self, repository: str, tag: str) -> None:
        """Refuse an existing immutable tag, even for its current digest."""
        if self._documents.repository(repository).is_tag_immutable() and self._documents.find(repository, tag):
            message = (
                f"The image tag '{tag}' already exists in the '{repository}' repository "
                "and cannot be overwritten because the tag is immutable."
            )
            raise RegistryFault(400, "TAG_INVALID", message)


def ecr_rights(request: Request, account_id: str, region: str) -> tuple[Right, ...]:
    """The rights that a request to the registry of the account and region needs."""
    repositories = f"arn:{get_partition(region)}:ecr:{region}:{account_id}:repository/"
    return tuple(registry_rights(request.method, request.path, repositories))


class EcrApp:
    """The registries of all accounts and regions: a request's token determines which one answers."""

    def __init__(
        self,
        tokens: EcrTokens,
        make_app: Callable[[str, str], RegistryApp],
        log: Callable[..., None] | None = None,
        principal_of: Callable[[str], Principal | None] = lambda key: None,
    ) -> None:
        self._tokens = tokens
        self._make_app = make_app
        self._log = log
        self._principal_of = principal_of
        self._apps: dict[tuple[str, str], RegistryApp] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        request = Request(environ)
        try:
            token = self._authenticate(request)
            self._authorize(request, token)
        except RegistryFault as fault:
            response = fault.response()
            if self._log is not None:
                self._log(request, response)
            return response(environ, start_response)
        with self._lock:
            place = (token.account_id, token.region)
            app = self._apps.get(place)
            if app is None:
                app = self._apps[place] = self._make_app(*place)
        return app(environ, start_response)

    def _authorize(self, request: Request, token: EcrToken) -> None:
        """Refuse what the role to whose session the token was issued has no right for."""
        principal = self._principal_of(token.access_key)
        sentence = principal.lacks(ecr_rights(request, token.account_id, token.region)) if principal else None
        if sentence:
            raise RegistryFault(403, "DENIED", sentence)

    def _authenticate(self, request: Request) -> EcrToken:
        given = request.authorization
        token = None
        if given is not None and given.type == "basic" and given.username == "AWS":
            token = self._tokens.find(given.password or "")
        if token is None:
            challenge: Mapping[str, str] = {
                "WWW-Authenticate": f'Basic realm="{request.host_url}",service="ecr.amazonaws.com"'
            }
            raise RegistryFault(401, "UNAUTHORIZED", "Not Authorized", headers=challenge)
        if token.expires <= self._tokens.clock():
            message = "Your authorization token has expired. Reauthenticate and try again."
            raise RegistryFault(403, "DENIED", message)
        return token
