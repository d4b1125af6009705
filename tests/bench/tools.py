"""The tools that are measured, called as their own documentation tells a user to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.bench.registries import Certificate

OURS = "toolkit"


@dataclass(frozen=True, slots=True)
class Errand:
    """Copy these images (repository and tag, the same on both sides) from registry to registry; hosts are `host:port`.

    `folder` is fresh for each run, and the home folder of whoever runs it.
    """

    images: Sequence[tuple[str, str]]
    source: str
    destination: str
    folder: Path
    cache: Path
    certificate: Certificate | None
    jobs: int | None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(f"{self.source}/{repo}:{tag}", f"{self.destination}/{repo}:{tag}") for repo, tag in self.images]

    def write(self, name: str, text: str) -> str:
        """A file for the tool; its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


@dataclass(frozen=True, slots=True)
class Command:
    argv: Sequence[str]
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """`cache` says what is in our cache folder before a run; peers have none."""

    name: str
    program: str
    command: Callable[[Errand], Command]
    cache: Literal["empty", "warm"] = "empty"

    @property
    def is_ours(self) -> bool:
        return self.program == OURS

    @property
    def path(self) -> str | None:
        """Where it is installed; ours is the one beside this Python."""
        return str(Path(sys.executable).with_name(OURS)) if self.is_ours else shutil.which(self.program)


def environment(errand: Errand, command: Command) -> dict[str, str]:
    """What a tool sees: no login, no proxy and no setting of the user who measures."""
    trust = {"SSL_CERT_FILE": str(errand.certificate.path)} if errand.certificate else {}
    home = {"HOME": str(errand.folder), "DOCKER_CONFIG": str(errand.folder), "TMPDIR": str(errand.folder)}
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **home, **trust, **command.environment}


def version(program: str, path: str) -> str:
    """What the program says of itself, in one line with its name."""
    argument = "version" if program in ("crane", "regctl", "regsync") else "--version"
    done = subprocess.run([path, argument], capture_output=True, text=True, check=False)
    text = (done.stdout or done.stderr).strip()
    # regctl and regsync print a table of build facts.
    named = re.search(r"^VCSTag:\s*(\S+)", text, re.MULTILINE)
    first = named[1] if named else text.partition("\n")[0]
    return first if program in first else f"{program} {first}"


def _toolkit(errand: Errand) -> Command:
    images = errand.write("images.txt", "".join(f"{source} {target}\n" for source, target in errand.pairs))
    jobs = ["--jobs", str(errand.jobs)] if errand.jobs else []
    program = str(Path(sys.executable).with_name(OURS))
    hosts = (errand.source, errand.destination)
    # A loopback host is served by plain HTTP unless it is said otherwise.
    endpoints = " ".join(f"{host}=https://{host}" for host in hosts) if errand.certificate else ""
    return Command(
        [program, "copy", "--list", images, "--cache-dir", str(errand.cache), *jobs],
        environment={"TOOLKIT_REGISTRY_ENDPOINTS": endpoints} if endpoints else {},
    )


def _each(errand: Errand, argv: Sequence[str], *, at_a_time: int, transport: str = "") -> Command:
    pairs = "".join(f"{transport}{source} {transport}{target}\n" for source, target in errand.pairs)
    return Command(["xargs", "-n", "2", "-P", str(at_a_time), *argv], stdin=pairs)


def _skopeo_copy(errand: Errand) -> Command:
    plain = [] if errand.certificate else ["--src-tls-verify=false", "--dest-tls-verify=false"]
    return _each(errand, ["skopeo", "copy", "--quiet", "--all", *plain], at_a_time=1, transport="docker://")


def _skopeo_sync(errand: Errand) -> Command:
    tags: dict[str, list[str]] = {}
    for repository, tag in errand.images:
        tags.setdefault(repository, []).append(tag)
    verifies = errand.certificate is not None
    listed = errand.write("sync.yaml", json.dumps({errand.source: {"tls-verify": verifies, "images": tags}}))
    # sync keeps the last part of a repository's name; the rest of it is the same for all.
    prefix = errand.images[0][0].rpartition("/")[0]
    plain = [] if verifies else ["--dest-tls-verify=false"]
    argv = ["skopeo", "sync", "--all", "--src", "yaml", "--dest", "docker", *plain, listed]
    return Command([*argv, f"{errand.destination}/{prefix}"])


def _crane(errand: Errand) -> Command:
    plain = [] if errand.certificate else ["--insecure"]
    return _each(errand, ["crane", "copy", *plain], at_a_time=4)


def _regctl(errand: Errand) -> Command:
    mode = {"tls": "enabled" if errand.certificate else "disabled"}
    config = errand.write("regctl.json", json.dumps({"hosts": {errand.source: mode, errand.destination: mode}}))
    command = _each(errand, ["regctl", "image", "copy"], at_a_time=4)
    return Command(command.argv, command.stdin, {"REGCTL_CONFIG": config})


def _regsync(errand: Errand, settings: Mapping[str, object]) -> Command:
    mode = "enabled" if errand.certificate else "disabled"
    config = {
        "version": 1,
        "creds": [{"registry": host, "tls": mode} for host in (errand.source, errand.destination)],
        "defaults": settings,
        "sync": [{"source": source, "target": target, "type": "image"} for source, target in errand.pairs],
    }
    return Command(["regsync", "once", "--config", errand.write("regsync.yaml", json.dumps(config))])


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("toolkit", OURS, _toolkit),
        Tool("toolkit, warm cache", OURS, _toolkit, cache="warm"),
        Tool("skopeo copy", "skopeo", _skopeo_copy),
        Tool("skopeo sync", "skopeo", _skopeo_sync),
        Tool("crane × 4", "crane", _crane),
        Tool("regctl × 4", "regctl", _regctl),
        # What its quick start says; 1 and 4 take the same time, and no `parallel` at all is an image after the other.
        Tool("regsync", "regsync", lambda errand: _regsync(errand, {"parallel": 2})),
        Tool("regsync, no `parallel`", "regsync", lambda errand: _regsync(errand, {})),
    )
}
