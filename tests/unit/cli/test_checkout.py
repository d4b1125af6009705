"""With a real Git, in repositories that do not wish us well either."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.real_parts import require
from toolkit.cli.checkout import Checkout, find_checkout

TEXT = "version: 1\n"


class Repository:
    """A checkout with a manifest in a folder of it."""

    def __init__(self, root: Path) -> None:
        require("git")
        self.root = root
        self.manifest = root / "infra" / "images.yaml"
        self.manifest.parent.mkdir(parents=True)
        self.manifest.write_text(TEXT)
        (root / "other.txt").write_text("text\n")
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "as it is")

    def find(self, *ignored: str) -> Checkout | None:
        return find_checkout(self.manifest, self.manifest.read_text(), ignored=[self.root / name for name in ignored])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Repository(tmp_path / "repository")


def test_a_clean_checkout_is_its_commit(repository: Repository) -> None:
    assert repository.find() == Checkout(repository.git("rev-parse", "HEAD"))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda r: r.manifest.write_text("version: 2\n"), "infra/images.yaml"),
        (lambda r: (r.root / "other.txt").write_text("new\n"), "other.txt"),
        (lambda r: (r.root / "other.txt").unlink(), "other.txt"),
        (lambda r: (r.root / "infra" / "more.tf").write_text(""), "infra/more.tf"),
        (lambda r: (r.root / "a b\nc").write_text(""), "a b\nc"),
    ],
)
def test_what_is_in_no_commit_is_named(
    repository: Repository, change: Callable[[Repository], object], name: str
) -> None:
    change(repository)
    found = repository.find()
    assert found
    assert found.changed == (name,)


def test_what_we_write_ourselves_is_no_change(repository: Repository) -> None:
    for name in (".toolkit/shop/main.tf", "plan.toolkit"):
        (repository.root / name).parent.mkdir(parents=True, exist_ok=True)
        (repository.root / name).write_text("")
    assert repository.find(".toolkit/shop", "plan.toolkit") == Checkout(repository.git("rev-parse", "HEAD"))


@pytest.mark.parametrize("how", ["ignored", "assumed unchanged", "changed while it was read"])
def test_a_manifest_that_git_does_not_look_at_is_not_in_the_commit(repository: Repository, how: str) -> None:
    if how == "ignored":
        repository.git("rm", "--quiet", "--cached", "infra/images.yaml")
        (repository.root / ".gitignore").write_text("images.yaml\n")
        repository.commit()
    if how == "assumed unchanged":
        repository.git("update-index", "--assume-unchanged", "infra/images.yaml")
        repository.manifest.write_text("version: 2\n")
    if how == "changed while it was read":
        found = find_checkout(repository.manifest, "version: 3\n")
    else:
        found = repository.find()
    assert found
    assert found.changed == ("infra/images.yaml",)


def test_nothing_that_its_configuration_names_is_started(repository: Repository) -> None:
    evidence = repository.root.parent / "evidence"
    program = repository.root.parent / "program"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {evidence}\ncat\n")
    program.chmod(0o755)
    hooks = repository.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "fsmonitor-watchman", "query-watchman"):
        (hooks / hook).write_text(program.read_text())
        (hooks / hook).chmod(0o755)
    submodule = repository.root / "sub"
    Repository(submodule)
    repository.git("add", "sub", "--force")
    (repository.root / ".gitattributes").write_text("* filter=evil\n")
    repository.commit()
    for folder in (repository.root, submodule):
        for name, value in {
            "core.fsmonitor": program,
            "core.hooksPath": hooks,
            "core.sshCommand": program,
            "core.pager": program,
            "filter.evil.clean": program,
            "filter.evil.process": program,
            "filter.evil.required": "true",
            "remote.origin.promisor": "true",
            "remote.origin.url": "ssh://nowhere.test/x",
            "status.submoduleSummary": "true",
            "alias.status": f"!{program}",
        }.items():
            subprocess.run(["git", "config", name, str(value)], cwd=folder, check=True)
    (repository.root / "other.txt").write_text("Text\n")  # of the same length: its content has to be read
    evidence.unlink(missing_ok=True)
    found = repository.find()
    assert found
    assert "other.txt" in found.changed
    assert not evidence.exists(), evidence.read_text()
    # The configuration does start it where nobody prevents that.
    subprocess.run(["git", "status"], cwd=repository.root, capture_output=True, check=False)
    assert evidence.exists()


def test_a_filter_that_cannot_be_switched_off_is_not_trusted(repository: Repository) -> None:
    repository.git("config", "filter.a=b.clean", "cat")
    assert repository.find() is None


def test_there_may_be_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images.yaml").write_text(TEXT)
    assert find_checkout(tmp_path / "images.yaml", TEXT) is None
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert find_checkout(tmp_path / "images.yaml", TEXT) is None  # no commit yet


def test_there_may_be_no_git(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert repository.find() is None
