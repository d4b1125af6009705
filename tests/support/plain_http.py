"""Requests on one connection that stays open, by the standard library alone; the product's client takes no part."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The error codes of a registry's body."""
        return [error["code"] for error in self.document["errors"]]


class PlainHttp:
    """A connection to `url`; an absolute path or URL of the same server is asked for."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._headers = headers

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> Answer:
        parts = urlsplit(path)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self.connection.request(method, target, body, {**self._headers, **(headers or {})}, encode_chunked=chunked)
        found = self.connection.getresponse()
        content = found.read()
        return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, content)


@contextmanager
def plain_http(url: str, headers: Mapping[str, str] | None = None) -> Iterator[PlainHttp]:
    """Close the connection at the end of the block."""
    http_ = PlainHttp(url, headers or {})
    try:
        yield http_
    finally:
        http_.connection.close()
