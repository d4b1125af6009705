"""A Docker daemon of some version, with an empty data folder, its own socket, and nothing of this machine's settings."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.proof.base_images import BUSYBOX

NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Docker:
    """Where the programs of one version are: `root` is `/` or a folder into which its packages were unpacked."""

    version: str
    root: Path

    @property
    def search_path(self) -> str:
        """A PATH on which `docker` is this version's, and the rest is the machine's."""
        own = [str(self.root / "usr/sbin"), str(self.root / "usr/bin")]
        return ":".join((*own, _SYSTEM)) if self.root != Path("/") else _SYSTEM

    def missing(self) -> str | None:
        """Why it cannot run here; None if it can."""
        if os.geteuid() != 0 or platform.machine() != "x86_64":
            return "the proof's Docker daemons need root, on x86-64"
        programs = ("usr/sbin/dockerd", "usr/bin/docker", "usr/bin/containerd")
        gone = [name for name in programs if not (self.root / name).exists()]
        gone += [name for name in ("unshare", "runc", BUSYBOX) if shutil.which(name, path=_SYSTEM) is None]
        if gone:
            return f"`{gone[0]}` is not installed: `apt-get install docker.io busybox-static`"
        if b"ld-linux" in Path(BUSYBOX).read_bytes()[:4096]:
            return f"`{BUSYBOX}` is not static: `apt-get install busybox-static`"
        done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
        return f"no namespaces are to be had: {done.stderr.strip()}" if done.returncode else None

    def install_plugins(self, home: Path) -> None:
        """Let the client of `home` find this version's plugins, and no others."""
        plugins = self.root / "usr/libexec/docker/cli-plugins"
        (home / ".docker").mkdir(parents=True)
        if plugins.is_dir():
            (home / ".docker/cli-plugins").symlink_to(plugins)


@contextmanager
def running_daemon(docker: Docker, folder: Path, home: Path) -> Iterator[dict[str, str]]:
    """Run it with everything in `folder`; what a client needs in its environment."""
    socket = folder / "docker.sock"
    environment = {"PATH": docker.search_path, "HOME": str(home), "LC_ALL": "C.UTF-8"}
    arguments = [
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")),
        *("--host", f"unix://{socket}", "--storage-driver", "overlay2", "--iptables=false", "--ip6tables=false"),
    ]
    with (
        (folder / "dockerd.log").open("wb") as log,
        subprocess.Popen(
            [str(docker.root / "usr/sbin/dockerd"), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        client = environment | {"DOCKER_HOST": f"unix://{socket}"}
        try:
            _wait_until_ready(process, client, folder / "dockerd.log")
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], client: dict[str, str], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if b"API listen on" in log.read_bytes():
            return
        time.sleep(0.02)
    raise AssertionError(f"dockerd does not listen: {log.read_text()[-2000:]}")
