"""Docker 28 beside the system: Debian unstable's packages, unpacked into a folder of their own.

`python -m tests.proof.docker_28` fetches them from the mirror that this machine's apt uses, which checks signatures as
always. What unstable has today it may not have tomorrow: another version than 28 is none.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.proof.daemon import Docker

_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "base-image-toolkit-proof" / "docker-28"
_ROOT = _CACHE / "root"


class NotToBeHad(Exception):
    """Why there is no Docker 28 here."""


def find() -> Docker:
    """The Docker that was unpacked. Raises NotToBeHad."""
    version = _CACHE / "version"
    if not version.exists():
        raise NotToBeHad("Docker 28 is not here: `make test-docker28` fetches it from Debian unstable")
    return Docker(version.read_text().strip(), _ROOT)


def fetch() -> Docker:
    """Unpack what unstable has, unless it is here. Raises NotToBeHad."""
    try:
        return find()
    except NotToBeHad:
        shutil.rmtree(_CACHE, ignore_errors=True)
    if shutil.which("apt-get") is None or platform.machine() != "x86_64":
        raise NotToBeHad("Docker 28 comes from Debian's packages for x86-64")
    apt = _own_apt(_CACHE / "apt")
    _run("apt-get", *apt, "update", "--quiet")
    shown = _run("apt-cache", *apt, "show", "--no-all-versions", "docker.io")
    version = re.search(r"^Version: (28\.[0-9.]+)", shown, re.MULTILINE)
    if version is None:
        found = re.search(r"^Version: (\S+)", shown, re.MULTILINE)
        raise NotToBeHad(f"Debian unstable has Docker {found[1] if found else 'no more'}, not 28")
    packages = _CACHE / "packages"
    packages.mkdir()
    _run("apt-get", *apt, "download", "--quiet", *_PACKAGES, folder=packages)
    for package in packages.iterdir():
        _run("dpkg-deb", "--extract", str(package), str(_ROOT))
    runs = subprocess.run([_ROOT / "usr/sbin/dockerd", "--version"], capture_output=True, text=True, check=False)
    if runs.returncode:
        raise NotToBeHad(f"Docker of Debian unstable does not run here: {runs.stderr.strip()}")
    shutil.rmtree(packages)
    shutil.rmtree(_CACHE / "apt")
    (_CACHE / "version").write_text(version[1])
    return find()


def _own_apt(folder: Path) -> list[str]:
    """Options with which apt looks at unstable, in folders of its own, and leaves the machine's alone."""
    release = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    targets = _run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages")
    mirror = re.search(rf"^{release[1] if release else '-'} (\S+)", targets, re.MULTILINE)
    if mirror is None:
        raise NotToBeHad("apt names no mirror of Debian on this machine")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb {mirror[1]} sid main\n")
    settings = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotToBeHad(f"`{' '.join(command[:1])}` says: {done.stderr.strip()[-300:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        sys.stdout.write(f"Docker {fetch().version} in {_ROOT}\n")
    except NotToBeHad as reason:
        sys.exit(f"no Docker 28: {reason}")
