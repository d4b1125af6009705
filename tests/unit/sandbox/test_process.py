"""The sandbox's process: started once, found again, replaced when it is broken, and nothing else ever ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.plain_http import plain_http
from tests.support.sandbox import running_sandbox
from toolkit.errors import Refused
from toolkit.oci.endpoints import Endpoints
from toolkit.sandbox import process, record
from toolkit.sandbox.process import SandboxStatus

pytestmark = pytest.mark.xdist_group("process of the sandbox")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "sandbox"
    yield folder
    process.down(folder)


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of those tests that break a sandbox and have it replaced: the next breaks what replaced it."""
    folder = tmp_path_factory.mktemp("replaced") / "sandbox"
    yield folder
    process.down(folder)


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_life_of_a_sandbox(folder: Path) -> None:
    assert process.status(folder) is None
    assert process.down(folder) is False
    pinned = f"alpine:3.20@sha256:{'0' * 64}"
    started = process.up(folder, ["nginx:1.16", "quay.io/a/b:1", pinned], region="ap-northeast-1")
    assert started.images["docker_hub"] == ("library/alpine:3.20", "library/nginx:1.16")
    assert (started.images["upstream"], started.images["ecr"]) == (("a/b:1",), ())
    assert (started.pulls_used, started.pulls_left, started.region) == (0, 100, "ap-northeast-1")
    (notice,) = started.notices
    assert pinned in notice
    assert process.status(folder) == started

    added = process.up(folder, ["redis:7"], upstream_limit=5)
    assert (added.pid, added.region, added.pulls_left) == (started.pid, "ap-northeast-1", 5)
    assert "library/redis:7" in added.images["docker_hub"]
    assert process.up(folder, region="eu-west-1").region == "eu-west-1"

    with pytest.raises(Refused) as refused:
        process.up(folder, account_id="210987654321")
    assert refused.value.code == "sandbox.other_account"

    assert process.down(folder) is True
    assert not is_alive(started.pid)
    assert process.status(folder) is None


def test_two_folders_have_two_sandboxes(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "a", ["nginx:1.16"]) as a, running_sandbox(tmp_path / "b") as b:
        assert a.status.pid != b.status.pid
        assert b.status.images["docker_hub"] == ()
        endpoints = {s.status.aws_endpoint for s in (a, b)} | {s.status.ecr_endpoint for s in (a, b)}
        assert len(endpoints) == 4


def test_killed_sandbox_is_replaced_and_keeps_its_upstream(replaced: Path) -> None:
    first = process.up(replaced, ["nginx:1.16"])
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: process.status(replaced) is None)
    second = process.up(replaced)
    assert second.pid != first.pid
    assert second.images["docker_hub"] == ("library/nginx:1.16",)


def test_recycled_process_id_is_never_ended(replaced: Path) -> None:
    stopped = process.up(replaced)
    kept = (replaced / "server.json").read_text()
    process.down(replaced)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (replaced / "server.json").write_text(kept.replace(str(stopped.pid), str(stranger.pid)))
        (replaced / "server.lock").write_text(str(stranger.pid))
        assert process.status(replaced) is None
        assert process.down(replaced) is False
        process.up(replaced)
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_half_started_survivor_is_ended(folder: Path) -> None:
    folder.mkdir()
    lock = record.hold_lock(folder)
    code = "import os,sys,time; open(sys.argv[1],'r+').write(str(os.getpid())); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, folder / "server.lock"], pass_fds=(lock.fileno(),)) as survivor:
        lock.close()
        wait_until(lambda: record.lock_holder(folder) == record.Holder(survivor.pid))
        assert process.status(folder) is None
        process.up(folder)
        assert survivor.wait() == -signal.SIGTERM


def test_sandbox_that_does_not_answer_is_replaced(replaced: Path) -> None:
    hung = process.up(replaced)
    (replaced / "server.json").write_text(
        (replaced / "server.json").read_text().replace(hung.docker_hub_endpoint, "http://127.0.0.1:1")
    )
    assert process.status(replaced) is None
    assert process.up(replaced).pid != hung.pid
    assert not is_alive(hung.pid)


def test_sandbox_of_another_version_is_replaced(replaced: Path) -> None:
    old = process.up(replaced)
    record.write_in_place(
        replaced / "server.json", f'{{"pid": {old.pid}}}'.ljust((replaced / "server.json").stat().st_size)
    )
    assert process.status(replaced) is None
    assert process.up(replaced).pid != old.pid
    assert not is_alive(old.pid)


def test_sandbox_ends_with_its_folder(folder: Path) -> None:
    started = process.up(folder)
    shutil.rmtree(folder)
    wait_until(lambda: not _answers(started))


def _answers(status: SandboxStatus) -> bool:
    try:
        with plain_http(status.docker_hub_endpoint) as http:
            return http.ask("GET", "/sandbox/pulls").status == 200
    except OSError:
        return False


def test_sandbox_that_cannot_start_says_why(folder: Path) -> None:
    folder.mkdir()
    (folder / "docker-hub.pulls.json").write_text("{")
    with pytest.raises(Refused) as refused:
        process.up(folder)
    assert refused.value.code == "sandbox.not_started"
    assert "JSONDecodeError" in refused.value.message
    assert process.status(folder) is None


STATUS = SandboxStatus(
    folder=Path("/folder"),
    pid=1,
    account_id="123456789012",
    region="eu-west-1",
    aws_endpoint="http://127.0.0.1:1",
    docker_hub_endpoint="http://127.0.0.1:2",
    upstream_endpoint="http://127.0.0.1:3",
    ecr_endpoint="http://127.0.0.1:4",
)


def test_environment_sends_every_registry_to_its_stand_in() -> None:
    text = process.environment(STATUS, {})["TOOLKIT_REGISTRY_ENDPOINTS"]
    assert text is not None
    endpoints = Endpoints.parse(text)
    assert endpoints.base_url("docker.io") == STATUS.docker_hub_endpoint
    assert endpoints.base_url("123456789012.dkr.ecr.eu-west-1.amazonaws.com") == STATUS.ecr_endpoint
    for host in ("quay.io", "ghcr.io", "public.ecr.aws", "registry.k8s.io"):
        assert endpoints.base_url(host) == STATUS.upstream_endpoint


def test_environment_takes_away_what_leads_elsewhere() -> None:
    found = process.environment(STATUS, {"AWS_ENDPOINT_URL_ECR": "https://elsewhere", "NO_PROXY": "internal"})
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_ECR", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        assert found[name] is None
    assert found["NO_PROXY"] == found["no_proxy"] == "internal,127.0.0.1"
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "eu-west-1"


@pytest.mark.parametrize("place", ["a-file", "a-file/x", "/proc/1", "/dev/null/x", "x" * 300])
def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("theirs")
    with pytest.raises(Refused) as refused:
        process.up(tmp_path / place)
    assert refused.value.code == "sandbox.folder_unusable"
    assert f"`{tmp_path / place}` cannot be used: " in refused.value.message
    for ask in (process.status, process.down):
        try:
            assert not ask(tmp_path / place)
        except Refused as error:
            assert error.code == "sandbox.folder_unusable"
    assert (tmp_path / "a-file").read_text() == "theirs"
