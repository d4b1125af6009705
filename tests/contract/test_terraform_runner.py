"""Our runner on the real Terraform. Its own resource `terraform_data` stands for AWS's where no provider is needed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import terraform_apply
from tests.support.real_parts import require
from toolkit.errors import PlanStale, Refused, TerraformFailed
from toolkit.events import DiagnosticReported, Event, InfraChangeFinished, NoticeGiven
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform.call import ask
from toolkit.terraform.process import scrub, survivor
from toolkit.terraform.root_module import RootModule
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.state import State, read_state
from toolkit.terraform.work_dir import WorkDir, write

ROOT = Path(__file__).parents[2]


def _written(path: Path, text: str) -> WorkDir:
    return write(RootModule({"main.tf": text}), path)


def _runner(events: list[Event], **environment: str) -> TerraformRunner:
    return TerraformRunner(require("terraform"), events.append, environment={**os.environ, **environment})


def _data(name: str, arguments: str = "") -> str:
    return f'resource "terraform_data" "{name}" {{\n{arguments}\n}}\n'


def _slow(seconds: float) -> str:
    """A resource that is under way for `seconds`, between two others that depend on nothing and on it."""
    provisioner = f'provisioner "local-exec" {{\ncommand = "sleep {seconds} && touch slow-is-done"\n}}'
    return _data("fast") + _data("slow", provisioner) + _data("after", "input = terraform_data.slow.id")


def _change(name: str, action: InfraAction, reason: str = "") -> InfraChange:
    return InfraChange(f"terraform_data.{name}", "terraform_data", action, "", reason)


def test_a_plan_is_saved_applied_and_empty_afterwards(tmp_path: Path) -> None:
    events: list[Event] = []
    runner = _runner(events)
    secret = 'output "secret" {\nvalue = "hunter2"\nsensitive = true\n}\noutput "open" {\nvalue = ["a"]\n}\n'
    work_dir = _written(tmp_path, _data("a") + _data("b") + secret)
    runner.init(work_dir)
    assert runner.state(work_dir).managed == frozenset()

    planned = runner.plan(work_dir)
    assert runner.has_changes(work_dir)
    assert sorted(planned.changes, key=lambda change: change.address) == [
        _change("a", InfraAction.CREATE),
        _change("b", InfraAction.CREATE),
    ]
    done: list[InfraChange] = []
    assert runner.apply(planned, on_resource=done.append) == {"open": ["a"]}
    assert set(done) == set(planned.changes)
    assert {event.address for event in events if isinstance(event, InfraChangeFinished)} == {
        "terraform_data.a",
        "terraform_data.b",
    }
    assert runner.state(work_dir).managed == {"terraform_data.a", "terraform_data.b"}

    assert not runner.has_changes(work_dir)
    with pytest.raises(PlanStale):
        runner.apply(planned)  # looking has left the saved plan alone
    assert not any(isinstance(event, DiagnosticReported) for event in events)
    assert runner.plan(work_dir).changes == ()
    assert "hunter2" not in str(events) + "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    secret_files = [*tmp_path.glob("terraform.tfstate*"), work_dir.plan_path, *(tmp_path / "logs").iterdir()]
    assert {path.stat().st_mode & 0o777 for path in secret_files} == {0o600}


def test_a_replacement_is_told_of_once_when_the_new_one_stands(tmp_path: Path) -> None:
    events: list[Event] = []
    runner = _runner(events)
    work_dir = _written(tmp_path, _data("a", "triggers_replace = 1") + _data("gone"))
    runner.init(work_dir)
    runner.apply(runner.plan(work_dir))

    write(RootModule({"main.tf": _data("a", "triggers_replace = 2")}), tmp_path)
    planned = runner.plan(work_dir)
    assert set(planned.changes) == {
        _change("a", InfraAction.REPLACE, "cannot_update"),
        _change("gone", InfraAction.DELETE, "delete_because_no_resource_config"),
    }
    events.clear()
    seen: list[tuple[InfraAction, int]] = []
    runner.apply(
        planned,
        on_resource=lambda change: seen.append(
            (change.action, sum(isinstance(e, InfraChangeFinished) and e.address == change.address for e in events))
        ),
    )
    assert sorted(seen) == [(InfraAction.DELETE, 1), (InfraAction.REPLACE, 2)]


def test_what_terraform_applies_without_a_word_is_told_of_at_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    runner = _runner(events)
    work_dir = _written(tmp_path, _data("a") + _data("b"))
    runner.init(work_dir)
    runner.apply(runner.plan(work_dir))
    removed = "removed {\nfrom = terraform_data.b\nlifecycle {\ndestroy = false\n}\n}\n"
    write(RootModule({"main.tf": _data("a") + removed}), tmp_path)
    planned = runner.plan(work_dir)
    done: list[InfraChange] = []
    runner.apply(planned, on_resource=done.append)
    assert done == [_change("b", InfraAction.FORGET, "delete_because_no_resource_config")]
    assert events[-1] == InfraChangeFinished("terraform_data.b", "forget", 0.0)
    assert runner.state(work_dir).managed == {"terraform_data.a"}


def test_exactly_the_saved_plan_is_applied(tmp_path: Path) -> None:
    runner = _runner([])
    work_dir = _written(tmp_path, _data("a"))
    runner.init(work_dir)
    planned = runner.plan(work_dir)
    write(RootModule({"main.tf": _data("a") + _data("sneaked_in")}), tmp_path)
    runner.apply(planned)
    assert runner.state(work_dir).managed == {"terraform_data.a"}
    with pytest.raises(PlanStale):
        runner.apply(planned)


def test_a_plan_that_fails_says_why_and_leaves_nothing_to_apply(tmp_path: Path) -> None:
    events: list[Event] = []
    runner = _runner(events)
    work_dir = _written(
        tmp_path,
        _data("a", 'lifecycle {\nprecondition {\ncondition = terraform.workspace == "x"\nerror_message = "no"\n}\n}'),
    )
    runner.init(work_dir)
    with pytest.raises(TerraformFailed) as failed:
        runner.plan(work_dir)
    assert failed.value.code == "terraform.failed"
    assert "Resource precondition failed" in failed.value.message
    assert [event.detail for event in events if isinstance(event, DiagnosticReported)] == ["no"]


def test_a_failed_resource_is_an_event_and_the_rest_is_in_the_state(tmp_path: Path) -> None:
    events: list[Event] = []
    runner = _runner(events)
    broken = 'depends_on = [terraform_data.a]\nprovisioner "local-exec" {\ncommand = "exit 3"\n}'
    work_dir = _written(tmp_path, _data("a") + _data("broken", broken))
    runner.init(work_dir)
    done: list[InfraChange] = []
    with pytest.raises(TerraformFailed) as failed:
        runner.apply(runner.plan(work_dir), on_resource=done.append)
    assert failed.value.message == "`terraform_data.broken`: local-exec provisioner error"
    assert done == [_change("a", InfraAction.CREATE)]
    state = runner.state(work_dir)
    assert state.managed == {"terraform_data.a", "terraform_data.broken"}
    assert state.tainted == {"terraform_data.broken"}
    runner.untaint(work_dir, "terraform_data.broken")
    assert runner.state(work_dir).tainted == frozenset()


def test_untainting_what_is_not_there_fails_in_terraforms_words(tmp_path: Path) -> None:
    runner = _runner([])
    work_dir = _written(tmp_path, _data("a"))
    runner.init(work_dir)
    runner.apply(runner.plan(work_dir))
    with pytest.raises(TerraformFailed, match="No such resource instance"):
        runner.untaint(work_dir, "terraform_data.b")


def test_addresses_in_the_state_are_written_as_terraform_does(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "main.tf").write_text(_data("this") + _data("many", "count = 2"))
    call = 'module "x" {\nsource = "../m"\nfor_each = toset(["a/b-c.d_e"])\n}\n'
    work_dir = _written(tmp_path / "dir", call)
    runner = _runner([])
    runner.init(work_dir)
    runner.apply(runner.plan(work_dir))
    module = 'module.x["a/b-c.d_e"].terraform_data'
    assert runner.state(work_dir).managed == {f"{module}.this", f"{module}.many[0]", f"{module}.many[1]"}


def test_init_runs_once_until_something_that_matters_changes(tmp_path: Path) -> None:
    runner = _runner([])
    work_dir = _written(tmp_path, _data("a"))

    def inits() -> int:
        runner.init(work_dir)
        return len(list(work_dir.logs_path.glob("*-init.stdout")))

    assert [inits(), inits()] == [1, 1]
    write(RootModule({"main.tf": _data("a"), "imports.tf": "# adopting\n", "x.auto.tfvars.json": "{}"}), tmp_path)
    assert inits() == 1
    write(RootModule({"main.tf": _data("b")}), tmp_path)
    assert [inits(), inits()] == [2, 2]
    (tmp_path / ".terraform" / "toolkit-initialised").unlink()
    assert inits() == 3


def test_a_moved_backend_is_refused_and_the_old_state_not_abandoned(tmp_path: Path) -> None:
    backend = 'terraform {\nbackend "local" {\npath = "%s"\n}\n}\n'
    runner = _runner([])
    work_dir = _written(tmp_path, backend % "one.tfstate" + _data("a"))
    runner.init(work_dir)
    runner.apply(runner.plan(work_dir))
    write(RootModule({"main.tf": backend % "two.tfstate" + _data("a")}), tmp_path)
    with pytest.raises(TerraformFailed) as failed:
        runner.init(work_dir)
    assert failed.value.code == "terraform.backend_changed"
    assert failed.value.hint and "-migrate-state" in failed.value.hint
    write(RootModule({"main.tf": backend % "one.tfstate" + _data("a")}), tmp_path)
    runner.init(work_dir)
    assert runner.state(work_dir).managed == {"terraform_data.a"}


def test_variables_that_bend_terraform_do_not(tmp_path: Path) -> None:
    bending = {
        "TF_CLI_ARGS": "-bogus",
        "TF_CLI_ARGS_plan": "-bogus",
        "TF_LOG": "TRACE",
        "TF_DATA_DIR": "/nowhere/at/all",
    }
    events: list[Event] = []
    runner = _runner(events, TF_VAR_x="hunter2", TF_CLI_CONFIG_FILE=str(tmp_path / "missing"), **bending)
    work_dir = _written(tmp_path / "x", _data("a"))
    runner.init(work_dir)
    assert runner.plan(work_dir).changes == (_change("a", InfraAction.CREATE),)
    assert "".join(path.read_text() for path in work_dir.logs_path.glob("*.stderr")) == ""
    [told] = events
    assert isinstance(told, NoticeGiven)
    assert told.code == "terraform.variable_dropped"
    named = "`TF_CLI_ARGS`, `TF_CLI_ARGS_plan`, `TF_DATA_DIR`, `TF_LOG`, `TF_VAR_x`"
    assert told.message == f"{named} are set and are not passed on to Terraform"


def test_the_program_may_be_a_name_or_a_path_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = require("terraform")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "my terraform").symlink_to(real)
    monkeypatch.chdir(tmp_path)
    _written(Path("dir"), _data("a"))  # the working directory may be relative too
    for binary in ("terraform", real, "bin/my terraform", "./bin/my terraform"):
        runner = TerraformRunner(binary, print)
        runner.init(WorkDir(Path("dir")))
        assert runner.plan(WorkDir(Path("dir"))).changes
        assert runner.version().count(".") == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "terraform.not_found"),
        ("#!/bin/sh\nexit 1\n", "terraform.not_terraform"),
        ("#!/bin/sh\necho '[]'\n", "terraform.not_terraform"),
        ("#!/nowhere\n", "terraform.not_runnable"),
        ('#!/bin/sh\necho \'{"terraform_version": "1.5.7"}\'\n', "terraform.too_old"),
        ('#!/bin/sh\necho \'{"terraform_version": "1.16.0"}\'\n', "terraform.known_bad"),
    ],
)
def test_a_program_that_cannot_do_is_one_clear_sentence(tmp_path: Path, content: str | None, code: str) -> None:
    program = tmp_path / "terraform"
    if content:
        program.write_text(content)
        program.chmod(0o755)
    work_dir = _written(tmp_path / "dir", _data("a"))
    for command in (lambda r: r.version(), lambda r: r.init(work_dir)):
        with pytest.raises(TerraformFailed) as failed:
            command(TerraformRunner(str(program), print))
        assert failed.value.code == code
        assert f"{program}" in failed.value.message


def test_logs_that_cannot_be_written_are_no_fault_of_the_program(tmp_path: Path) -> None:
    work_dir = _written(tmp_path, _data("a"))
    work_dir.logs_path.write_text("in their place")
    with pytest.raises(TerraformFailed) as failed:
        _runner([]).plan(work_dir)
    assert failed.value.code == "terraform.logs_unwritable"
    assert f"{work_dir.logs_path}" in failed.value.message


def test_opentofu_answers_to_the_same_words(tmp_path: Path) -> None:
    program = tmp_path / "tofu"
    program.write_text('#!/bin/sh\necho \'{"terraform_version": "1.10.2", "provider_selections": {}}\'\n')
    program.chmod(0o755)
    assert TerraformRunner(str(program), print).version() == "1.10.2"


@contextmanager
def _applying(path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run of its own that applies `path`; it is up to the block to see it end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, terraform_apply.__file__, str(path), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as run:
        try:
            yield run
        finally:
            run.kill()


def _read_until(run: subprocess.Popen[str], text: str) -> list[str]:
    assert run.stdout
    lines = []
    for line in run.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without {text!r}: {lines}")


@pytest.mark.parametrize(
    ("number", "arguments"),
    [(signal.SIGINT, ()), (signal.SIGTERM, ()), (signal.SIGTERM, ("ignore-sigint",))],
    ids=["ctrl-c", "terminated", "terminated-in-the-background"],
)
def test_an_interrupted_terraform_saves_its_state_and_the_next_run_goes_on(
    tmp_path: Path, number: int, arguments: Sequence[str]
) -> None:
    require("terraform")
    _written(tmp_path, _slow(20))
    with _applying(tmp_path, *arguments) as run:
        _read_until(run, "InfraChangeStarted(address='terraform_data.slow'")
        _wait_for_log(tmp_path, "Provisioning with", "terraform_data.fast: Creation complete")
        started = time.monotonic()
        run.send_signal(number)
        assert run.stdout
        said = run.stdout.read()
    assert time.monotonic() - started < 15
    assert said.count("terraform.interrupted") == 1
    assert said.endswith("Interrupted: interrupted\n")
    assert survivor(tmp_path / "logs") is None

    runner = _runner([])
    state = runner.state(WorkDir(tmp_path))
    assert state.managed == {"terraform_data.fast", "terraform_data.slow"}
    assert state.tainted == {"terraform_data.slow"}  # Terraform stops a provisioner, and remembers that
    _written(tmp_path, _slow(0))
    with WorkDir(tmp_path).locked():
        runner.init(WorkDir(tmp_path))
        runner.apply(runner.plan(WorkDir(tmp_path)))
        assert not runner.plan(WorkDir(tmp_path)).changes


def _wait_for_log(path: Path, *texts: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        said = "".join(log.read_text() for log in (path / "logs").glob("*-apply.stdout"))
        if all(text in said for text in texts):
            return
        time.sleep(0.02)
    raise AssertionError(f"no {texts} in {said}")


def test_a_terraform_whose_run_is_killed_finishes_and_the_next_run_waits_for_it(tmp_path: Path) -> None:
    require("terraform")
    work_dir = _written(tmp_path, _slow(3))
    with _applying(tmp_path) as run:
        _read_until(run, "InfraChangeStarted(address='terraform_data.slow'")
        run.kill()
    assert survivor(work_dir.logs_path) is not None

    events: list[Event] = []
    runner = _runner(events)
    with work_dir.locked():  # the killed run's own lock is gone with it
        runner.init(work_dir)
        assert (tmp_path / "slow-is-done").exists()
        assert [event.code for event in events if isinstance(event, NoticeGiven)] == ["terraform.still_running"]
        assert survivor(work_dir.logs_path) is None
        assert runner.state(work_dir).managed == {f"terraform_data.{name}" for name in ("fast", "slow", "after")}
        planned = runner.plan(work_dir)  # no lock of Terraform's is left either
    assert not planned.changes


def test_a_survivor_that_never_ends_is_left_to_terraforms_own_lock(tmp_path: Path) -> None:
    work_dir = _written(tmp_path, _data("a"))
    work_dir.logs_path.mkdir()
    me = Path(f"/proc/{os.getpid()}/cmdline")
    arguments = me.read_bytes().split(b"\0", 1)[1] if me.exists() else b""
    (work_dir.logs_path / "running").write_bytes(f"{os.getpid()}\0".encode() + arguments)
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    runner = TerraformRunner(require("terraform"), print, survivor_seconds=5, clock=lambda: now[0], sleep=sleep)
    runner.init(work_dir)
    assert now[0] >= 5


def test_a_held_state_lock_names_its_holder_at_once_and_is_waited_for(tmp_path: Path) -> None:
    require("terraform")
    work_dir = _written(tmp_path, _slow(4))
    events: list[Event] = []
    with _applying(tmp_path) as run:
        _read_until(run, "InfraChangeStarted(address='terraform_data.slow'")
        for seconds in (0, 1):
            events.clear()
            runner = TerraformRunner("terraform", events.append, lock_seconds=seconds)
            with pytest.raises(Refused) as refused:
                runner.plan(work_dir) if seconds else runner.check_lock(work_dir)
            assert refused.value.code == "state.locked"
            assert "is locked by `" in refused.value.message
        [told] = events
        assert isinstance(told, NoticeGiven)
        assert re.fullmatch(r"waiting for the lock of `\S+@\S+` since \d\d:\d\d UTC \(\d s\)", told.message)
        assert told.code == "state.locked"
        assert not TerraformRunner("terraform", events.append, lock_seconds=60).plan(work_dir).changes
        _read_until(run, "outputs: ")
    events.clear()
    runner.check_lock(work_dir)
    assert events == []


def test_a_local_state_is_read_without_terraform_and_what_is_wrong_with_it_is_terraforms_to_say(tmp_path: Path) -> None:
    events: list[Event] = []
    backend = 'terraform {\nbackend "local" {\npath = "terraform.tfstate"\n}\n}\n'
    work_dir = _written(tmp_path, backend + _data("a") + _data("many", "count = 2"))
    runner = _runner(events)
    runner.init(work_dir)
    assert runner.state(work_dir) == State()
    runner.apply(runner.plan(work_dir))
    pulled = ask([require("terraform"), "state", "pull"], tmp_path, scrub(os.environ))
    without = TerraformRunner(str(tmp_path / "no-such-program"), print)
    assert without.state(work_dir) == read_state(pulled)
    assert without.state(work_dir).serial > 0

    file = tmp_path / "terraform.tfstate"
    for content, code in (("{", "terraform.state_unreadable"), ('{"version": 5}', "terraform.too_old")):
        file.write_text(content)
        with pytest.raises(TerraformFailed) as failed:
            runner.state(work_dir)
        assert failed.value.code == code
    file.write_text("")
    assert runner.state(work_dir) == State()


def test_a_workspace_is_made_used_and_read(tmp_path: Path) -> None:
    work_dir = _written(tmp_path, _data("a", "input = terraform.workspace"))
    default = _runner([])
    default.init(work_dir)
    other = TerraformRunner(require("terraform"), print, workspace="dev", environment=os.environ)
    other.init(work_dir)
    other.apply(other.plan(work_dir))
    assert other.state(work_dir).resources["terraform_data.a"]["input"]["value"] == "dev"
    assert other.state(work_dir) == TerraformRunner("none", print, workspace="dev").state(work_dir)
    assert default.state(work_dir) == State()
    assert default.plan(work_dir).changes == (_change("a", InfraAction.CREATE),)


def test_a_workspace_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    work_dir = _written(tmp_path, _data("a"))
    with pytest.raises(Refused, match="`TF_WORKSPACE` selects the workspace `prod`") as refused:
        _runner([], TF_WORKSPACE="prod").init(work_dir)
    assert refused.value.code == "terraform.workspace"
    _runner([], TF_WORKSPACE="default").init(work_dir)
    subprocess.run([require("terraform"), "workspace", "new", "dev"], cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(Refused, match="environment` selects the workspace `dev`"):
        _runner([]).init(work_dir)
    with pytest.raises(Refused, match="the manifest is for `other`"):
        TerraformRunner("terraform", print, workspace="other").init(work_dir)
    TerraformRunner("terraform", print, workspace="dev").init(work_dir)


def test_a_file_that_overrides_ours_is_refused_before_terraform_runs(tmp_path: Path) -> None:
    work_dir = _written(tmp_path, _data("a"))
    (tmp_path / "zz_override.tf").write_text(_data("a", "input = 2"))
    with pytest.raises(Refused, match=r"zz_override\.tf` would override") as refused:
        TerraformRunner(str(tmp_path / "no-such-program"), print).init(work_dir)
    assert refused.value.code == "terraform.override_file"
