"""What was asked of the sandbox: a JSON line a request, without queries and headers, so without secrets."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from werkzeug.wrappers import Request, Response


class AccessLog:
    """Appends to `file`; safe to share between threads."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1)
        self._lock = threading.Lock()

    def registry_request(self, request: Request, response: Response) -> None:
        """Write down a request to a registry, with its answer's status."""
        self._write(
            method=request.method,
            path=request.path,
            status=response.status_code,
            bytes=request.content_length or 0,
            agent=request.headers.get("User-Agent", ""),
        )

    def aws_call(self, action: str, path: str, status: int) -> None:
        """Write down a call to AWS."""
        self._write(action=action, path=path, status=status)

    def _write(self, **fields: object) -> None:
        line = json.dumps({"time": round(time.time(), 3)} | fields)
        with self._lock:
            self._file.write(line + "\n")
