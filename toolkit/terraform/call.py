"""One Terraform command: emits its output as events, and keeps what the caller needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import TerraformFailed
from toolkit.events import Emit, Event, NoticeGiven
from toolkit.plan.model import InfraChange
from toolkit.terraform import process, ui_messages
from toolkit.terraform.explain import Diagnostic, explain
from toolkit.terraform.work_dir import WorkDir

# Diagnostics that are not emitted. Terraform gives the first one with every mirror, and `toolkit lock-provider` says
# more. It gives the second one for each resource after an interrupt. The third is no fault if an earlier run applied
# the plan, and the fourth is none while we wait for the lock.
_SILENCED = frozenset(
    {
        "Incomplete lock file information for providers",
        "execution halted",
        "Saved plan is stale",
        "Error acquiring the state lock",
    }
)


@dataclass
class Call(process.Listener):
    """One Terraform command. The changes, the drift and the outputs are complete after `run`."""

    work_dir: WorkDir
    environment: Mapping[str, str]
    emit: Emit
    on_event: Callable[[Event], None] | None = None
    changes: list[InfraChange] = field(default_factory=list)
    drift: list[InfraChange] = field(default_factory=list)
    outputs: dict[str, object] = field(default_factory=dict)
    _errors: list[Diagnostic] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _argv: Sequence[str] = ()

    def run(self, argv: Sequence[str]) -> int:
        """Run to the end and return the exit code. Raises Interrupted or TerraformFailed."""
        self._argv = argv
        logs = self.work_dir.logs_path
        try:
            return process.run(argv, cwd=self.work_dir.path, environment=self.environment, logs=logs, listener=self)
        except OSError as error:
            raise TerraformFailed(
                "terraform.logs_unwritable",
                f"Terraform's output cannot be written to `{logs}`: {error.strerror}",
                hint="free some space there, or make it writable",
            ) from error

    def wrote(self, line: str) -> None:
        """Handle a JSON line, or text."""
        message = ui_messages.read(line)
        if message is None:
            self._text.append(line)
            return
        change = ui_messages.change_of(message)
        if change:
            self.changes.append(change)
        drift = ui_messages.drift_of(message)
        if drift:
            self.drift.append(drift)
        if message.type == "outputs":
            self.outputs = dict(ui_messages.outputs_of(message))
        if message.type == "diagnostic":
            diagnostic = ui_messages.diagnostic_of(message)
            if diagnostic.severity == "error":
                self._errors.append(diagnostic)
            if diagnostic.summary in _SILENCED:
                return
        event = ui_messages.event_of(message)
        if event:
            self.emit(event)
            if self.on_event:
                self.on_event(event)

    def complained(self, line: str) -> None:
        """Keep the text, in case that Terraform fails without a diagnostic."""
        self._text.append(line)

    def interrupted(self, times: int) -> None:
        """Emit a notice about the interrupt."""
        if times == 1:
            message = "interrupted: Terraform finishes the changes in progress and saves its state"
            self.emit(NoticeGiven("terraform.interrupted", message, hint="wait; a second interrupt aborts it"))
        else:
            self.emit(NoticeGiven("terraform.aborted", "interrupted again: Terraform was told to abort"))

    def failure(self, code: int, *, ok: Sequence[int]) -> Diagnostic | None:
        """The error that Terraform reported; None if the exit code is one of `ok`."""
        if code in ok:
            return None
        return self._errors[0] if self._errors else _failure_in("\n".join(self._text), self._argv, code)

    def raise_for(self, code: int, *, ok: Sequence[int]) -> None:
        """Raise the error that Terraform reported, unless the exit code is one of `ok`."""
        if failure := self.failure(code, ok=ok):
            raise explain(failure)


def ask(argv: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> str:
    """The output of a command that only reads. Raises the error that it reports."""
    done = process.capture(argv, cwd=cwd, environment=environment)
    if done.exit_code != 0:
        raise explain(_failure_in(f"{done.stderr}\n{done.stdout}", argv, done.exit_code))
    return done.stdout


def _failure_in(text: str, argv: Sequence[str], code: int) -> Diagnostic:
    ended = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return ui_messages.diagnostic_in(text) or Diagnostic("error", f"`terraform {argv[1]}` {ended} without a message")
