"""AWS: moto's server application, completed where the product needs more, with a log of the calls.

Only the server process imports this module: to import moto takes most of a second.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from moto.iam import models as iam_models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from toolkit.sandbox.access_control import World, read_call, refusal, rights_of
from toolkit.sandbox.moto_builds import Builds
from toolkit.sandbox.moto_codebuild import complete_codebuild, complete_logs
from toolkit.sandbox.moto_ecr import EcrTokens, complete_ecr
from toolkit.sandbox.moto_events import complete_events
from toolkit.sandbox.moto_quotas import complete_quotas
from toolkit.sandbox.moto_simulation import complete_simulation

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import WSGIRequestHandler

# More calls than can be in flight.
_REMEMBERED = 1000

AWS_HANDLER = cast("type[WSGIRequestHandler]", MotoRequestHandler)


def make_aws(
    account_id: str,
    tokens: EcrTokens,
    log: Callable[..., None],
    backfill: Callable[[str, str, str], str],
    builds: Builds,
) -> WSGIApplication:
    """The application; `tokens` records the tokens of GetAuthorizationToken, `backfill` is ECR's.

    `log` gets the action, the path, the status, and the rights that the call needs. A call of a role's session without
    these rights is refused.

    A repeated create, put or start call gets the first response again. On loopback, the provider loses one response in
    some hundreds and retries; without this, the retry would fail because the resource, or Terraform's own lock, exists.
    Credentials from AssumeRole belong to the role's account, all others to `account_id`.
    """
    iam_models.DEFAULT_ACCOUNT_ID = account_id
    complete_ecr(tokens, backfill)
    complete_codebuild()
    builds.complete()
    complete_events(builds)
    complete_logs()
    complete_quotas()
    complete_simulation()
    # Werkzeug writes a line per request, always `POST /`; `log` says more. Errors are still written.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    moto: Any = DomainDispatcherApplication(create_backend_app)

    done: OrderedDict[str, tuple[str, list[tuple[str, str]], list[bytes]]] = OrderedDict()

    world = World()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Whoever calls can start a build, and so run commands. moto would let any web page in the user's browser do so.
        if "HTTP_ORIGIN" in environ:
            start_response("403 Forbidden", [("Content-Length", "0")])
            return []
        call = read_call(environ)
        rights = tuple(rights_of(call, world.account_of(call.key), world)) if call.service else ()

        def record(status: str) -> None:
            log(call.action, environ["PATH_INFO"], int(status.partition(" ")[0]), rights)

        principal = world.principal(call.key)
        if principal and (sentence := principal.lacks(rights)):
            status, headers, refused = refusal(call, sentence)
            record(status)
            start_response(status, headers)
            return [refused]
        invocation = str(environ.get("HTTP_AMZ_SDK_INVOCATION_ID", ""))
        if invocation in done:
            status, headers, body = done[invocation]
            record(status)
            start_response(status, headers)
            return body
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def logged(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            record(status)
            started[:] = [(status, headers)]
            return start_response(status, headers, exc_info)

        response = cast("Iterable[bytes]", moto(environ, logged))
        is_once_only = call.action.startswith(("Create", "Put", "Start")) or call.action == "PUT"
        if not invocation or not is_once_only or not started or not started[0][0].startswith("2"):
            return response
        body = list(response)
        done[invocation] = (*started[0], body)
        while len(done) > _REMEMBERED:
            done.popitem(last=False)
        return body

    return app
