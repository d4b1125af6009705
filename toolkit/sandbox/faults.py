"""How a registry says no."""

from __future__ import annotations

import json
from collections.abc import Mapping

from werkzeug.wrappers import Response


class RegistryFault(Exception):
    """A refusal: the status, one error of the distribution API, and headers such as a challenge."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer, with the JSON body that the distribution API prescribes."""
        error = {"code": self.code, "message": self.message}
        body = {"errors": [error if self.detail is None else error | {"detail": self.detail}]}
        return Response(json.dumps(body), self.status, self.headers, content_type="application/json")
