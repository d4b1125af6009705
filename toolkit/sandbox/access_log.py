"""What was asked of a stand-in: a JSON line a request, without queries and headers, so without secrets."""

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

    def __call__(self, request: Request, response: Response) -> None:
        """Write down one request with its answer's status."""
        line = {
            "time": round(time.time(), 3),
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "bytes": request.content_length or 0,
            "agent": request.headers.get("User-Agent", ""),
        }
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
