"""AWS: moto's server application, completed where the product needs more.

Importing this module imports moto, which takes most of a second; only the server process does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from toolkit.sandbox.moto_codebuild import complete_codebuild
from toolkit.sandbox.moto_ecr import EcrTokens, complete_ecr

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.serving import WSGIRequestHandler

AWS_HANDLER = cast("type[WSGIRequestHandler]", MotoRequestHandler)


def make_aws(tokens: EcrTokens) -> WSGIApplication:
    """The application; `tokens` learns what GetAuthorizationToken hands out."""
    complete_ecr(tokens)
    complete_codebuild()
    app: Any = DomainDispatcherApplication(create_backend_app)
    return cast("WSGIApplication", app)
