"""A real `docker-registry` on a free loopback port, with its access log; or a skipped test where it is not installed."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.real_parts import require

USERNAME = "tester"
PASSWORD = "pass-word"
# bcrypt of the above, which is all that docker-registry reads.
_HTPASSWD = f"{USERNAME}:$2b$04$nj1fHY2L9mTEg05LSgGVl.pkcTgjfu9cLuf4P2FVoIMDGuMHsLdlC\n"

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
_ACCESS = re.compile(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d{3}) (\d+|-) "[^"]*" "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Access:
    """One line of the access log; `path` carries the query."""

    method: str
    path: str
    status: int
    user_agent: str


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """`host` is `127.0.0.1:port`; with `needs_login` it wants USERNAME and PASSWORD by Basic."""

    host: str
    folder: Path
    needs_login: bool

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def accesses(self) -> list[Access]:
        """Every request so far that was answered whole, in order of its end."""
        text = (self.folder / "access.log").read_text()
        return [Access(m, path, int(status), agent) for m, path, status, _, agent in _ACCESS.findall(text)]

    def manifest_gets(self) -> list[str]:
        """What Docker Hub would count as pulls: the paths of `GET /v2/*/manifests/*`."""
        return [a.path for a in self.accesses() if a.method == "GET" and "/manifests/" in a.path]


@contextmanager
def running_registry(folder: Path, *, needs_login: bool = False) -> Iterator[RunningRegistry]:
    """Start a registry with its data and logs in `folder` (made if absent; kept, so that it can be started again)."""
    program = require("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    auth = ""
    if needs_login:
        (folder / "htpasswd").write_text(_HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n"
    (folder / "config.yml").write_text(
        "version: 0.1\n"
        "log: {level: info, accesslog: {disabled: false}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f'http: {{addr: "127.0.0.1:0", secret: tests}}\n{auth}'
    )
    with (
        (folder / "access.log").open("wb") as access_log,
        (folder / "registry.log").open("wb") as own_log,
        subprocess.Popen(
            [program, "serve", str(folder / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=access_log,
            stderr=own_log,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        ) as process,
    ):
        try:
            yield RunningRegistry(_wait_for_address(process, folder / "registry.log"), folder, needs_login)
        finally:
            process.terminate()


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = _LISTENING.search(log.read_text())
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"docker-registry does not listen: {log.read_text()[-500:]}")
