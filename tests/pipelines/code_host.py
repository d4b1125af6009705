"""The part of GitHub's and GitLab's API that the examples call, on loopback and with memory.

GitHub's `gh` asks it as a proxy, because it speaks plain HTTP with `api.github.localhost` alone; curl asks it by its address.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

BOT = "github-actions[bot]"
_ID_OF_BOT = 7


@dataclass
class CodeHost:
    """`comments` of pull request 5, `issues` of the repository, in the order in which they were written.

    `main` gives the newest commit of the branch. `requests` are methods and paths. A token in `rights` may do no more than
    these permissions say; `used` are those that it made use of.
    """

    main: Callable[[], str]
    user: str = BOT
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    rights: dict[str, dict[str, str]] = field(default_factory=dict)
    used: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    url: str = ""

    def say(self, author: str, body: str) -> None:
        """Somebody else writes a comment."""
        self._add(self.comments, author, {"body": body})

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the document."""
        self.requests.append((method, path))
        if not token:
            return 401, {"message": "Requires authentication"}
        if token in self.rights:
            what = "contents" if "/commits/" in path else "pull-requests" if "comments" in path else "issues"
            how = "read" if what == "contents" else "write"  # those who write read first
            if self.rights[token].get(what) != how:
                return 403, {"message": "Resource not accessible by integration"}
            self.used.setdefault(token, set()).add((what, how))
        for wanted, pattern, action in self._routes():
            if method == wanted and (found := re.fullmatch(pattern, path)):
                return action(body, *found.groups())
        return 404, {"message": "Not Found"}

    def _routes(self) -> list[tuple[str, str, Callable[..., tuple[int, Any]]]]:
        repository, notes = "/repos/acme/base-images", "/projects/31/merge_requests/5/notes"
        return [
            ("GET", f"{repository}/commits/main", lambda _: (200, {"sha": self.main()})),
            ("GET", f"{repository}/issues/5/comments", lambda _: (200, self.comments)),
            ("POST", f"{repository}/issues/5/comments", lambda body: self._add(self.comments, self.user, body)),
            (
                "PATCH",
                rf"{repository}/issues/comments/(\d+)",
                lambda body, n: self._change(self.comments, "id", n, body),
            ),
            ("GET", f"{repository}/issues", lambda _: (200, [one for one in self.issues if one["state"] == "open"])),
            ("POST", f"{repository}/issues", lambda body: self._add(self.issues, self.user, body)),
            ("PATCH", rf"{repository}/issues/(\d+)", lambda body, n: self._change(self.issues, "number", n, body)),
            ("GET", "/user", lambda _: (200, {"id": _ID_OF_BOT, "login": self.user})),
            ("GET", notes, lambda _: (200, self.comments)),
            ("POST", notes, lambda body: self._add(self.comments, self.user, body)),
            ("PUT", rf"{notes}/(\d+)", lambda body, n: self._change(self.comments, "id", n, body)),
        ]

    def _add(self, to: list[dict[str, Any]], author: str, body: dict[str, Any]) -> tuple[int, Any]:
        number = 100 + len(to)
        whose = {"login": author, "id": _ID_OF_BOT if author == self.user else 8}
        to.append({"id": number, "number": number, "state": "open", "user": whose, "author": whose, **body})
        return 201, to[-1]

    def _change(self, what: list[dict[str, Any]], key: str, number: str, body: dict[str, Any]) -> tuple[int, Any]:
        for one in what:
            if one[key] == int(number):
                assert one["user"]["login"] == self.user, "somebody else's text was overwritten"
                one.update(body)
                return 200, one
        return 404, {"message": "Not Found"}


@contextmanager
def code_host(main: Callable[[], str], user: str = BOT) -> Iterator[CodeHost]:
    """Serve one until the end of the block."""
    host = CodeHost(main, user)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path).path
            token = self.headers.get("PRIVATE-TOKEN") or self.headers.get("Authorization", "").rpartition(" ")[2]
            status, document = host.answer(self.command, path, token, json.loads(content or b"{}"))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = answer

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
