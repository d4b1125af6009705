"""Starts, finds and stops the sandbox: one server process per folder, also with concurrent or repeated calls.

The product uses it only by its environment variables; see `environment`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import toolkit
from toolkit.errors import Refused
from toolkit.sandbox import record
from toolkit.sandbox.record import Record

ACCOUNT_ID, REGION = "123456789012", "us-east-1"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
# To make a thousand images takes a minute.
_RESPONSE_SECONDS = 600.0
# Settings that would make the AWS tools use another endpoint or other credentials.
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)

# Our own children. We wait for them, so that they do not stay as zombies while this process runs.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class StartedBuild:
    """A build of CodeBuild: `initiator` started it, `message` says why it was not run or failed."""

    id: str
    status: str
    initiator: str
    message: str


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """A sandbox that accepts requests.

    `images` are `<repository>:<tag>` by stand-in (`docker_hub`, `upstream`, `ecr`). `pulls_used` and `pulls_left` are
    the counted pulls of Docker Hub without an account. `notices` are about references that cannot be served.
    """

    folder: Path
    pid: int
    account_id: str
    region: str
    aws_endpoint: str
    docker_hub_endpoint: str
    upstream_endpoint: str
    ecr_endpoint: str
    pulls_used: int = 0
    pulls_left: int = 0
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    builds: tuple[StartedBuild, ...] = ()
    notices: tuple[str, ...] = ()


def up(
    folder: Path,
    references: Sequence[str] = (),
    *,
    account_id: str | None = None,
    region: str | None = None,
    upstream_limit: int = 100,
) -> SandboxStatus:
    """Ensure a sandbox in `folder` with an image for each of `references`; a running one is kept and extended.

    Without an account or region, the values of the running sandbox are kept; a new one gets `ACCOUNT_ID` and `REGION`.
    Raises Refused if the running sandbox has another account.
    """
    with _usable(folder):
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
    with _usable(folder), record.take_turn(folder):
        running = record.read_record(folder)
        if running is not None and not _answers(running):
            running = None
        if running is None:
            _stop(folder)
            running = _start(folder, account_id or ACCOUNT_ID, region or REGION, upstream_limit)
        if account_id not in (None, running.account_id):
            raise Refused(
                "sandbox.other_account",
                f"the sandbox in `{folder}` simulates account `{running.account_id}`, not `{account_id}`",
                hint="stop it first: `toolkit sandbox down`",
            )
        if region is not None and region != running.region:
            running = replace(running, region=region)
            record.write_record(folder, running)
    wanted = {"references": list(references), "upstream_limit": upstream_limit}
    return _status(folder, running, _request(running, "POST", "/sandbox/images", wanted))


def down(folder: Path) -> bool:
    """Stop the sandbox in `folder`, also one that does not respond; False if there was none. The folder stays."""
    with _usable(folder):
        folder = folder.resolve()
        if not folder.is_dir():
            return False
        with record.take_turn(folder):
            return _stop(folder)


def status(folder: Path) -> SandboxStatus | None:
    """The sandbox in `folder`; None if there is none that responds."""
    with _usable(folder):
        folder = folder.resolve()
        running = record.read_record(folder)
    if running is None or not _answers(running):
        return None
    return _status(folder, running, _request(running, "GET", "/sandbox/status"))


def bump(status: SandboxStatus, reference: str) -> str:
    """Point an upstream tag to another image, as its publisher does; the digest that it has from now on."""
    running = record.read_record(status.folder)
    if running is None:
        raise Refused("sandbox.not_running", f"no sandbox runs in `{status.folder}`")
    return str(_request(running, "POST", f"/sandbox/bump?{urlencode({'reference': reference})}")["digest"])


def environment(status: SandboxStatus, current: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """The variables to set so that every command uses the sandbox; None means unset. Extends NO_PROXY of `current`."""
    unset = [*_UNSET, *(name for name in current if name.startswith("AWS_ENDPOINT_URL_"))]
    no_proxy = current.get("NO_PROXY") or current.get("no_proxy") or ""
    if "127.0.0.1" not in no_proxy.split(","):
        no_proxy = f"{no_proxy},127.0.0.1" if no_proxy else "127.0.0.1"
    registries = {
        "docker.io": status.docker_hub_endpoint,
        "*.dkr.ecr.*": status.ecr_endpoint,
        "*": status.upstream_endpoint,
    }
    return dict.fromkeys(unset) | {
        "AWS_ENDPOINT_URL": status.aws_endpoint,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": status.region,
        "AWS_DEFAULT_REGION": status.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TOOLKIT_REGISTRY_ENDPOINTS": " ".join(f"{pattern}={url}" for pattern, url in registries.items()),
        # An empty folder, so that the user's own credentials are not sent to a stand-in.
        "DOCKER_CONFIG": str(status.folder / "docker"),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            "sandbox.folder_unusable",
            f"the folder `{folder}` cannot be used: {error.strerror}",
            hint="name another one with `--folder`, or make it writable",
        ) from error


def _start(folder: Path, account_id: str, region: str, upstream_limit: int) -> Record:
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise Refused(
            "sandbox.not_installed",
            "the sandbox needs `moto`, which is not installed",
            hint="install it: `pip install 'base-image-toolkit[sandbox]'`",
        )
    (folder / "docker").mkdir(exist_ok=True)
    settings = {
        "--folder": str(folder),
        "--account-id": account_id,
        "--region": region,
        "--upstream-limit": str(upstream_limit),
    }
    words = [word for pair in settings.items() for word in pair]
    package = str(Path(toolkit.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with (folder / record.LOG).open("wb") as log, record.hold_lock(folder) as lock:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "toolkit.sandbox.server", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
    _children[child.pid] = child
    _wait(lambda: child.poll() is not None or record.read_record(folder) is not None, _START_SECONDS)
    found = record.read_record(folder)
    if found is None:
        _stop(folder)
        lines = (folder / record.LOG).read_text(errors="replace").strip().splitlines()
        raise Refused(
            "sandbox.not_started",
            f"the sandbox did not start{': ' + lines[-1] if lines else ''}",
            hint=f"read `{folder / record.LOG}`",
        )
    return found


def _stop(folder: Path) -> bool:
    """End the process that holds the lock, first by SIGTERM, and remove its files."""
    was_there = record.lock_holder(folder) is not None
    for number in (signal.SIGTERM, signal.SIGKILL):
        _wait(lambda: (holder := record.lock_holder(folder)) is None or holder.pid is not None, _STOP_SECONDS)
        holder = record.lock_holder(folder)
        if holder is None or holder.pid is None:
            break
        os.kill(holder.pid, number)
        _wait(lambda: record.lock_holder(folder) is None, _STOP_SECONDS)
        child = _children.pop(holder.pid, None)
        if child is not None:
            child.wait()
    if record.lock_holder(folder) is not None:
        raise Refused("sandbox.not_stopped", f"the sandbox in `{folder}` does not stop", hint="end its process by hand")
    record.clear(folder)
    return was_there


def _answers(running: Record) -> bool:
    try:
        _request(running, "GET", "/sandbox/pulls")
    except Refused:
        return False
    return True


def _request(running: Record, method: str, path: str, document: object = None) -> dict[str, Any]:
    request = urllib.request.Request(running.docker_hub_endpoint + path, method=method)
    if document is not None:
        request.data = json.dumps(document).encode()
        request.add_header("Content-Type", "application/json")
    try:
        # The server is on loopback, so no proxy is used.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=_RESPONSE_SECONDS
        ) as response:
            found: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as fault:
        with fault:
            words = fault.read().decode(errors="replace").strip()
        raise Refused("sandbox.refused", f"the sandbox answered {fault.code} to `{path}`: {words[:300]}") from None
    except (OSError, ValueError) as fault:
        raise Refused("sandbox.unreachable", f"the sandbox does not respond to `{path}`: {fault}") from None
    return found


def _status(folder: Path, running: Record, found: Mapping[str, Any]) -> SandboxStatus:
    return SandboxStatus(
        folder=folder,
        **asdict(running),
        pulls_used=found["pulls"]["used"],
        pulls_left=found["pulls"]["left"],
        images={name: tuple(references) for name, references in found["images"].items()},
        builds=tuple(StartedBuild(**one) for one in found["builds"]),
        notices=tuple(found["notices"]),
    )


def _wait(is_done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.02)
