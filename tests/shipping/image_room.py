"""Builds the Dockerfile of the root and runs the image, inside a network namespace without a way out.

`python -m tests.shipping.image_room FOLDER`, as root, in namespaces of its own (`NAMESPACES`). FOLDER has `packages`: what
pip would download. The base is a stand-in: this machine's Python, Git and a few programs, with Terraform's provider in
the folder where Terraform looks for it. What was seen is printed as one JSON document.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.proof import docker_28
from tests.proof.base_images import BUSYBOX
from tests.proof.daemon import running_daemon
from tests.support.sandbox import running_sandbox
from toolkit.terraform import provider_mirror

ROOT = Path(__file__).parents[2]
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
images: [nginx:1.16]
"""
_PROGRAMS = ("sh", "cp", "rm", "mkdir", "chmod", "cat", "id", "find", "sort", "sha256sum", "xargs", "git")


def fill_base(folder: Path) -> None:
    """The file system of a base image from files of this machine."""
    home = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    needless = shutil.ignore_patterns(
        "site-packages", "test", "tests", "idlelib", "tkinter", "config-*", "__pycache__", "*.a"
    )
    library = folder / "usr/local/lib" / version
    shutil.copytree(home / "lib" / version, library, ignore=needless)
    (library / "site-packages").mkdir()
    python = _install(home / "bin" / version, folder / "usr/local/bin")
    for name in ("python", "python3"):
        python.with_name(name).symlink_to(version)
    (folder / "usr/lib").mkdir()
    for path in home.glob(f"lib/lib{version}*.so*"):
        shutil.copy(path, folder / "usr/lib")
    programs = [Path(shutil.which(name) or f"/no-{name}") for name in _PROGRAMS]
    for program in programs:
        _install(program, folder / "usr/bin")
    (folder / "bin").symlink_to("usr/bin")
    wheels = Path(sysconfig.get_path("purelib")).glob("pydantic_core/*.so")  # Debian's slim images have libgcc
    for needed in _libraries([python, *programs, *library.glob("lib-dynload/*.so"), *wheels]):
        if home not in needed.parents:
            _install(needed, folder / str(needed.parent).removeprefix("/"))
    mirror = provider_mirror.find(os.environ, Path.home())
    assert mirror, "the AWS provider is in no folder of this machine"
    (provider,) = (mirror / "registry.terraform.io/hashicorp/aws").glob("5.100.0")
    shutil.copytree(provider, folder / "usr/share/terraform/plugins/registry.terraform.io/hashicorp/aws/5.100.0")
    for name in ("etc", "tmp"):
        (folder / name).mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")


def _install(file: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(file, folder))


def _libraries(files: Iterable[Path]) -> set[Path]:
    done = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False)
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", done.stdout)}


def main(folder: Path) -> dict[str, object]:
    """Build and run; what was seen."""
    subprocess.run([BUSYBOX, "ip", "link", "set", "lo", "up"], check=True)
    base, terraform, work, home = (folder / name for name in ("base", "terraform", "work", "home"))
    for path in (terraform, work, home):
        path.mkdir()
    fill_base(base)
    with zipfile.ZipFile(terraform / "terraform.zip", "w") as archive:
        archive.write(shutil.which("terraform") or "", "terraform")
    # Any user's checkout: the container's is another one.
    work.chmod(0o777)
    (work / "images.yaml").write_text(MANIFEST)
    (work / "Dockerfile").write_text("FROM nginx:1.16\n")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *command], cwd=work, check=True)
    docker = docker_28.find()
    docker.install_plugins(home)
    reference = re.search(r"^FROM (\S+) AS base$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert reference
    seen: dict[str, object] = {}
    # A socket's path may have no more than 104 characters, and a tmpfs takes every file system of a daemon.
    subprocess.run([BUSYBOX, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True)
    with (
        running_daemon(docker, Path("/mnt"), home) as client,
        running_sandbox(folder / "sandbox", ["nginx:1.16"]) as sandbox,
    ):

        def run(*arguments: str) -> str:
            done = subprocess.run(["docker", *arguments], env=client, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
            return done.stdout

        contexts = {reference[1]: base, "packages": folder / "packages", "terraform-amd64": terraform}
        named = [word for name, path in contexts.items() for word in ("--build-context", f"{name}={path}")]
        build = ["buildx", "build", "--progress=plain", *named, str(ROOT)]
        run(*build, "--tag", "toolkit")
        run(*build, "--tag", "again", "--target", "toolkit", "--no-cache-filter", "toolkit")
        sums = ("--entrypoint", "sh"), ("-c", "find /opt/toolkit -type f -print0 | sort -z | xargs -0 sha256sum")
        seen["sums"] = [run("run", "--rm", *sums[0], image, *sums[1]).splitlines() for image in ("toolkit", "again")]
        seen["settings"] = json.loads(run("image", "inspect", "toolkit"))[0]["Config"]
        seen["version"] = run("run", "--rm", "toolkit", "--version")
        given = {name: value for name, value in sandbox.environment().items() if name.startswith(("AWS_", "TOOLKIT_"))}
        given = {
            name: value for name, value in given.items() if name not in ("TOOLKIT_PROVIDER_MIRROR", "AWS_CA_BUNDLE")
        }
        variables = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        strict = ["--rm", "--read-only", "--tmpfs", "/tmp", "--user", "12345:0", "--network", "host"]
        start = ["run", *strict, *variables, "--volume", f"{work}:/work", "toolkit"]
        seen["validate"] = run(*start, "validate")
        seen["scan"] = run(*start, "scan", "--check", ".")
        seen["plan"] = json.loads(run(*start, "plan", "--out", "plan.toolkit", "--format", "json"))
        seen["about"] = json.loads(zipfile.ZipFile(work / "plan.toolkit").read("about.json"))
        seen["apply"] = json.loads(run(*start, "apply", "plan.toolkit", "--format", "json"))
        shell = "id -u; git --version; terraform version; command -v toolkit"
        seen["shell"] = run("run", "--rm", "--user", "4711:4711", "--entrypoint", "", "toolkit", "sh", "-c", shell)
        seen["size"] = json.loads(run("image", "inspect", "toolkit"))[0]["Size"]
    return seen


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))  # noqa: T201  for the test
