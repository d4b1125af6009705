"""The lock file of the provider on the real Terraform: made once, imposed afterwards, and never changed by a plan."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.real_parts import missing, require
from toolkit.errors import Refused, TerraformFailed
from toolkit.events import Event, NoticeGiven
from toolkit.operations.lock_provider import lock_provider
from toolkit.plan.desired import Desired
from toolkit.terraform.provider_lock import ProviderLock, lock_file_of, locked_version
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import RootModule, required_provider
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import WorkDir, write

ANY = ">= 5.80, < 7"


def _runner(events: list[Event], lock: ProviderLock | None = None) -> TerraformRunner:
    require("terraform")
    mirror = find(os.environ, Path.home())
    if mirror is None:
        missing("there is no mirror of the AWS provider")
    return TerraformRunner("terraform", events.append, find_mirror=lambda: mirror, provider_lock=lock)


def _work_dir(folder: Path, versions: str = ANY) -> WorkDir:
    return write(RootModule({"main.tf": required_provider(versions)}), folder)


def _codes(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, NoticeGiven)]


def test_the_first_run_locks_the_provider_and_the_next_keeps_to_it(tmp_path: Path) -> None:
    events: list[Event] = []
    lock = ProviderLock(tmp_path / "images.lock.hcl")
    _runner(events, lock).init(_work_dir(tmp_path / "first"))
    text = lock.path.read_text()
    assert locked_version(text)
    assert _codes(events) == ["provider.locked"]

    _runner(events, lock).init(_work_dir(tmp_path / "second"))  # as another machine
    assert (tmp_path / "second" / ".terraform.lock.hcl").read_text() == text == lock.path.read_text()
    assert _codes(events) == ["provider.locked"]

    lock.path.write_text(re.sub(r"h1:[^\"]{43}", f"h1:{'A' * 43}", text))
    with pytest.raises(Refused) as refused:
        _runner(events, lock).init(_work_dir(tmp_path / "second"))
    assert refused.value.code == "provider.not_the_locked"
    lock.path.write_text(text.replace(str(locked_version(text)), "5.80.1"))
    with pytest.raises(Refused) as refused:
        _runner(events, lock).init(_work_dir(tmp_path / "third"))
    assert refused.value.code == "provider.locked_is_gone"
    assert "5.80.1" in refused.value.message


def test_a_pipeline_is_told_that_nothing_is_locked_and_writes_no_file(tmp_path: Path) -> None:
    events: list[Event] = []
    lock = ProviderLock(tmp_path / "images.lock.hcl", is_made=False)
    for _ in range(2):  # also where there is nothing to initialise
        events.clear()
        _runner(events, lock).init(_work_dir(tmp_path / "work"))
        assert _codes(events) == ["provider.not_locked"]
    assert not lock.path.exists()


@pytest.mark.slow
def test_another_choice_is_made_by_the_command_alone(tmp_path: Path) -> None:
    events: list[Event] = []
    path = lock_file_of(tmp_path / "images.yaml")
    path.write_text('provider "registry.terraform.io/hashicorp/aws" {\n  version = "5.80.0"\n}\n')
    locked = lock_provider(Desired("x", "eu-west-1", None), _runner(events), path)
    assert locked.before == "5.80.0"
    assert locked.version == locked_version(path.read_text()) != "5.80.0"
    assert "linux_amd64" in (*locked.platforms, *locked.missing)
    exact = f"{ANY}, {locked.version}"
    _runner(events, ProviderLock(path)).init(_work_dir(tmp_path / "work", exact))
    with pytest.raises(TerraformFailed) as failed:
        _runner(events).choose_provider(f"{ANY}, 5.80.1")
    assert failed.value.code == "provider.not_available"
    with pytest.raises(Refused) as refused:
        _runner(events, ProviderLock(path)).init(_work_dir(tmp_path / "work", f"{ANY}, 5.80.1"))
    assert refused.value.code == "provider.lock_is_old"


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/hostname"), lambda p: p.write_bytes(b"\xff")])
def test_a_lock_file_that_is_a_link_or_no_text_is_refused(tmp_path: Path, make: object) -> None:
    path = tmp_path / "images.lock.hcl"
    make(path)  # type: ignore[operator]
    with pytest.raises(Refused) as refused:
        ProviderLock(path).read()
    assert refused.value.code == "provider.lock_unreadable"


def test_a_lock_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    events: list[Event] = []
    lock = ProviderLock(tmp_path / "absent" / "images.lock.hcl")
    (tmp_path / ".terraform.lock.hcl").write_text("")
    lock.keep(tmp_path, events.append)
    assert _codes(events) == ["provider.not_locked"]
