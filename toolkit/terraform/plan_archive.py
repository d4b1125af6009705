"""Terraform's saved plan as the archive that it is, for what can be read of it without starting a provider."""

from __future__ import annotations

import zipfile
from pathlib import Path

from toolkit.terraform.plan_changes import has_drifted
from toolkit.terraform.state import read_state


def tells_of_drift(path: Path) -> bool:
    """Whether the plan at `path` knows of drift that is worth a word.

    The provider reports drift after every first apply, because it cannot tell nothing from an empty value; to see
    that in `show -json` costs half as much as the plan. The two states in the archive tell it too. Their format is
    Terraform's own (1.1 and newer): where it cannot be read, the answer is yes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            last, now = (read_state(archive.read(name).decode()) for name in ("tfstate-prev", "tfstate"))
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError):
        return True
    return has_drifted(last, now)
