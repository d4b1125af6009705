"""A reviewed plan on its way from `toolkit plan --out FILE` to `toolkit apply FILE`.

The file has our plan and its checksum; Terraform's own stays in the working directory, and the file has its checksum
too. So what is applied is what was reviewed, or nothing. That is against slips and damage: who may write the file could
also plan something else.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from toolkit import __version__
from toolkit.atomic_file import check_writable, write_atomically
from toolkit.cli.render.serialise import plan_document, plan_from_document
from toolkit.errors import PLAN_AGAIN, Refused
from toolkit.operations.plan import Planned
from toolkit.terraform.runner import PlanFile
from toolkit.terraform.work_dir import WorkDir

_SCHEMA_VERSION = 1


def check_place(path: Path) -> None:
    """Raise Refused where no plan can be put, before one is made."""
    try:
        check_writable(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_plan(path: Path, planned: Planned, manifest: Path) -> None:
    """Put the plan into `path`, whole or not at all. Raises Refused when it cannot be written."""
    plan = plan_document(planned.plan)
    document = {
        "schema_version": _SCHEMA_VERSION,
        "toolkit_version": __version__,
        "manifest_sha256": _sha256(manifest),
        "terraform_plan_sha256": _sha256(planned.plan_file.path),
        "plan_sha256": _sha256_of(plan),
        "plan": plan,
    }
    try:
        write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused("plan.unwritable", f"the plan cannot be written to `{path}`: {error.strerror}")


def read_plan(path: Path, manifest: Path, work_path: Path) -> Planned:
    """The plan in `path`. Raises Refused unless it is whole and what it was made from is still the same."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise Refused("plan.unreadable", f"the plan `{path}` cannot be read: {why}", hint=PLAN_AGAIN) from error
    if not isinstance(document, dict) or document.get("schema_version") != _SCHEMA_VERSION:
        raise Refused("plan.unreadable", f"`{path}` is no plan that this version can apply", hint=PLAN_AGAIN)
    plan = plan_from_document(document.get("plan"))
    if document.get("plan_sha256") != _sha256_of(document["plan"]):
        raise Refused("plan.unreadable", f"`{path}` is not as it was saved: it was edited or damaged", hint=PLAN_AGAIN)
    if document.get("manifest_sha256") != _sha256(manifest):
        raise Refused("plan.stale", f"`{manifest}` has changed since `{path}` was made", hint=PLAN_AGAIN)
    work_dir = WorkDir(work_path)
    if document.get("terraform_plan_sha256") != _sha256(work_dir.plan_path):
        raise Refused(
            "plan.stale",
            f"`{work_dir.plan_path}` is not Terraform's plan that was saved with `{path}`",
            hint="keep the working directory from plan to apply, or plan again",
        )
    return Planned(plan, PlanFile(work_dir.plan_path, work_dir, plan.infra_changes))


def _sha256_of(plan: object) -> str:
    """Of its content, however it is spelled."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str | None:
    """None for a file that is not there: Terraform saves none when it has not planned."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
