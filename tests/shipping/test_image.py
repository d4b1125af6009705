"""The container image: what its Dockerfile says, and the image itself where Docker 28 is (`make test-docker28`)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proof import docker_28
from tests.proof.daemon import NAMESPACES
from tests.support.toolkit_run import Toolkit
from toolkit import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_pins_what_it_fetches() -> None:
    outside = [line for line in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if ":" in line]
    assert outside
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", name) for name in outside)
    added = re.findall(r"^ADD .*$", DOCKERFILE, re.MULTILINE)
    for line, architecture in zip(added, ("amd64", "arm64"), strict=True):
        assert re.search(rf"--checksum=sha256:[0-9a-f]{{64}} https://\S+_linux_{architecture}\.zip ", line)
    assert "--require-hashes --requirement requirements.txt" in DOCKERFILE


@pytest.mark.parametrize("machine", ["linux/amd64", "linux/arm64"])
def test_is_understood_by_a_scan(tmp_path: Path, machine: str) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    done = Toolkit(tmp_path).run("scan", "--format", "json", "--machine", machine, ".").expect(0)
    (image,) = done.document["scan"]["images"]
    assert image["reference"].startswith("docker.io/library/python:3.13-slim-trixie@sha256:")
    assert done.document["scan"]["not_understood"] == []


def test_locks_the_provider_that_it_asks_for() -> None:
    wanted = re.search(r'version = "([\d.]+)"', (ROOT / "image/versions.tf").read_text())
    lock = (ROOT / "image/.terraform.lock.hcl").read_text()
    assert wanted
    assert re.search(rf'version +=\s*"{re.escape(wanted[1])}"', lock)
    assert lock.count('"zh:') >= 14, "hashes for every platform"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What was seen of the image while it was built and run without a network."""
    try:
        docker = docker_28.find()
    except docker_28.NotToBeHad as reason:
        pytest.skip(str(reason))
    if reason := docker.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("image")
    packages = folder / "packages"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(packages)]
    for name in ("requirements-build.txt", "requirements.txt"):
        subprocess.run([*pip, "--requirement", str(ROOT / name)], check=True)
    (packages / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /packages\n")
    inside = [sys.executable, "-m", "tests.shipping.image_room", str(folder)]
    done = subprocess.run([*NAMESPACES, *inside], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    return dict(json.loads(done.stdout))


@pytest.mark.docker28
def test_plans_and_applies_as_any_user_without_a_network(seen: Mapping[str, Any]) -> None:
    assert seen["version"] == f"toolkit {__version__}\n"
    assert "is valid" in seen["validate"]
    assert "nginx" in seen["scan"]
    assert seen["plan"]["plan"]["totals"]["images"]["copy"] == 1
    assert seen["apply"]["report"]["totals"]["images"]["copied"] == 1
    assert seen["about"]["checkout"]["commit"], "Git trusts a checkout of another user"


@pytest.mark.docker28
def test_has_a_shell_for_runners(seen: Mapping[str, Any]) -> None:
    uid, git, terraform, *_, toolkit = seen["shell"].splitlines()
    assert (uid, toolkit) == ("4711", "/opt/toolkit/bin/toolkit")
    assert git.startswith("git version")
    assert f"/terraform_{terraform.removeprefix('Terraform v')}_linux_amd64.zip" in DOCKERFILE


@pytest.mark.docker28
def test_says_what_it_is(seen: Mapping[str, Any]) -> None:
    settings = seen["settings"]
    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"] == ["toolkit"]
    assert "org.opencontainers.image.source" in settings["Labels"]


@pytest.mark.docker28
def test_has_the_same_bytes_when_it_is_built_again(seen: Mapping[str, Any]) -> None:
    first, second = seen["sums"]
    assert len(first) > 1000
    assert first == second


@pytest.mark.docker28
def test_lists_its_packages_for_an_sbom(seen: Mapping[str, Any]) -> None:
    files = [line.split("/site-packages/")[-1] for line in seen["sums"][0]]
    installed = {
        name.partition("-")[0].lower().replace("_", "-").replace(".", "-") for name in files if "/METADATA" in name
    }
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    locked = {line.partition("==")[0] for line in lines if "==" in line and "sys_platform" not in line}
    assert installed == locked | {"base-image-toolkit"}
