"""The sandbox's own pages, under `/sandbox` on the ports of the upstream stand-ins.

| request | effect |
|---|---|
| `GET /sandbox/status` | list the images of each stand-in, the pulls used and left, and the builds |
| `GET /sandbox/pulls` | list the counted pulls of Docker Hub, by source and by reference |
| `DELETE /sandbox/pulls` | reset the counted pulls |
| `POST /sandbox/images` | JSON `{"references": […], "upstream_limit": n}`: make missing images, set the limit |
| `POST /sandbox/bump?reference=nginx:1.16` | move a tag to another image |
| `POST /sandbox/age?days=60` | make every push and pull in ECR so much older |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from toolkit.oci.errors import OciError
from toolkit.oci.reference import DOCKER_HUB, Reference
from toolkit.sandbox.docker_hub import DockerHubPolicy
from toolkit.sandbox.stock import Stock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT_PREVIEW = "ratelimitpreview/test:latest"
"""The image of Docker Hub by which the pull limit is read, as Docker's documentation says it."""


class Admin:
    """The pages cover the whole sandbox, on every port."""

    def __init__(
        self,
        hub: Stock,
        others: Stock,
        hub_policy: DockerHubPolicy,
        ecr_references: Callable[[], list[str]],
        age_ecr: Callable[[int], None],
        builds: Callable[[], list[dict[str, str]]],
    ) -> None:
        self._hub = hub
        self._others = others
        self._policy = hub_policy
        self._ecr_references = ecr_references
        self._age_ecr = age_ecr
        self._builds = builds
        self._notices: dict[str, str] = {}

    def answer(self, request: Request) -> Response:
        """The response to one request."""
        match request.method, request.path:
            case "GET", "/sandbox/status":
                return _json(self._status())
            case "GET", "/sandbox/pulls":
                return _json(self._pulls())
            case "DELETE", "/sandbox/pulls":
                self._policy.pulls.reset()
                return _json(self._pulls())
            case "POST", "/sandbox/images":
                wanted = request.get_json()
                return self._provide(wanted.get("references", ()), wanted.get("upstream_limit"))
            case "POST", "/sandbox/bump":
                return self._bump(request.args.get("reference", ""))
            case "POST", "/sandbox/age":
                self._age_ecr(int(request.args["days"]) * 86_400)
                return _json({})
        return _json({"error": "no such page"}, 404)

    def _status(self) -> dict[str, object]:
        images = {
            "docker_hub": _images(self._hub),
            "upstream": _images(self._others),
            "ecr": self._ecr_references(),
        }
        notices = list(self._notices.values())
        return {"images": images, "pulls": self._pulls(), "builds": self._builds(), "notices": notices}

    def _pulls(self) -> dict[str, object]:
        used = self._policy.pulls.used("127.0.0.1")
        limit = self._policy.limit or 0
        return self._policy.pulls.snapshot() | {"limit": limit, "used": used, "left": max(limit - used, 0)}

    def _provide(self, texts: Iterable[str], limit: int | None) -> Response:
        if limit is not None:
            self._policy.limit = limit
        try:
            references = [Reference.parse(text) for text in texts]
        except OciError as fault:
            return _json({"error": fault.message}, 400)
        for reference in references:
            name = str(reference)
            bare = reference.tag is None and reference.digest is None
            if self._stock_of(reference).provide(reference.with_tag("latest") if bare else reference):
                self._notices.pop(name, None)
            else:
                self._notices[name] = f"`{name}` is not served: the sandbox cannot make content for a given digest"
        return _json(self._status())

    def _bump(self, text: str) -> Response:
        try:
            reference = Reference.parse(text)
            if reference.tag is None:
                return _json({"error": f"`{text}` has no tag"}, 400)
            digest = self._stock_of(reference).bump(reference)
        except OciError as fault:
            return _json({"error": fault.message}, 400)
        return _json({"reference": str(reference), "digest": str(digest)})

    def _stock_of(self, reference: Reference) -> Stock:
        return self._hub if reference.registry == DOCKER_HUB else self._others


def route(registry: WSGIApplication, policy: DockerHubPolicy, admin: Admin) -> WSGIApplication:
    """The application of a stand-in's port: its registry, its token server, and the sandbox's pages."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/token":
            return policy.grant(Request(environ))(environ, start_response)
        if path.startswith("/sandbox/"):
            return admin.answer(Request(environ))(environ, start_response)
        return registry(environ, start_response)

    return app


def _images(stock: Stock) -> list[str]:
    """The images that can be pulled; signatures come with their images, and one is always there."""
    names = stock.documents.references()
    return [name for name in names if ":sha256-" not in name and name != LIMIT_PREVIEW]


def _json(document: object, status: int = 200) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
