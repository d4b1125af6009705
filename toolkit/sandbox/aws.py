"""AWS: moto's server application, completed where the product needs more, with a log of the calls.

Only the server process imports this module: to import moto takes most of a second.
"""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from moto.iam import models as iam_models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from toolkit.sandbox.moto_codebuild import complete_codebuild, complete_logs
from toolkit.sandbox.moto_ecr import EcrTokens, complete_ecr
from toolkit.sandbox.moto_quotas import complete_quotas

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import WSGIRequestHandler

# More calls than can be in flight.
_REMEMBERED = 1000

AWS_HANDLER = cast("type[WSGIRequestHandler]", MotoRequestHandler)


def make_aws(account_id: str, tokens: EcrTokens, log: Callable[[str, str, int], None]) -> WSGIApplication:
    """The application; `tokens` records the tokens of GetAuthorizationToken, `log` gets action, path and status.

    A repeated create call gets the first response again. On loopback, the provider loses one response in some hundreds
    and retries; without this, the retry would fail because the resource already exists. Credentials from AssumeRole
    belong to the role's account, all others to `account_id`.
    """
    iam_models.DEFAULT_ACCOUNT_ID = account_id
    complete_ecr(tokens)
    complete_codebuild()
    complete_logs()
    complete_quotas()
    # Werkzeug writes a line per request, always `POST /`; `log` says more. Errors are still written.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    moto: Any = DomainDispatcherApplication(create_backend_app)

    done: OrderedDict[str, tuple[str, list[tuple[str, str]], list[bytes]]] = OrderedDict()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        action = _action(environ)
        call = str(environ.get("HTTP_AMZ_SDK_INVOCATION_ID", ""))
        if call in done:
            status, headers, body = done[call]
            log(action, environ["PATH_INFO"], int(status.partition(" ")[0]))
            start_response(status, headers)
            return body
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def logged(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            log(action, environ["PATH_INFO"], int(status.partition(" ")[0]))
            started[:] = [(status, headers)]
            return start_response(status, headers, exc_info)

        response = cast("Iterable[bytes]", moto(environ, logged))
        if not call or not action.startswith("Create") or not started or not started[0][0].startswith("2"):
            return response
        body = list(response)
        done[call] = (*started[0], body)
        while len(done) > _REMEMBERED:
            done.popitem(last=False)
        return body

    return app


def _action(environ: WSGIEnvironment) -> str:
    """The AWS action, such as `GetCallerIdentity`; the HTTP method if neither header nor body names an action."""
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rpartition(".")[2]
    if str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return str(parse_qs(body.decode(errors="replace")).get("Action", [""])[0])
    return str(environ["REQUEST_METHOD"])
