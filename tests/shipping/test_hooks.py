"""`.pre-commit-hooks.yaml`: what starts a hook, and the hooks run by the real pre-commit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path, PurePath

import pytest
from ruamel.yaml import YAML

from tests.support.toolkit_run import Toolkit
from toolkit.operations.scan_names import kind_of

ROOT = Path(__file__).parents[2]
HOOKS = {hook["id"]: hook for hook in YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")}
PRE_COMMIT = "pre-commit==4.7.0"
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
images: [nginx:1.27]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/shop.git"}
    images: [nginx:1.27]
    buildspec: buildspec.yml
"""
BUILDSPEC = """\
version: 0.2
phases:
  build:
    commands:
      - docker build .
"""
SCANNED = [
    *("Dockerfile", "web/Dockerfile.dev", "api.dockerfile", "Containerfile", "web/dockerfile"),
    *("compose.yaml", "docker-compose.override.yml", "docker-bake.hcl", "ci/docker-bake.override.json", "app.bake.hcl"),
    *("buildspec.yml", "ci/buildspec-release.yaml", "web-buildspec.yml"),
    *(".gitlab-ci.yml", "ci/gitlab-ci.web.yml", ".github/workflows/ci.yaml"),
]


@pytest.mark.parametrize("path", SCANNED)
def test_scans_after_a_change_of_a_file_that_a_scan_reads(path: str) -> None:
    assert kind_of(PurePath(path)) is not None
    assert re.search(HOOKS["toolkit-scan"]["files"], path)


@pytest.mark.parametrize("path", ["README.md", "src/main.py", "my-images.yaml", "profile.txt", "docs/ci.yaml"])
def test_leaves_other_changes_alone(path: str) -> None:
    assert not any(re.search(hook["files"], path) for hook in HOOKS.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_runs_after_a_change_of_the_manifest(hook: str) -> None:
    assert re.search(HOOKS[hook]["files"], "images.yaml")
    assert re.search(HOOKS[hook]["files"], "infra/images.yaml")


def test_runs_as_pre_commit_runs_it(tmp_path: Path) -> None:
    toolkit = Toolkit(tmp_path)
    (tmp_path / "images.yaml").write_text(MANIFEST)
    (tmp_path / "buildspec.yml").write_text(BUILDSPEC)
    (tmp_path / "Dockerfile").write_text("FROM nginx:1.27\n")
    arguments = {"toolkit-buildspec": ["web", "--into", "buildspec.yml"]}

    def run(hook: str) -> int:
        program, *words = HOOKS[hook]["entry"].split()
        assert (program, HOOKS[hook]["pass_filenames"]) == ("toolkit", False)
        return toolkit.run(*words, *arguments.get(hook, [])).code

    assert [run(hook) for hook in HOOKS] == [0, 0, 7]  # the buildspec has no step yet
    toolkit.run("buildspec", *arguments["toolkit-buildspec"]).expect(0)
    assert [run(hook) for hook in HOOKS] == [0, 0, 0]


@pytest.mark.slow
def test_passes_and_fails_in_the_real_pre_commit(tmp_path: Path) -> None:
    git = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.example"}
    git |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b.example", "PRE_COMMIT_HOME": str(tmp_path / "home")}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | git

    def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    def commit(folder: Path) -> str:
        for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
            done = run("git", *command, folder=folder)
            assert done.returncode == 0, done.stderr
        return run("git", "rev-parse", "HEAD", folder=folder).stdout.strip()

    ours, theirs = tmp_path / "toolkit", tmp_path / "shop"
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT).stdout
    for name in filter(None, names.split("\0")):
        (ours / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, ours / name)
    revision = commit(ours)
    theirs.mkdir()
    (theirs / "images.yaml").write_text(MANIFEST)
    (theirs / "Dockerfile").write_text("FROM nginx:1.27\n")
    (theirs / "buildspec.yml").write_text(BUILDSPEC)
    Toolkit(theirs).run("buildspec", "web", "--into", "buildspec.yml").expect(0)
    hooks = [{"id": "toolkit-validate"}, {"id": "toolkit-scan"}]
    hooks.append({"id": "toolkit-buildspec", "args": ["web", "--into", "buildspec.yml"]})
    with (theirs / ".pre-commit-config.yaml").open("w") as file:
        YAML().dump({"repos": [{"repo": str(ours), "rev": revision, "hooks": hooks}]}, file)
    commit(theirs)

    venv.create(tmp_path / "venv", with_pip=False)
    pip = [sys.executable, "-m", "pip", f"--python={tmp_path / 'venv'}", "install", "--quiet", PRE_COMMIT]
    assert run(*pip, folder=tmp_path).returncode == 0
    program = tmp_path / "venv/bin/pre-commit"
    manifest = run(program, "validate-manifest", ours / ".pre-commit-hooks.yaml", folder=theirs)
    assert manifest.returncode == 0, manifest.stdout
    done = run(program, "run", "--all-files", folder=theirs)
    assert (done.returncode, done.stdout.count("Passed")) == (0, 3), done.stdout + done.stderr

    (theirs / "Dockerfile").write_text("FROM nginx:1.28\n")
    (theirs / "images.yaml").write_text(MANIFEST.replace("nginx:1.27]", "nginx:1.27, nginx:latest]", 1))
    run("git", "add", "--all", folder=theirs)
    done = run(program, "run", folder=theirs)  # as at a commit: the changed files alone
    assert done.returncode == 1
    assert re.findall(r"toolkit (\w+)\.+(\w+)", done.stdout) == [
        ("validate", "Passed"),
        ("scan", "Failed"),
        ("buildspec", "Passed"),
    ], done.stdout + done.stderr
    assert "Dockerfile:1" in done.stdout
