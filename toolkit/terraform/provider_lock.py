"""Which AWS provider Terraform chose, and whether it is new enough for what the manifest asks for."""

from __future__ import annotations

import re

from toolkit.errors import Refused
from toolkit.plan.desired import Desired
from toolkit.terraform.work_dir import WorkDir

# Terraform writes the file itself, always in this form; OpenTofu has another host.
_AWS = re.compile(
    r'^provider "[^"/]+/hashicorp/aws" \{\n(?:  [^\n]*\n)*?  version +=\s*"(?P<version>[^"]+)"', re.MULTILINE
)


def locked_provider_version(work_dir: WorkDir) -> str | None:
    """The version of the AWS provider in the lock file, `5.100.0`; None where there is none, as before `init`."""
    try:
        text = (work_dir.path / ".terraform.lock.hcl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = _AWS.search(text)
    return found["version"] if found else None


def refuse_old_provider(desired: Desired, work_dir: WorkDir) -> None:
    """Raise Refused when a field of the manifest needs a newer provider than the one that `init` locked."""
    locked = locked_provider_version(work_dir)
    if locked is None:
        return
    major, minor = (int(number) for number in locked.split(".")[:2])
    for need in desired.provider_needs:
        if (major, minor) < need.version:
            wanted = ".".join(map(str, need.version))
            raise Refused(
                "terraform.provider_too_old",
                f"`{need.path}` needs AWS provider {wanted}, the lock has {major}.{minor}",
                hint=f"lock provider {wanted} or a newer one, or leave the field out",
            )
