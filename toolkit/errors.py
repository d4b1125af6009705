"""What can go wrong, one class for each way to react; a class is an exit code, `code` is the cause.

The exit codes are an API of the command line; `docs/reference/exit-codes.md` has the table, and a
test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

PLAN_AGAIN = "plan again: `toolkit plan --out FILE`, then apply that"
"""The hint where a saved plan cannot be run again."""


class ToolkitError(Exception):
    """A failure that a user can act on.

    `code` is stable and dotted (`manifest.unknown_key`), `message` one sentence with the object in backticks,
    `hint` at most one instruction in the imperative.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault of a manifest: `path` is the field (`images[2].source`), `line` counts from 1."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ManifestUnusable(ToolkitError):
    """The manifest cannot be read or means nothing sensible; `issues` has every fault in file order."""

    exit_code = 3

    def __init__(self, code: str, message: str, issues: Sequence[Issue] = (), *, hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)
        self.issues = tuple(issues)


class AccessDenied(ToolkitError):
    """Credentials are missing, expired, or not allowed to do this."""

    exit_code = 4


class TerraformFailed(ToolkitError):
    """Terraform could not be run, or ended with an error."""

    exit_code = 5


class SeedingIncomplete(ToolkitError):
    """The infrastructure stands, but not every image is in place; running again is safe."""

    exit_code = 6


class Refused(ToolkitError):
    """Doing it would lose or overwrite something, or cannot be right, or nobody answers; nothing was changed."""

    exit_code = 7


class PlanStale(Refused):
    """Terraform did not apply a saved plan, because its state has changed since; nothing was done."""


class UsageError(ToolkitError):
    """The command line makes no sense."""

    exit_code = 64


class Interrupted(ToolkitError):
    """The user or the pipeline stopped the run."""

    exit_code = 130
