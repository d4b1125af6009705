"""Programs that we start do not inherit what is only for registries and for our own plans."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from toolkit.cli.checkout import find_checkout
from toolkit.oci.docker_config import DockerConfigCredentials
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import WorkDir

CANARIES = {
    "TOOLKIT_REGISTRY_HUB_USER": "canary-user",
    "TOOLKIT_REGISTRY_HUB_TOKEN": "canary-token",
    "OUR_MIRROR_TOKEN": "canary-mirror",
    "TOOLKIT_PLAN_KEY": "canary-key",
    "TOOLKIT_CREDENTIAL_VARIABLES": "OUR_MIRROR_TOKEN@mirror.example AWS_SECRET_ACCESS_KEY canary-list",
}


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each fake program leaves its environment, a file for each call."""
    programs, seen = tmp_path / "bin", tmp_path / "seen"
    programs.mkdir()
    seen.mkdir()
    answers = {
        "terraform": '{"terraform_version": "1.10.2", "provider_selections": {}, "platform": "linux_amd64"}',
        "git": "",
        "docker-credential-fake": '{"Username": "me", "Secret": "x"}',
    }
    for name, answer in answers.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n/usr/bin/env >{seen}/{name}.$$\necho '{answer}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for-terraform")
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "fake"}))
    return seen


def environments(seen: Path, program: str) -> list[str]:
    found = [file.read_text() for file in seen.glob(f"{program}.*")]
    assert found
    assert [text for text in found if "canary" in text] == []
    return found


def test_terraform_gets_the_aws_credentials_and_none_for_registries(seen: Path, tmp_path: Path) -> None:
    runner = TerraformRunner("terraform", [].append, environment=os.environ)
    (tmp_path / "work").mkdir()
    runner.init(WorkDir(tmp_path / "work"))
    found = environments(seen, "terraform")
    assert len(found) > 1  # what is asked in short, and what is run with logs
    assert all("AWS_SECRET_ACCESS_KEY=for-terraform\n" in text for text in found)


def test_a_credential_helper_gets_no_credential_but_its_own(seen: Path) -> None:
    assert DockerConfigCredentials().credential_for("quay.io") is not None
    (found,) = environments(seen, "docker-credential-fake")
    assert "AWS_SECRET_ACCESS_KEY=for-terraform\n" in found  # the helper for ECR needs it


def test_git_gets_no_credential_at_all(seen: Path, tmp_path: Path) -> None:
    find_checkout(tmp_path / "images.yaml", "")
    assert not any("for-terraform" in text for text in environments(seen, "git"))
