"""The errors of the product: the class says how to react and has an exit code, `code` names the cause.

The exit codes are part of the command line's interface. `docs/reference/exit-codes.md` lists them, and a test compares
the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

PLAN_AGAIN = "plan again: `toolkit plan --out FILE`, then apply that"
"""The hint of an error after which a saved plan cannot be used again."""


def some(names: Iterable[str], most: int = 5) -> str:
    """The first names as a sentence lists them, and how many more there are: "`a`, `b` and 3 more"."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(f"`{name}`" for name in listed[:most]) + more


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
    """The manifest cannot be read or contradicts itself; `issues` has every fault in file order."""

    exit_code = 3

    def __init__(self, code: str, message: str, issues: Sequence[Issue] = (), *, hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)
        self.issues = tuple(issues)


class AccessDenied(ToolkitError):
    """Credentials are missing, expired, or not allowed to do this."""

    exit_code = 4


_NOT_AUTHORIZED = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r'(?: on resource: "?(?P<resource>(?:(?:role|policy) )?[^\s"]+)"?)?'  # IAM: `role x`
)


def denied_by_aws(text: str) -> AccessDenied | None:
    """The error for AWS's sentence about a missing right; None if `text` does not have it.

    AWS's services, Terraform's provider and backend, and ECR's registry all repeat this sentence.
    """
    found = _NOT_AUTHORIZED.search(" ".join(text.split()))
    if found is None:
        return None
    where = f" on `{found['resource']}`" if found["resource"] not in (None, "*") else ""
    return AccessDenied(
        "aws.access_denied",
        f"AWS refused `{found['action']}`{where} to `{found['who'].rstrip(',')}`",
        hint=f"allow `{found['action']}` for this role: `toolkit iam-policy` prints what it needs",
    )


class TerraformFailed(ToolkitError):
    """Terraform could not be started, or exited with an error."""

    exit_code = 5


class SeedingIncomplete(ToolkitError):
    """The infrastructure is in place, some images are missing; running again is safe."""

    exit_code = 6


class Refused(ToolkitError):
    """Nothing was changed: the run would lose or overwrite something, its input is wrong, or a service is down."""

    exit_code = 7


class PlanStale(Refused):
    """Terraform refused a saved plan, because the state has changed since; nothing was changed."""


class UsageError(ToolkitError):
    """The command line is wrong."""

    exit_code = 64


class Interrupted(ToolkitError):
    """The user or the pipeline stopped the run."""

    exit_code = 130
